//! What the tests of the module share: a server, and commands in one line.

use redis::{Connection, RedisResult, Value};
use seckill_protocol::Verdict;
use seckill_protocol::VerdictDetail::{Integer, Reservation};
use seckill_testbed::{Place, Redis, User};

/// A server, and where it lives.
pub(crate) struct Server {
    pub(crate) redis: Redis,
    pub(crate) place: Place,
}

impl Server {
    pub(crate) fn start(name: &str) -> Self {
        Self::start_with(name, &[])
    }

    pub(crate) fn start_with(name: &str, lines: &[&str]) -> Self {
        let place = Place::temporary(name).unwrap();
        let redis = Redis::start_with(&place, lines).unwrap();
        Self { redis, place }
    }

    pub(crate) fn client(&self) -> Client {
        Client(self.redis.connect(User::Anything).unwrap())
    }
}

/// A connection that may do anything.
pub(crate) struct Client(pub(crate) Connection);

impl Client {
    /// A command as a person types it: words separated by single blanks.
    pub(crate) fn run(&mut self, line: &str) -> RedisResult<Value> {
        let mut words = line.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        for word in words {
            command.arg(word);
        }
        command.query(&mut self.0)
    }

    /// The reply as text; panics at an error.
    pub(crate) fn text(&mut self, line: &str) -> String {
        match self.run(line) {
            Ok(value) => redis::from_redis_value(value).unwrap(),
            Err(error) => panic!("{line}: {error}"),
        }
    }

    /// The error; panics if there is none.
    pub(crate) fn error(&mut self, line: &str) -> String {
        match self.run(line) {
            Ok(value) => panic!("{line}: expected an error, got {value:?}"),
            // The crate takes the code apart from the message; put them together again.
            Err(error) => match error.code() {
                Some(code) => format!("{code} {}", error.detail().unwrap_or_default()),
                None => error.to_string(),
            },
        }
    }

    pub(crate) fn try_(&mut self, line: &str) -> Verdict {
        verdict(self.run(&format!("SECKILL.TRY {line}")).unwrap())
    }

    /// One field of `SECKILL.INFO`.
    pub(crate) fn info(&mut self, sid: &str, field: &str) -> String {
        let map: std::collections::HashMap<String, String> =
            redis::from_redis_value(self.run(&format!("SECKILL.INFO {sid}")).unwrap()).unwrap();
        map[field].clone()
    }

    pub(crate) fn digest(&mut self, sid: &str) -> String {
        let digests: Vec<String> =
            redis::from_redis_value(self.run(&format!("DEBUG DIGEST-VALUE {sid}")).unwrap())
                .unwrap();
        digests[0].clone()
    }

    pub(crate) fn audit(&mut self, sid: &str) -> String {
        self.text(&format!("SECKILL.AUDIT {sid}"))
    }
}

pub(crate) fn verdict(reply: Value) -> Verdict {
    let Value::Array(parts) = reply else {
        panic!("expected a verdict and a detail, got {reply:?}")
    };
    let [Value::BulkString(word), detail] = &parts[..] else {
        panic!("expected a verdict and a detail, got {parts:?}")
    };
    let word = std::str::from_utf8(word).unwrap();
    let detail = match detail {
        Value::Int(number) => Integer(*number),
        Value::BulkString(bytes) => {
            Reservation(std::str::from_utf8(bytes).unwrap().parse().unwrap())
        }
        other => panic!("unexpected detail {other:?}"),
    };
    Verdict::from_reply(word, detail).unwrap()
}

pub(crate) fn accepted(verdict: Verdict) -> String {
    match verdict {
        Verdict::Accepted(rid) => rid.to_string(),
        other => panic!("expected ACCEPTED, got {other:?}"),
    }
}
