//! What a client is told when a command is refused.

use seckill_sale::{ApplyError, AuditError, DecodeError, Refusal, RestoreError};
use std::ffi::{CStr, CString};

/// A command that is refused.
#[derive(Debug)]
pub(crate) enum Error {
    /// Too many or too few arguments.
    Arity,
    /// Anything else: the whole line, with its code in front.
    Line(String),
}

pub(crate) type Result<T> = std::result::Result<T, Error>;

/// An argument that is wrong.
pub(crate) fn bad(message: impl std::fmt::Display) -> Error {
    Error::Line(format!("ERR {message}"))
}

pub(crate) fn no_sale() -> Error {
    Error::Line("NOSALE no such sale".into())
}

pub(crate) fn wrong_type() -> Error {
    Error::Line("WRONGTYPE Operation against a key holding the wrong kind of value".into())
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal {
            Refusal::NoReservation => "NORESERVATION",
            Refusal::Fenced => "FENCED",
            Refusal::Gone(_) => "GONE",
            Refusal::NoStock { .. } => "NOSTOCK",
            Refusal::QuantityAboveLimit { .. }
            | Refusal::RestockBelowAvailable { .. }
            | Refusal::RestockAboveMax
            | Refusal::EmptyWindow { .. }
            | Refusal::BeyondHead { .. }
            | Refusal::ForeignEpoch(_)
            | Refusal::Full
            | Refusal::Selling
            | Refusal::RestoreBeyondHead { .. }
            | Refusal::RestoreOther(_)
            | Refusal::RestoreUnits { .. }
            | Refusal::RestoreTotal { .. }
            | Refusal::NoJoint { .. }
            | Refusal::Internal(_) => "ERR",
        };
        Self::Line(format!("{code} {refusal}"))
    }
}

impl From<ApplyError> for Error {
    fn from(error: ApplyError) -> Self {
        bad(format_args!("effects do not fit: {error}"))
    }
}

impl From<RestoreError> for Error {
    fn from(error: RestoreError) -> Self {
        bad(error)
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        bad(error)
    }
}

impl From<AuditError> for Error {
    fn from(error: AuditError) -> Self {
        Self::Line(format!("AUDIT {error}"))
    }
}

/// The longest piece of a client's own bytes that an error quotes.
const QUOTED_BYTES_MAX: usize = 64;

/// A client's bytes, made safe to stand in one line.
pub(crate) fn quote(bytes: &[u8]) -> String {
    match bytes.get(..QUOTED_BYTES_MAX) {
        Some(start) if start.len() < bytes.len() => format!("'{}…'", start.escape_ascii()),
        _ => format!("'{}'", bytes.escape_ascii()),
    }
}

/// Text as C wants it. What C cannot hold is left out.
pub(crate) fn c_text(text: &str) -> CString {
    let text: Vec<u8> = text.bytes().filter(|&byte| byte != 0).collect();
    CString::new(text).unwrap_or_else(|_| CStr::to_owned(c"ERR"))
}
