//! One buyer: asks, and asks again where no answer came.

use crate::answer::{Answer, Silence};
use crate::connection::{Connection, Question};
use crate::outcome::{Answers, Told};
use crate::plan::Course;
use crate::progress::Progress;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, header};
use http_body_util::Empty;
use seckill_protocol::{ReservationId, Uid};
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The pause after the first silence; it doubles up to [`PAUSE_MAX`].
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// What somebody needs at least to look at an answer and to click again.
const THINKS: Duration = Duration::from_secs(2);

/// One buyer.
pub(crate) struct Buyer {
    pub(crate) uid: Uid,
    pub(crate) uid_header: HeaderValue,
    pub(crate) course: Arc<Course>,
    pub(crate) address: SocketAddr,
    pub(crate) progress: Arc<Progress>,
    /// The idempotency key of the first try; the next ones count up. No other run has them.
    pub(crate) first_key: u64,
    pub(crate) connection: Option<Connection>,
    pub(crate) book: Book,
}

/// What one buyer keeps of his tries.
#[derive(Default)]
pub(crate) struct Book {
    pub(crate) answers: Answers,
    pub(crate) silences: BTreeMap<Silence, u64>,
    pub(crate) given_up: u64,
    /// From a try's first question to its answer.
    pub(crate) latencies: Vec<Duration>,
    pub(crate) told: Vec<Told>,
}

// === impl Buyer ===

impl Buyer {
    /// Opens the connection ahead of the start. Without one the first question opens it.
    pub(crate) async fn connect(&mut self) -> Result<(), Silence> {
        let opened = timeout(self.course.timeout, Connection::open(self.address)).await;
        self.connection = match opened {
            Ok(Ok(connection)) => Some(connection),
            Ok(Err(_)) => return Err(Silence::NoConnection),
            Err(_) => return Err(Silence::Timeout),
        };
        Ok(())
    }

    /// All tries, one right after the other, the first one at `time`: as a program does, or somebody in a
    /// crowd.
    pub(crate) async fn buy(mut self, time: Instant) -> Book {
        let mut due = time;
        for number in 0..self.course.tries {
            self.one_try(&self.key(number), due).await;
            due = Instant::now();
        }
        self.book
    }

    /// Comes at his time, and asks as people do: what he waits counts from then on, and not from when
    /// there was room for him. He waits before he asks again, and leaves when there is nothing to hope
    /// for, or not within his patience.
    pub(crate) async fn come(mut self, time: Instant) -> Book {
        let mut due = time;
        for number in 0..self.course.tries {
            let answer = self.one_try(&self.key(number), due).await;
            if matches!(
                answer,
                Some(Answer::Accepted(_) | Answer::Duplicate(_) | Answer::Ended)
            ) {
                break;
            }
            let told = self.connection.as_ref().and_then(Connection::retry_after);
            if told > Some(self.course.patience) {
                break;
            }
            // Somewhat later than he was told to: all who were told the same must not be one crowd.
            let wait = told.unwrap_or_default().max(THINKS);
            due = Instant::now() + wait + jittered(THINKS);
            if number + 1 < self.course.tries {
                sleep_until(due).await;
            }
        }
        self.book
    }

    fn key(&self, number: u32) -> HeaderValue {
        self.first_key.wrapping_add(u64::from(number)).into()
    }

    /// Asks until there is an answer. `began` is when it should have been asked first.
    async fn one_try(&mut self, key: &HeaderValue, began: Instant) -> Option<Answer> {
        let mut pause = PAUSE_FIRST;
        loop {
            let answer = match self.ask(key).await {
                Ok(Answer::Paused) if self.course.waits_out_pauses => Err(Silence::Status(503)),
                answer => answer,
            };
            match answer {
                Ok(answer) => {
                    self.book.latencies.push(began.elapsed());
                    self.keep(answer);
                    return Some(answer);
                }
                Err(silence) => {
                    self.connection = None;
                    *self.book.silences.entry(silence).or_default() += 1;
                    self.progress.unanswered();
                }
            }
            if began.elapsed() >= self.course.patience {
                self.book.given_up += 1;
                self.progress.given_up();
                return None;
            }
            sleep(jittered(pause)).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn ask(&mut self, key: &HeaderValue) -> Result<Answer, Silence> {
        if !self.connection.as_ref().is_some_and(Connection::is_usable) {
            self.connect().await?;
        }
        let question = self.question(key);
        let connection = self.connection.as_mut().ok_or(Silence::NoConnection)?;
        connection.ask(question, self.course.timeout).await
    }

    fn question(&self, key: &HeaderValue) -> Question {
        let mut question = Request::new(Empty::<Bytes>::new());
        *question.method_mut() = http::Method::POST;
        *question.uri_mut() = self.course.target.clone();
        let headers = question.headers_mut();
        headers.insert(header::HOST, self.course.host.clone());
        headers.insert(self.course.buyer_header.clone(), self.uid_header.clone());
        if self.course.keys {
            headers.insert(IDEMPOTENCY_KEY, key.clone());
        }
        question
    }

    fn keep(&mut self, answer: Answer) {
        self.book.answers.count(answer);
        match answer {
            Answer::Accepted(rid) => self.told(rid).accepted += 1,
            Answer::Duplicate(rid) => self.told(rid).duplicate += 1,
            _ => {}
        }
        self.progress.answered();
    }

    /// His note about `rid`. He has few: the sale's limit is what he may have.
    #[expect(
        clippy::indexing_slicing,
        reason = "the place was found or made just before"
    )]
    fn told(&mut self, rid: ReservationId) -> &mut Told {
        let told = &mut self.book.told;
        let place = told.iter().position(|told| told.rid == rid);
        let place = place.unwrap_or_else(|| {
            self.progress.reserved();
            told.push(Told {
                uid: self.uid.clone(),
                rid,
                accepted: 0,
                duplicate: 0,
            });
            told.len() - 1
        });
        &mut told[place]
    }
}

/// Between half of `pause` and all of it: a crowd whose proxy went away must not come back as one.
fn jittered(pause: Duration) -> Duration {
    let chance = RandomState::new().hash_one(0_u8) % 1024;
    let share = u32::try_from(chance).unwrap_or(0);
    pause / 2 + pause / 2 * share / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_between_half_and_all_of_what_it_should_be() {
        for _ in 0..1000 {
            let pause = jittered(PAUSE_MAX);
            assert!(pause >= PAUSE_MAX / 2 && pause <= PAUSE_MAX, "{pause:?}");
        }
    }
}
