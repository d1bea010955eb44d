//! One call, and what is written into the record about it.

use super::{Doors, Tally};
use crate::http::{Question, Reply, Speaker};
use anyhow::{Context, Result};
use http::Method;
use seckill_oracle::record::{Answer, Op, Recorder, Rejection};
use std::time::Duration;

/// Calls proxies, and records it.
pub(super) struct Caller {
    doors: Doors,
    recorder: Recorder,
    tally: Tally,
}

/// The route by which a buyer tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Road {
    /// The proxy answers.
    Queue,
    /// The shop answers those who were accepted.
    Forward,
    /// The shop turns them down.
    TurnedDown,
}

/// By which proxy, and how long the caller waits for it.
#[derive(Clone, Copy)]
pub(super) struct Way {
    pub(super) proxy: usize,
    pub(super) patience: Duration,
}

// === impl Caller ===

impl Caller {
    pub(super) fn new(doors: Doors, recorder: Recorder) -> Self {
        Self {
            doors,
            recorder,
            tally: Tally::default(),
        }
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    pub(super) fn proxies(&self) -> usize {
        self.doors.proxies.len()
    }

    pub(super) async fn try_for(
        &self,
        uid: &str,
        qty: u32,
        token: Option<&str>,
        road: Road,
        way: Way,
    ) -> Result<Answer> {
        let sid = &self.doors.sid;
        let path = match road {
            Road::Queue => format!("/seckill/{sid}?qty={qty}"),
            Road::Forward => format!("/checkout/{sid}?qty={qty}"),
            Road::TurnedDown => format!("/checkout/{sid}?qty={qty}&answer=422"),
        };
        let question = Question {
            method: Method::POST,
            // One unit without a word about it is the usual buy.
            path: path.replace("?qty=1&", "?").replace("?qty=1", ""),
            speaker: Speaker::Buyer(uid.to_owned()),
            idempotency_key: token.map(str::to_owned),
        };
        let op = Op::Try {
            qty,
            token: token.map(str::to_owned),
        };
        let read = |reply: &Reply| match road {
            Road::Queue => of_try(reply),
            Road::Forward | Road::TurnedDown => of_checkout(reply),
        };
        self.call(uid, op, question, way, read).await
    }

    /// The shop says that it is paid for.
    pub(super) async fn confirm(&self, uid: &str, rid: &str, way: Way) -> Result<Answer> {
        let question = Question {
            method: Method::POST,
            path: format!("{}/confirm", self.reservation(rid)),
            speaker: Speaker::Shop(self.doors.shop_key.clone()),
            idempotency_key: None,
        };
        let op = Op::Confirm {
            rid: rid.to_owned(),
        };
        let read = |reply: &Reply| settled(reply, Answer::Confirmed);
        let answer = self.call(uid, op, question, way, read).await?;
        if answer == Answer::Confirmed {
            Tally::count(&self.tally.confirmed);
        }
        Ok(answer)
    }

    /// Its owner gives it up.
    pub(super) async fn cancel(&self, uid: &str, rid: &str, way: Way) -> Result<Answer> {
        let question = Question {
            method: Method::DELETE,
            path: self.reservation(rid),
            speaker: Speaker::Buyer(uid.to_owned()),
            idempotency_key: None,
        };
        let op = Op::Cancel {
            rid: rid.to_owned(),
        };
        let read = |reply: &Reply| settled(reply, Answer::Cancelled);
        let answer = self.call(uid, op, question, way, read).await?;
        if answer == Answer::Cancelled {
            Tally::count(&self.tally.cancelled);
        }
        Ok(answer)
    }

    fn reservation(&self, rid: &str) -> String {
        format!("/seckill/{}/reservations/{rid}", self.doors.sid)
    }

    async fn call(
        &self,
        uid: &str,
        op: Op,
        question: Question,
        way: Way,
        read: impl Fn(&Reply) -> Answer,
    ) -> Result<Answer> {
        let proxies = &self.doors.proxies;
        let address = proxies.get(way.proxy).context("no such proxy")?;
        let pending = self.recorder.begin(&self.doors.sid, uid, op)?;
        Tally::count(&self.tally.calls);
        let answer = match question.ask(address, way.patience).await {
            Ok(reply) => read(&reply),
            Err(error) => unknown(&format!("{error:#}")),
        };
        if matches!(answer, Answer::Unknown { .. }) {
            Tally::count(&self.tally.unknown);
        }
        self.recorder.answer(pending, answer.clone())?;
        Ok(answer)
    }
}

/// What the proxy says to a try.
fn of_try(reply: &Reply) -> Answer {
    match (reply.status, &reply.body.rid) {
        (202, Some(rid)) => Answer::Accepted { rid: rid.clone() },
        (200, Some(rid)) => Answer::Duplicate { rid: rid.clone() },
        _ => rejected(reply),
    }
}

/// What the shop says to a try. Whether it was the first, only the proxy knows.
fn of_checkout(reply: &Reply) -> Answer {
    match (reply.status, &reply.body.reservation) {
        (201, Some(rid)) => Answer::Duplicate { rid: rid.clone() },
        // Whether the units went back is not said.
        _ if reply.body.code.is_none() => unknown("the shop turned him down"),
        _ => rejected(reply),
    }
}

fn rejected(reply: &Reply) -> Answer {
    let code = reply.body.code.as_deref().unwrap_or_default();
    let verdict = match code {
        "sold_out" => Rejection::SoldOut,
        "limited" => Rejection::Limited,
        "not_started" => Rejection::NotStarted,
        "ended" => Rejection::Ended,
        "paused" => Rejection::Paused,
        _ => return neither(reply),
    };
    Answer::Rejected { verdict }
}

fn settled(reply: &Reply, good: Answer) -> Answer {
    if reply.status == 200 {
        good
    } else {
        neither(reply)
    }
}

fn neither(reply: &Reply) -> Answer {
    let code = reply.body.code.as_deref().unwrap_or("no code");
    let why = format!("{} {code}", reply.status);
    // Of these two it is known that nothing was done; of others that are busy it is not.
    if (400..500).contains(&reply.status) && code != "in_progress" {
        Answer::Refused { why }
    } else {
        unknown(&why)
    }
}

fn unknown(why: &str) -> Answer {
    Answer::Unknown {
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> Reply {
        Reply {
            status,
            body: serde_json::from_str(body).unwrap(),
        }
    }

    #[test]
    fn answers_to_a_try_are_read_as_the_proxy_means_them() {
        let rid = || "7-1".to_owned();
        let told = r#"{"sid":"1","rid":"7-1","status":"queued"}"#;
        assert_eq!(of_try(&reply(202, told)), Answer::Accepted { rid: rid() });
        assert_eq!(of_try(&reply(200, told)), Answer::Duplicate { rid: rid() });
        for (status, code, verdict) in [
            (410, "sold_out", Rejection::SoldOut),
            (429, "limited", Rejection::Limited),
            (503, "paused", Rejection::Paused),
        ] {
            let body = format!(r#"{{"code":"{code}"}}"#);
            let answer = of_try(&reply(status, &body));
            assert_eq!(answer, Answer::Rejected { verdict });
        }
        for (status, code) in [
            (503, "unavailable"),
            (500, "internal"),
            (409, "in_progress"),
        ] {
            let answer = of_try(&reply(status, &format!(r#"{{"code":"{code}"}}"#)));
            assert!(matches!(answer, Answer::Unknown { .. }), "{answer}");
        }
        let answer = of_try(&reply(400, r#"{"code":"bad_quantity"}"#));
        assert!(matches!(answer, Answer::Refused { .. }), "{answer}");
    }

    #[test]
    fn what_the_shop_says_is_no_promise_of_a_new_reservation() {
        let told = r#"{"sale":"1","reservation":"7-1"}"#;
        let has = Answer::Duplicate {
            rid: "7-1".to_owned(),
        };
        assert_eq!(of_checkout(&reply(201, told)), has);
        assert!(matches!(
            of_checkout(&reply(422, told)),
            Answer::Unknown { .. }
        ));
        let gone = of_checkout(&reply(409, r#"{"code":"reservation_gone"}"#));
        assert!(matches!(gone, Answer::Refused { .. }), "{gone}");
    }
}
