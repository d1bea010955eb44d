//! What is wrong with a sale, and what is to be done next. Pure: no clock, no server.

use seckill_protocol::{EventBatch, EventId, Fact};

/// What is seen of a sale in Redis and in MySQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// MySQL's cursor; `0-0` if it has nothing.
    pub cursor: EventId,
    /// `stock.sale`.
    pub sale: i64,
    /// The sale in Redis, if there is one.
    pub copy: Option<Copy>,
    /// The last event on the topic that MySQL can take before it meets the next epoch of Redis;
    /// `None`: there is nothing on the topic that MySQL does not have.
    pub on_topic: Option<EventId>,
    /// Whether `recover` has paused it, in this run or in one that was cut off.
    pub recovering: bool,
    /// Whether this run has put everything back.
    pub is_filled: bool,
}

/// The sale in Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// Whether it waits until MySQL has been compared with it.
    pub is_fenced: bool,
    /// The last event there.
    pub head: EventId,
    /// The first event there that MySQL does not have.
    pub next: Option<Next>,
}

/// The first event in Redis after MySQL's cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// Its number.
    pub id: EventId,
    /// What it says.
    pub kind: Kind,
}

/// A message on the topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its first event.
    pub first: Next,
    /// The number of its last one.
    pub last: EventId,
}

/// What kind of event it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A sale was created with so many units gone.
    Opened {
        /// So many.
        sold: u64,
    },
    /// A node took over, with a copy up to `previous`.
    Epoch {
        /// The last event of the copy.
        previous: EventId,
    },
    /// Anything else.
    Other,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The topic has events up to this one that MySQL does not have yet: wait until it has them.
    AwaitTopic(EventId),
    /// The log in Redis goes on where MySQL is, and it stands still until MySQL has this event: wait.
    AwaitLog(EventId),
    /// There is no sale in Redis: make one.
    Create,
    /// MySQL has more than Redis: put it back, and join.
    PutBack,
    /// Everything is joined, and nobody knows whether a run before had put back everything.
    Fill,
    /// MySQL has everything, and Redis has not been told: wait until its fence falls.
    AwaitFence,
    /// All is there: sell on.
    GoOn,
    /// Nothing is wrong.
    Nothing,
    /// There is no sale in Redis, and MySQL has nothing of one either.
    NeverBegan,
    /// Redis was set back to an earlier state, without a new epoch since.
    SetBack {
        /// The last event there.
        head: EventId,
    },
    /// MySQL has less than Redis was told that it has.
    MysqlLost {
        /// What it should have.
        has_to_be: EventId,
    },
}

// === impl Next ===

impl Next {
    /// An event, by its number and what it says.
    #[must_use]
    pub const fn new(id: EventId, fact: &Fact) -> Self {
        let kind = match fact {
            Fact::Opened { sold, .. } => Kind::Opened { sold: *sold },
            Fact::Epoch { previous } => Kind::Epoch {
                previous: *previous,
            },
            _ => Kind::Other,
        };
        Self { id, kind }
    }
}

// === impl Message ===

impl Message {
    /// The message that a batch is, if there is an event in it.
    #[must_use]
    pub fn of(batch: &EventBatch) -> Option<Self> {
        let first = batch.events.first()?;
        Some(Self {
            first: Next::new(EventId::new(batch.epoch, first.seq), &first.fact),
            last: batch.last_id()?,
        })
    }

    /// Whether MySQL, when it has everything up to `place`, takes more from it.
    fn follows(self, place: EventId) -> bool {
        let Next { id, kind } = self.first;
        let takes = match kind {
            Kind::Epoch { previous } if id.epoch > place.epoch => previous == place,
            Kind::Opened { .. } if id.epoch > place.epoch => true,
            _ => id.epoch == place.epoch && id.seq <= place.seq.saturating_add(1),
        };
        takes && self.last > place
    }
}

// === impl Step ===

impl Step {
    /// Whether it would be another one if there were something on the topic.
    pub const fn needs_the_topic(self) -> bool {
        matches!(
            self,
            Self::Create | Self::PutBack | Self::NeverBegan | Self::MysqlLost { .. }
        )
    }
}

/// The last event that MySQL can take of what is on the topic, if there is one behind its cursor.
///
/// What a node sent that took over and was itself replaced, before MySQL had what that node followed,
/// stays on the topic for ever: nobody can take it, and it must not be waited for.
#[must_use]
pub fn reach(cursor: EventId, topic: &[Message]) -> Option<EventId> {
    let mut reached = cursor;
    while let Some(message) = topic.iter().find(|message| message.follows(reached)) {
        reached = message.last;
    }
    Some(reached).filter(|reached| *reached > cursor)
}

/// Says what is to be done next.
pub fn next_step(seen: &Seen) -> Step {
    let cursor = seen.cursor;
    let on_topic = seen.on_topic.filter(|last| *last > cursor);
    let Some(copy) = &seen.copy else {
        return match on_topic {
            Some(last) => Step::AwaitTopic(last),
            None if cursor == EventId::ZERO => Step::NeverBegan,
            None => Step::Create,
        };
    };
    let Some(next) = copy.next else {
        return if copy.head < cursor {
            Step::SetBack { head: copy.head }
        } else {
            at_rest(seen, copy)
        };
    };
    match next.kind {
        // The log goes on where MySQL is.
        Kind::Other if copy.is_fenced => Step::AwaitLog(next.id),
        Kind::Other => at_rest(seen, copy),
        Kind::Opened { sold } if i64::try_from(sold) == Ok(seen.sale) && !seen.recovering => {
            Step::Nothing
        }
        Kind::Epoch { previous } if previous == cursor && (seen.is_filled || !seen.recovering) => {
            Step::AwaitLog(next.id)
        }
        _ if on_topic.is_some_and(|last| last < next.id) => {
            Step::AwaitTopic(on_topic.unwrap_or(next.id))
        }
        Kind::Epoch { previous } if previous > cursor => Step::MysqlLost {
            has_to_be: previous,
        },
        Kind::Opened { .. } | Kind::Epoch { .. } => Step::PutBack,
    }
}

/// Nothing stands between Redis and MySQL.
fn at_rest(seen: &Seen, copy: &Copy) -> Step {
    if seen.recovering && !seen.is_filled {
        Step::Fill
    } else if copy.is_fenced {
        Step::AwaitFence
    } else if seen.recovering {
        Step::GoOn
    } else {
        Step::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(epoch: u64, seq: u64) -> EventId {
        EventId::new(epoch, seq)
    }

    /// Whether Redis is fenced, its head, and its first event that MySQL does not have.
    type Given = (bool, EventId, Option<(EventId, Kind)>);

    /// MySQL at 5-9; Redis as given.
    fn seen(copy: Option<Given>) -> Seen {
        Seen {
            cursor: at(5, 9),
            sale: 3,
            copy: copy.map(|(is_fenced, head, next)| Copy {
                is_fenced,
                head,
                next: next.map(|(id, kind)| Next { id, kind }),
            }),
            on_topic: None,
            recovering: false,
            is_filled: false,
        }
    }

    fn fenced(previous: EventId) -> Seen {
        let next = (at(6, 1), Kind::Epoch { previous });
        seen(Some((true, at(6, 2), Some(next))))
    }

    #[test]
    fn a_sale_that_is_well_is_left_alone() {
        assert_eq!(
            next_step(&seen(Some((false, at(5, 9), None)))),
            Step::Nothing
        );
        let behind = Some((at(5, 10), Kind::Other));
        assert_eq!(
            next_step(&seen(Some((false, at(5, 12), behind)))),
            Step::Nothing,
            "MySQL is on its way"
        );
        let new = Some((at(6, 1), Kind::Opened { sold: 3 }));
        assert_eq!(
            next_step(&seen(Some((false, at(6, 1), new)))),
            Step::Nothing
        );
    }

    #[test]
    fn a_fenced_copy_that_lacks_facts_gets_them_back_when_the_topic_is_empty() {
        let mut lacks = fenced(at(5, 7));
        assert_eq!(next_step(&lacks), Step::PutBack);
        lacks.on_topic = Some(at(5, 11));
        assert_eq!(next_step(&lacks), Step::AwaitTopic(at(5, 11)));
        lacks.cursor = at(5, 11);
        assert_eq!(next_step(&lacks), Step::PutBack);
    }

    #[test]
    fn a_fenced_copy_that_mysql_only_has_to_read_is_waited_for() {
        assert_eq!(next_step(&fenced(at(5, 9))), Step::AwaitLog(at(6, 1)));
        let behind = Some((at(5, 10), Kind::Other));
        assert_eq!(
            next_step(&seen(Some((true, at(6, 1), behind)))),
            Step::AwaitLog(at(5, 10))
        );
    }

    #[test]
    fn what_mysql_lost_is_not_made_up() {
        let mut lost = fenced(at(5, 20));
        assert_eq!(
            next_step(&lost),
            Step::MysqlLost {
                has_to_be: at(5, 20)
            }
        );
        lost.on_topic = Some(at(5, 20));
        assert_eq!(next_step(&lost), Step::AwaitTopic(at(5, 20)));
        assert_eq!(
            next_step(&seen(Some((false, at(5, 4), None)))),
            Step::SetBack { head: at(5, 4) }
        );
    }

    #[test]
    fn only_what_mysql_can_take_from_the_topic_is_waited_for() {
        let message = |id, kind, last| Message {
            first: Next { id, kind },
            last,
        };
        let row = |first, last| message(at(5, first), Kind::Other, at(5, last));
        let took_over = |epoch, previous| {
            let kind = Kind::Epoch { previous };
            message(at(epoch, 1), kind, at(epoch, 2))
        };
        let expected = [
            (vec![], None),
            (vec![row(3, 9)], None),
            (vec![row(8, 11)], Some(at(5, 11))),
            (vec![row(12, 13), row(10, 11)], Some(at(5, 13))),
            (vec![row(11, 12)], None),
            (vec![took_over(6, at(5, 9))], Some(at(6, 2))),
            (vec![took_over(6, at(5, 8))], None),
            (vec![took_over(6, at(5, 11)), row(10, 11)], Some(at(6, 2))),
            (vec![took_over(6, at(5, 8)), row(10, 11)], Some(at(5, 11))),
            (
                vec![message(at(6, 1), Kind::Opened { sold: 3 }, at(6, 1))],
                Some(at(6, 1)),
            ),
        ];
        for (topic, reached) in expected {
            assert_eq!(reach(at(5, 9), &topic), reached, "{topic:?}");
        }
    }

    #[test]
    fn an_empty_redis_is_filled_and_then_sells_on() {
        let mut lost = seen(None);
        assert_eq!(next_step(&lost), Step::Create);
        lost.on_topic = Some(at(5, 11));
        assert_eq!(next_step(&lost), Step::AwaitTopic(at(5, 11)));
        lost.on_topic = None;
        lost.recovering = true;
        let with = |kind| {
            let copy = Copy {
                is_fenced: false,
                head: at(6, 1),
                next: Some(Next { id: at(6, 1), kind }),
            };
            Some(copy)
        };
        lost.copy = with(Kind::Opened { sold: 0 });
        assert_eq!(next_step(&lost), Step::PutBack);
        lost.sale = 0;
        assert_eq!(next_step(&lost), Step::PutBack);
        // Joined: by this run, or by one that was cut off, of which nobody knows how far it came.
        lost.copy = with(Kind::Epoch { previous: at(5, 9) });
        assert_eq!(next_step(&lost), Step::PutBack);
        lost.is_filled = true;
        assert_eq!(next_step(&lost), Step::AwaitLog(at(6, 1)));
        // MySQL has taken the epoch up.
        lost.cursor = at(6, 1);
        lost.copy = Some(Copy {
            is_fenced: false,
            head: at(6, 1),
            next: None,
        });
        assert_eq!(next_step(&lost), Step::GoOn);
        lost.is_filled = false;
        assert_eq!(next_step(&lost), Step::Fill);
        lost.recovering = false;
        lost.copy.as_mut().unwrap().is_fenced = true;
        assert_eq!(
            next_step(&lost),
            Step::AwaitFence,
            "the worker has to tell it"
        );
    }

    #[test]
    fn what_nobody_ever_sold_is_not_recovered() {
        let never = Seen {
            cursor: EventId::ZERO,
            ..seen(None)
        };
        assert_eq!(next_step(&never), Step::NeverBegan);
    }
}
