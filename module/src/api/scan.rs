//! Walking over all keys of a server, a little at a time.

use super::{OwnedString, RawContext, RawKey, RawString, bytes, functions, is_ok, loaded};
use redis_module::raw;
use std::ffi::{c_int, c_void};
use std::time::Duration;

/// A walk over the sales of all databases.
pub(crate) struct Scan {
    database: c_int,
    cursor: *mut raw::RedisModuleScanCursor,
}

/// What a step of a walk found.
pub(crate) enum Found {
    /// These sales, whose database is selected now; there may be more.
    Sales(Vec<OwnedString>),
    /// The walk is over.
    End,
}

/// Buckets of the key space that one step looks at.
const BUCKETS_PER_STEP: usize = 1000;

// === impl Scan ===

impl Scan {
    pub(crate) fn new() -> Self {
        // SAFETY: takes nothing; the cursor is ours until `drop`.
        let cursor = unsafe { (functions().scan_cursor_create)() };
        Self {
            database: 0,
            cursor,
        }
    }

    pub(crate) fn step(&mut self, context: RawContext) -> Found {
        // SAFETY: invariant 1; a number that is no database is refused.
        if !is_ok(unsafe { (functions().select_db)(context, self.database) }) {
            return Found::End;
        }
        let mut names: Vec<Vec<u8>> = Vec::new();
        let mut more = true;
        for _ in 0..BUCKETS_PER_STEP {
            let data = (&raw mut names).cast();
            // SAFETY: invariant 1; the cursor is ours; `collect` takes `data` for what it is, and only
            // until the call returns.
            let status = unsafe { (functions().scan)(context, self.cursor, Some(collect), data) };
            more = status != 0;
            if !more {
                break;
            }
        }
        if !more {
            self.database += 1;
            // SAFETY: the cursor is ours.
            unsafe { (functions().scan_cursor_restart)(self.cursor) };
        }
        let strings = names.iter().map(|name| OwnedString::new(context, name));
        Found::Sales(strings.collect())
    }
}

impl Drop for Scan {
    fn drop(&mut self) {
        // SAFETY: the cursor was made by `new` and is given back once.
        unsafe { (functions().scan_cursor_destroy)(self.cursor) };
    }
}

/// Keeps the names of sales. What Redis passes lives only until it returns.
unsafe extern "C" fn collect(_: RawContext, name: RawString, key: RawKey, names: *mut c_void) {
    if key.is_null() {
        return;
    }
    // SAFETY: Redis passes an open key.
    let value_type = unsafe { (functions().value_type)(key) };
    // SAFETY: `step` passed a pointer to its list, which nothing else uses meanwhile.
    let names = unsafe { names.cast::<Vec<Vec<u8>>>().as_mut() };
    if let Some(names) = names
        && value_type == loaded().flashsale
    {
        names.push(bytes(name).to_vec());
    }
}

/// What a timer calls.
pub(crate) type TimerCallback = unsafe extern "C" fn(RawContext, *mut c_void);

/// Has `callback` called after a while, once.
pub(crate) fn after(context: RawContext, wait: Duration, callback: TimerCallback, scan: Scan) {
    let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
    let data = Box::into_raw(Box::new(scan)).cast();
    // SAFETY: invariant 1; the callback is a function of this module, which is never unloaded, and
    // takes the data back by `take_scan`.
    unsafe { (functions().create_timer)(context, wait_ms, Some(callback), data) };
}

/// Takes back what was given to [`after`], in its callback.
pub(crate) fn take_scan(data: *mut c_void) -> Scan {
    // SAFETY: Redis hands a timer's data to its callback once, and `after` made it from a box.
    *unsafe { Box::from_raw(data.cast()) }
}

/// Whether this node is a primary and may send to its replicas.
pub(crate) fn may_write(context: RawContext) -> bool {
    // SAFETY: invariant 1.
    let flags = unsafe { (functions().context_flags)(context) };
    u32::try_from(flags).unwrap_or(0) & raw::REDISMODULE_CTX_FLAGS_MASTER != 0
}

/// Whether replicas are not to be sent to just now: a failover waits for them to catch up.
pub(crate) fn replicas_are_paused() -> bool {
    // SAFETY: takes nothing, returns a number.
    unsafe { (functions().avoid_replica_traffic)() != 0 }
}
