//! The value under a key: between Redis and us, in an RDB, in an AOF, in a digest.

use super::{APPLY, RawDigest, RawIo, RawString, functions};
use crate::entry::Entry;
use std::ffi::{CStr, c_void};

/// The value that Redis hands to a callback of the data type.
pub(crate) fn entry<'a>(value: *const c_void) -> Option<&'a Entry> {
    // SAFETY: invariants 2 and 3, for the time of the callback.
    unsafe { value.cast::<Entry>().as_ref() }
}

/// Hands a loaded value to Redis.
pub(crate) fn into_value(entry: Entry) -> *mut c_void {
    Box::into_raw(Box::new(entry)).cast()
}

/// Takes back a value that Redis no longer needs.
pub(crate) fn drop_value(value: *mut c_void) {
    if value.is_null() {
        return;
    }
    // SAFETY: invariant 3; Redis frees a value once.
    drop(unsafe { Box::from_raw(value.cast::<Entry>()) });
}

/// Writes one block to an RDB.
pub(crate) fn save_block(io: RawIo, block: &[u8]) {
    // SAFETY: invariant 1; Redis copies the bytes.
    unsafe { (functions().save_string)(io, block.as_ptr().cast(), block.len()) };
}

/// Reads one block from an RDB and lets `read` look at it; `None` at a short or broken file.
pub(crate) fn load_block<T>(io: RawIo, read: impl FnOnce(&[u8]) -> T) -> Option<T> {
    let mut length = 0;
    // SAFETY: invariant 1.
    let block = unsafe { (functions().load_string)(io, &raw mut length) };
    // SAFETY: invariant 1.
    let failed = unsafe { (functions().is_io_error)(io) } != 0;
    if block.is_null() {
        return None;
    }
    let result = if failed {
        None
    } else {
        // SAFETY: Redis says that so many bytes are there; they are ours until freed below.
        Some(read(unsafe {
            std::slice::from_raw_parts(block.cast(), length)
        }))
    };
    // SAFETY: `LoadStringBuffer` allocated it for us, and the slice above is gone.
    unsafe { (functions().free)(block.cast()) };
    result
}

/// Says in the server's log why a value could not be loaded.
pub(crate) fn log_load_error(io: RawIo, text: &CStr) {
    let log = functions().log_io_error;
    // SAFETY: invariant 1; the text is an argument of the format, not the format.
    unsafe { log(io, c"warning".as_ptr(), c"%s".as_ptr(), text.as_ptr()) };
}

/// Writes `SECKILL.APPLY key block` to an AOF that is being rewritten.
pub(crate) fn emit_apply(io: RawIo, key: RawString, block: &[u8]) {
    let emit = functions().emit_aof;
    let (start, length) = (block.as_ptr(), block.len());
    // SAFETY: invariant 1; the format says a string, then a buffer with its length, and that is
    // what follows.
    unsafe { emit(io, APPLY.as_ptr(), c"sb".as_ptr(), key, start, length) };
}

/// Adds one block to a value's digest.
pub(crate) fn digest_block(digest: RawDigest, block: &[u8]) {
    // SAFETY: invariant 1, of the digest.
    unsafe { (functions().digest_string)(digest, block.as_ptr().cast(), block.len()) };
}

/// Ends a value's digest.
pub(crate) fn digest_end(digest: RawDigest) {
    // SAFETY: invariant 1, of the digest.
    unsafe { (functions().digest_end)(digest) };
}
