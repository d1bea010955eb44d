//! One call of a command: its arguments, what it propagates, and whom it tells.

use super::{APPLY, RawContext, RawString, functions};
use redis_module::raw;
use std::ffi::{CStr, c_int};

/// The argument strings of a call, which live as long as it.
pub(crate) fn arguments<'a>(argv: *mut RawString, argc: c_int) -> &'a [RawString] {
    let count = usize::try_from(argc).unwrap_or(0);
    if argv.is_null() {
        return &[];
    }
    // SAFETY: Redis passes `argc` strings at `argv`, which it keeps until the call returns; the
    // caller keeps to invariant 1.
    unsafe { std::slice::from_raw_parts(argv, count) }
}

/// The bytes of a string, which live as long as the call that passed it.
pub(crate) fn bytes<'a>(string: RawString) -> &'a [u8] {
    let mut length = 0;
    // SAFETY: invariant 1.
    let start = unsafe { (functions().string_ptr_len)(string, &raw mut length) };
    if start.is_null() {
        return &[];
    }
    // SAFETY: Redis says that so many bytes are there; it does not change an argument.
    unsafe { std::slice::from_raw_parts(start.cast(), length) }
}

/// Whether the call comes from a primary, or from an AOF that is being loaded.
pub(crate) fn is_replayed(context: RawContext) -> bool {
    // SAFETY: invariant 1.
    let flags = unsafe { (functions().context_flags)(context) };
    let replayed = raw::REDISMODULE_CTX_FLAGS_REPLICATED | raw::REDISMODULE_CTX_FLAGS_LOADING;
    u32::try_from(flags).unwrap_or(0) & replayed != 0
}

/// Whether a client of this call cannot be kept waiting: it is in a transaction or a script.
pub(crate) fn is_blocking_denied(context: RawContext) -> bool {
    // SAFETY: invariant 1.
    let flags = unsafe { (functions().context_flags)(context) };
    u32::try_from(flags).unwrap_or(0) & raw::REDISMODULE_CTX_FLAGS_DENY_BLOCKING != 0
}

/// Replicates `SECKILL.APPLY key payload`, to replicas and the AOF.
pub(crate) fn replicate_apply(context: RawContext, key: RawString, payload: &[u8]) {
    let replicate = functions().replicate;
    let (start, length) = (payload.as_ptr(), payload.len());
    // SAFETY: invariant 1; the format says a string, then a buffer with its length, and that is
    // what follows. Redis copies the buffer.
    unsafe { replicate(context, APPLY.as_ptr(), c"sb".as_ptr(), key, start, length) };
}

/// Replicates the call as it came.
pub(crate) fn replicate_verbatim(context: RawContext) {
    // SAFETY: invariant 1.
    unsafe { (functions().replicate_verbatim)(context) };
}

/// Tells `WATCH` and client-side caches that a key changed.
pub(crate) fn signal_modified(context: RawContext, key: RawString) {
    // SAFETY: invariant 1.
    unsafe { (functions().signal_modified)(context, key) };
}

/// Tells who listens to keyspace events that something happened to a key.
pub(crate) fn notify(context: RawContext, event: &CStr, key: RawString) {
    let class = c_int::try_from(raw::REDISMODULE_NOTIFY_MODULE).unwrap_or(0);
    // SAFETY: invariant 1; the text ends in NUL.
    unsafe { (functions().notify)(context, class, event.as_ptr(), key) };
}

/// Publishes a message on a channel.
pub(crate) fn publish(context: RawContext, channel: &[u8], message: &[u8]) {
    let channel = OwnedString::new(context, channel);
    let message = OwnedString::new(context, message);
    // SAFETY: invariant 1; both strings live until the end of this function.
    unsafe { (functions().publish)(context, channel.string, message.string) };
}

/// A string of ours, freed when it goes.
pub(crate) struct OwnedString {
    context: RawContext,
    string: RawString,
}

impl OwnedString {
    pub(super) fn new(context: RawContext, bytes: &[u8]) -> Self {
        let (start, length) = (bytes.as_ptr().cast(), bytes.len());
        // SAFETY: invariant 1; Redis copies the bytes.
        let string = unsafe { (functions().create_string)(context, start, length) };
        Self { context, string }
    }

    /// As a command gets its arguments.
    pub(crate) const fn as_raw(&self) -> RawString {
        self.string
    }
}

impl Drop for OwnedString {
    fn drop(&mut self) {
        // SAFETY: it was made by `new` with the same context and is freed once.
        unsafe { (functions().free_string)(self.context, self.string) };
    }
}

/// Writes a warning to the server's log.
pub(crate) fn log_warning(context: RawContext, text: &CStr) {
    let log = functions().log;
    // SAFETY: invariant 1; the text is an argument of the format, not the format.
    unsafe { log(context, c"warning".as_ptr(), c"%s".as_ptr(), text.as_ptr()) };
}
