//! A client that waits until something happens to a key.

use super::{RawCommand, RawContext, RawString, functions};
use std::ffi::c_int;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Whether a client has ever waited here. Most servers of a test, and every replica, have none, and
/// telling Redis of each change costs a little.
static WAITED: AtomicBool = AtomicBool::new(false);

/// Lets the client of this call wait for the key. `ready` is called whenever [`wake`] tells of it, with
/// the same arguments: it replies, or returns 1 to let the client wait on. `timeout` replies after
/// `timeout_ms`; 0 is for ever.
pub(crate) fn await_key(
    context: RawContext,
    mut key: RawString,
    timeout_ms: i64,
    ready: RawCommand,
    timeout: RawCommand,
) {
    WAITED.store(true, Relaxed);
    let block = functions().block_on_keys;
    let no_data = ptr::null_mut();
    // SAFETY: invariant 1; one key, which Redis keeps for itself; the callbacks are functions of this
    // module, which is never unloaded.
    unsafe {
        block(
            context,
            Some(ready),
            Some(timeout),
            None,
            timeout_ms,
            &raw mut key,
            1,
            no_data,
        )
    };
}

/// Tells the clients that wait for a key that something happened to it.
pub(crate) fn wake(context: RawContext, key: RawString) {
    if WAITED.load(Relaxed) {
        // SAFETY: invariant 1.
        unsafe { (functions().signal_ready)(context, key) };
    }
}

/// What `ready` returns to let its client wait on.
pub(crate) const WAIT_ON: c_int = 1;
