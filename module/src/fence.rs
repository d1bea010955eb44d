//! `seckill.fence`: when a sale that this node comes to own is fenced.

use crate::api::{self, RawContext, RawString};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

/// When a sale is fenced until MySQL has been compared with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fence {
    /// When this node becomes primary in place of another, whose last facts it may lack.
    Promotion,
    /// Also after a restart: the disk may lack the last second, with `appendfsync everysec`.
    Always,
    /// Never: it only begins a new epoch. The order writer still takes it up only where MySQL has
    /// what the copy has.
    Never,
}

/// By their places.
const WORDS: [&CStr; 3] = [c"promotion", c"always", c"never"];

static SETTING: AtomicI32 = AtomicI32::new(0);

/// The setting as it is now.
pub(crate) fn setting() -> Fence {
    match SETTING.load(Relaxed) {
        1 => Fence::Always,
        2 => Fence::Never,
        _ => Fence::Promotion,
    }
}

/// Registers the setting.
pub(crate) fn register(context: RawContext) -> Result<(), &'static str> {
    api::add_config(context, c"fence", &WORDS, read, set)
}

extern "C" fn read(_name: *const c_char, _data: *mut c_void) -> c_int {
    SETTING.load(Relaxed)
}

extern "C" fn set(
    _name: *const c_char,
    place: c_int,
    _data: *mut c_void,
    _error: *mut RawString,
) -> c_int {
    // Redis lets nothing through but the words that were registered.
    SETTING.store(place, Relaxed);
    0
}
