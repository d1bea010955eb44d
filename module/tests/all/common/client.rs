//! Commands in one line.

use super::Route;
use super::watch::Watch;
use redis::{Cmd, FromRedisValue, RedisResult, Value};
use seckill_protocol::Verdict;
use seckill_protocol::VerdictDetail::{Integer, Reservation};
use seckill_testbed::{Redis, User};
use std::collections::HashMap;

/// Sends commands to wherever their key is, and looks at the sale as the mode wants it.
pub(crate) struct Client {
    route: Route,
    watch: Watch,
}

impl Client {
    pub(crate) fn new(route: Route, watch: Watch) -> Self {
        Self { route, watch }
    }

    /// A client of just this server, which may do anything and whom no mode watches.
    pub(crate) fn of(redis: &Redis) -> Self {
        Self::new(Route::to([redis], User::Anything), Watch::Nothing)
    }

    pub(crate) fn send(&mut self, command: &Cmd) -> RedisResult<Value> {
        let reply = self.route.send(command);
        self.watch.look_after(command);
        reply
    }

    /// The reply as what it is to be; panics at an error.
    pub(crate) fn query<T: FromRedisValue>(&mut self, command: &Cmd) -> T {
        redis::from_redis_value(self.send(command).unwrap()).unwrap()
    }

    /// A command as a person types it: words separated by single blanks.
    pub(crate) fn run(&mut self, line: &str) -> RedisResult<Value> {
        self.send(redis::Cmd::new().arg(line.split(' ').collect::<Vec<_>>()))
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
        let map: HashMap<String, String> =
            redis::from_redis_value(self.run(&format!("SECKILL.INFO {sid}")).unwrap()).unwrap();
        map[field].clone()
    }

    /// One field of a section of the server's own `INFO`.
    pub(crate) fn server_info(&mut self, section: &str, field: &str) -> String {
        let text = self.text(&format!("INFO {section}"));
        let line = format!("{field}:");
        let value = text.lines().find_map(|text| text.strip_prefix(&line));
        let value = value.unwrap_or_else(|| panic!("no {field} in {text}"));
        value.trim().to_owned()
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
