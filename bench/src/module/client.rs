//! Sends commands that were prepared beforehand, and counts the answers.

use anyhow::{Result, bail, ensure};
use redis::{Cmd, Connection, ConnectionLike, FromRedisValue, Value};
use seckill_testbed::{Redis, User};
use std::borrow::Borrow;
use std::time::Duration;

/// How many decisions are on the wire at once.
pub(crate) const BATCH: usize = 64;

/// The slowest answer is that of a SAVE of millions.
const REPLY_LIMIT: Duration = Duration::from_secs(600);

/// How many of the answers have to be the expected one. A rate lets somebody through now and then.
const EXPECTED_SHARE: f64 = 0.99;

/// Commands as they go over the wire, all at once.
pub(crate) struct Batch {
    bytes: Vec<u8>,
    pub(crate) replies: usize,
}

/// A connection that may do anything.
pub(crate) struct Client(Connection);

// === impl Batch ===

impl Batch {
    /// As many commands in each batch as given; made when they are asked for.
    pub(crate) fn all(
        commands: impl IntoIterator<Item = Cmd>,
        in_each: usize,
    ) -> impl Iterator<Item = Self> {
        let mut commands = commands.into_iter().fuse();
        std::iter::from_fn(move || {
            let mut batch = Self {
                bytes: Vec::new(),
                replies: 0,
            };
            for command in commands.by_ref().take(in_each) {
                command.write_packed_command(&mut batch.bytes);
                batch.replies += 1;
            }
            (batch.replies > 0).then_some(batch)
        })
    }
}

// === impl Client ===

impl Client {
    pub(crate) fn of(redis: &Redis) -> Result<Self> {
        let connection = redis.connect(User::Anything)?;
        connection.set_read_timeout(Some(REPLY_LIMIT))?;
        connection.set_write_timeout(Some(REPLY_LIMIT))?;
        Ok(Self(connection))
    }

    /// A command as a person types it: words separated by single blanks.
    pub(crate) fn run<T: FromRedisValue>(&mut self, line: &str) -> Result<T> {
        let mut words = line.split(' ');
        let mut command = redis::cmd(words.next().unwrap_or_default());
        for word in words {
            command.arg(word);
        }
        Ok(command.query(&mut self.0)?)
    }

    pub(crate) fn query<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T> {
        Ok(command.query(&mut self.0)?)
    }

    /// Sends commands in batches, and returns the answers.
    pub(crate) fn ask(&mut self, batches: impl Iterator<Item = Batch>) -> Result<Vec<Value>> {
        let mut replies = Vec::new();
        for batch in batches {
            replies.extend(self.send(&batch)?);
        }
        Ok(replies)
    }

    /// Sends batches one after the other, and all that they are answered has to be `expected`.
    pub(crate) fn expect(
        &mut self,
        batches: impl IntoIterator<Item = impl Borrow<Batch>>,
        expected: &[&str],
    ) -> Result<()> {
        let (mut hits, mut all) = (0, 0);
        let mut other = None;
        for batch in batches {
            for reply in self.send(batch.borrow())? {
                for word in words(&reply) {
                    all += 1;
                    if expected.contains(&word) {
                        hits += 1;
                    } else {
                        other = Some(word.to_owned());
                    }
                }
            }
        }
        ensure!(
            f64::from(hits) >= EXPECTED_SHARE * f64::from(all),
            "expected {expected:?} in {all} answers, found it in {hits}; another is {other:?}"
        );
        Ok(())
    }

    fn send(&mut self, batch: &Batch) -> Result<Vec<Value>> {
        let replies = self.0.req_packed_commands(&batch.bytes, 0, batch.replies)?;
        for reply in &replies {
            if let Value::ServerError(error) = reply {
                bail!("the server answers {error}");
            }
        }
        Ok(replies)
    }
}

/// What an answer says: the verdicts of a try or of many, or what another command answers.
fn words(reply: &Value) -> Vec<&str> {
    match reply {
        // A verdict and its detail, and again.
        Value::Array(parts) => parts.iter().step_by(2).map(word).collect(),
        other => vec![word(other)],
    }
}

fn word(value: &Value) -> &str {
    match value {
        Value::Int(_) => "an integer",
        Value::Okay => "OK",
        Value::SimpleString(text) => text,
        Value::BulkString(bytes) => str::from_utf8(bytes).unwrap_or("bytes"),
        _ => "something else",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_packed_into_batches() {
        let commands = (0..5).map(|_| redis::cmd("PING"));
        let batches: Vec<_> = Batch::all(commands, 2).collect();
        let replies: Vec<_> = batches.iter().map(|batch| batch.replies).collect();
        assert_eq!(replies, [2, 2, 1]);
        assert_eq!(batches[0].bytes, b"*1\r\n$4\r\nPING\r\n".repeat(2));
    }

    #[test]
    fn verdicts_are_read_with_their_details_left_out() {
        let verdict = |word: &str| Value::BulkString(word.into());
        let rid = Value::BulkString(b"1763800000000-42".to_vec());
        let many = Value::Array(vec![
            verdict("ACCEPTED"),
            rid.clone(),
            verdict("SOLDOUT"),
            Value::Int(-1),
        ]);
        assert_eq!(words(&many), ["ACCEPTED", "SOLDOUT"]);
        let script = Value::Array(vec![Value::BulkString(b"ACCEPTED".to_vec()), rid]);
        assert_eq!(words(&script), ["ACCEPTED"]);
        assert_eq!(words(&Value::Int(7)), ["an integer"]);
        assert_eq!(words(&Value::Okay), ["OK"]);
    }
}
