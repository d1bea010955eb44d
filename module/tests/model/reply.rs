//! A reply, from the server or from the model, in one form.

use redis::Value;
use seckill_protocol::{EventBatch, Verdict, VerdictDetail};
use std::fmt;

#[derive(Clone, PartialEq)]
pub(crate) enum Reply {
    Word(String),
    Number(i64),
    Text(String),
    Null,
    List(Vec<Self>),
    /// The packed form of the log.
    Events(EventBatch),
    /// The whole line, with its code in front.
    Error(String),
}

impl Reply {
    pub(crate) fn ok() -> Self {
        Self::Word("OK".into())
    }

    pub(crate) fn text(text: impl fmt::Display) -> Self {
        Self::Text(text.to_string())
    }

    /// Replies hold signed numbers; what is larger is shown as the largest.
    pub(crate) fn number(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }

    pub(crate) fn verdict(verdict: &Verdict) -> [Self; 2] {
        let detail = match verdict.detail() {
            VerdictDetail::Integer(number) => Self::Number(number),
            VerdictDetail::Reservation(rid) => Self::text(rid),
        };
        [Self::text(verdict.word()), detail]
    }

    /// A map, as a client that speaks the second version of the protocol gets it.
    pub(crate) fn map(fields: impl IntoIterator<Item = (&'static str, Self)>) -> Self {
        let flat = fields.into_iter();
        Self::List(
            flat.flat_map(|(name, value)| [Self::text(name), value])
                .collect(),
        )
    }

    /// What the server sent to a command of this name. Memory is the server's own affair, as long as
    /// there is some.
    pub(crate) fn from_server(value: Value, name: &[u8]) -> Self {
        match value {
            Value::BulkString(bytes) if name.eq_ignore_ascii_case(b"SECKILL.EVENTS") => {
                Self::Events(EventBatch::from_packed(&bytes).unwrap())
            }
            other => {
                let mut reply = Self::plain(other);
                if name.eq_ignore_ascii_case(b"SECKILL.INFO")
                    && let Self::List(fields) = &mut reply
                    && let Some(at) = fields
                        .iter()
                        .position(|field| *field == Self::text("memory"))
                    && matches!(fields[at + 1], Self::Number(1..))
                {
                    fields[at + 1] = Self::text("positive");
                }
                reply
            }
        }
    }

    fn plain(value: Value) -> Self {
        match value {
            Value::Okay => Self::ok(),
            Value::SimpleString(word) => Self::Word(word),
            Value::Int(number) => Self::Number(number),
            Value::Nil => Self::Null,
            Value::BulkString(bytes) => Self::Text(String::from_utf8(bytes).unwrap()),
            Value::Array(items) => Self::List(items.into_iter().map(Self::plain).collect()),
            Value::ServerError(error) => {
                let (code, details) = (error.code(), error.details().unwrap_or_default());
                Self::Error(format!("{code} {details}"))
            }
            other => panic!("no command of ours replies {other:?}"),
        }
    }
}

/// Like the lines of redis-cli, but on one line.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => f.write_str(word),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Null => f.write_str("(nil)"),
            Self::List(items) => f.debug_list().entries(items).finish(),
            Self::Events(batch) => write!(f, "{batch:?}"),
            Self::Error(line) => write!(f, "(error) {line}"),
        }
    }
}
