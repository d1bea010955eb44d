//! Redis's module functions behind safe calls: every `unsafe` of the project is in this folder.
//!
//! Redis hands out its functions as pointers that a server too old for one leaves empty. They are
//! read here when the module loads, so that a missing one refuses the load and never a command.
//!
//! | file | holds |
//! | --- | --- |
//! | `functions` | the functions, and how they are looked up |
//! | `server` | events, configuration, `INFO`, registering commands |
//! | `call` | one call of a command: its arguments, what it propagates and announces |
//! | `reply` | its replies |
//! | `block` | a client that waits |
//! | `scan` | walking over all keys, a little at a time |
//! | `key` | an open key |
//! | `value` | saving, loading and freeing what is under it |
//!
//! Invariants that the `SAFETY` lines refer to:
//!
//! 1. *Pointers.* `RawContext`, `RawString`, `RawKey` and `RawIo` are made only from what Redis
//!    passed to a callback, and are used only until that callback returns.
//! 2. *One thread.* Redis runs commands, loads and saves on one thread at a time, and nothing here
//!    keeps a reference into a value across callbacks. Only freeing may happen on another thread.
//! 3. *Ours.* A value whose type is `flashsale` was made by `Box::into_raw` of an `Entry`.

mod block;
mod call;
mod functions;
mod key;
mod reply;
mod scan;
mod server;
mod value;

pub(crate) use block::{WAIT_ON, await_key, wake};
pub(crate) use call::{
    OwnedString, arguments, bytes, is_blocking_denied, is_replayed, log_warning, notify, publish,
    replicate_apply, replicate_verbatim, signal_modified,
};
pub(crate) use key::{Held, Key};
pub(crate) use reply::{
    reply_array, reply_error, reply_integer, reply_map, reply_null, reply_simple_string,
    reply_string, reply_wrong_arity,
};
pub(crate) use scan::{Found, Scan, after, may_write, replicas_are_paused, take_scan};
pub(crate) use server::{
    add_category, add_config, add_info_section, create_command, load_configs, on_load_end,
    on_promotion,
};
pub(crate) use value::{
    digest_block, digest_end, drop_value, emit_apply, entry, into_value, load_block,
    log_load_error, save_block,
};

use functions::Functions;
use redis_module::raw;
use std::ffi::{CStr, c_int};
use std::sync::OnceLock;

pub(crate) type RawContext = *mut raw::RedisModuleCtx;
pub(crate) type RawString = *mut raw::RedisModuleString;
pub(crate) type RawKey = *mut raw::RedisModuleKey;
pub(crate) type RawIo = *mut raw::RedisModuleIO;
pub(crate) type RawDigest = *mut raw::RedisModuleDigest;
/// A command's entry point.
pub(crate) type RawCommand = extern "C" fn(RawContext, *mut RawString, c_int) -> c_int;

/// The command that carries effects.
const APPLY: &CStr = c"SECKILL.APPLY";

/// What `load` found out.
struct Loaded {
    functions: Functions,
    flashsale: *mut raw::RedisModuleType,
    seed: u64,
}

// SAFETY: function pointers, a pointer that is only compared and passed back to Redis, a number.
unsafe impl Send for Loaded {}
// SAFETY: as above; nothing in it changes after it is made.
unsafe impl Sync for Loaded {}

static LOADED: OnceLock<Loaded> = OnceLock::new();

/// Reads the functions. Called once, by `init`, with the data type that was created just before.
pub(crate) fn load(
    context: RawContext,
    flashsale: *mut raw::RedisModuleType,
) -> Result<(), &'static str> {
    let functions = Functions::read()?;
    let mut seed = [0_u8; 8];
    // SAFETY: the buffer is as long as said.
    unsafe { (functions.random_bytes)(seed.as_mut_ptr(), seed.len()) };
    let options = raw::REDISMODULE_OPTIONS_HANDLE_IO_ERRORS
        | raw::REDISMODULE_OPTION_NO_IMPLICIT_SIGNAL_MODIFIED
        | raw::REDISMODULE_OPTIONS_HANDLE_REPL_ASYNC_LOAD;
    let options = c_int::try_from(options).map_err(|_| "module options out of range")?;
    // SAFETY: invariant 1.
    unsafe { (functions.set_module_options)(context, options) };
    let loaded = Loaded {
        functions,
        flashsale,
        seed: u64::from_ne_bytes(seed),
    };
    LOADED
        .set(loaded)
        .map_err(|_| "the module is loaded already")
}

fn loaded() -> &'static Loaded {
    // No command is registered and no value loaded before `load` has returned: a call that comes
    // earlier has nothing sound to do.
    LOADED.get().unwrap_or_else(|| std::process::abort())
}

fn functions() -> &'static Functions {
    &loaded().functions
}

/// A number that differs from process to process, for the hashing of buyers' ids.
pub(crate) fn seed() -> u64 {
    loaded().seed
}

/// Unix time in milliseconds.
pub(crate) fn now_ms() -> u64 {
    // SAFETY: takes nothing, returns a number.
    let now_ms = unsafe { (functions().milliseconds)() };
    u64::try_from(now_ms).unwrap_or(0)
}

fn is_ok(status: c_int) -> bool {
    i64::from(status) == raw::REDISMODULE_OK as i64
}
