//! Redis's module functions, looked up once, behind safe calls.
//!
//! Redis hands out its functions as pointers that a server too old for one leaves empty. They are
//! read here when the module loads, so that a missing one refuses the load and never a command.
//!
//! Invariants that the `SAFETY` lines refer to:
//!
//! 1. *Pointers.* `RawContext`, `RawString`, `RawKey` and `RawIo` are made only from what Redis
//!    passed to a callback, and are used only until that callback returns.
//! 2. *One thread.* Redis runs commands, loads and saves on one thread at a time, and nothing here
//!    keeps a reference into a value across callbacks. Only freeing may happen on another thread.
//! 3. *Ours.* A value whose type is `flashsale` was made by `Box::into_raw` of an `Entry`.

use crate::describe::describe;
use crate::entry::{Entry, promoted};
use crate::manual::Page;
use crate::totals;
use redis_module::raw;
use std::ffi::{CStr, c_char, c_int, c_long, c_longlong, c_uchar, c_ulonglong, c_void};
use std::sync::OnceLock;

pub(crate) type RawContext = *mut raw::RedisModuleCtx;
pub(crate) type RawString = *mut raw::RedisModuleString;
pub(crate) type RawKey = *mut raw::RedisModuleKey;
pub(crate) type RawIo = *mut raw::RedisModuleIO;
pub(crate) type RawDigest = *mut raw::RedisModuleDigest;
/// A command's entry point.
pub(crate) type RawCommand = extern "C" fn(RawContext, *mut RawString, c_int) -> c_int;

/// Declares [`Functions`] and how it is read from the crate's statics.
macro_rules! functions {
    ($($(#[$doc:meta])* $field:ident = $static:ident : $type:ty;)*) => {
        /// The functions that this module uses.
        struct Functions {
            $($(#[$doc])* $field: $type,)*
        }

        impl Functions {
            fn read() -> Result<Self, &'static str> {
                Ok(Self {
                    $($field: {
                        // SAFETY: the statics are written once, before `init` is called, on the
                        // thread that calls it.
                        let function = unsafe { raw::$static };
                        function.ok_or(concat!("this server lacks ", stringify!($static)))?
                    },)*
                })
            }
        }
    };
}

functions! {
    create_command = RedisModule_CreateCommand: unsafe extern "C" fn(
        RawContext, *const c_char, raw::RedisModuleCmdFunc, *const c_char, c_int, c_int, c_int,
    ) -> c_int;
    get_command = RedisModule_GetCommand:
        unsafe extern "C" fn(RawContext, *const c_char) -> *mut raw::RedisModuleCommand;
    set_command_info = RedisModule_SetCommandInfo: unsafe extern "C" fn(
        *mut raw::RedisModuleCommand, *const raw::RedisModuleCommandInfo,
    ) -> c_int;
    set_module_options = RedisModule_SetModuleOptions: unsafe extern "C" fn(RawContext, c_int);
    log = RedisModule_Log: unsafe extern "C" fn(RawContext, *const c_char, *const c_char, ...);
    log_io_error = RedisModule_LogIOError:
        unsafe extern "C" fn(RawIo, *const c_char, *const c_char, ...);
    random_bytes = RedisModule_GetRandomBytes: unsafe extern "C" fn(*mut c_uchar, usize);
    milliseconds = RedisModule_Milliseconds: unsafe extern "C" fn() -> raw::mstime_t;
    context_flags = RedisModule_GetContextFlags: unsafe extern "C" fn(RawContext) -> c_int;
    string_ptr_len = RedisModule_StringPtrLen:
        unsafe extern "C" fn(*const raw::RedisModuleString, *mut usize) -> *const c_char;
    open_key = RedisModule_OpenKey: unsafe extern "C" fn(RawContext, RawString, c_int) -> RawKey;
    close_key = RedisModule_CloseKey: unsafe extern "C" fn(RawKey);
    key_type = RedisModule_KeyType: unsafe extern "C" fn(RawKey) -> c_int;
    value_type = RedisModule_ModuleTypeGetType:
        unsafe extern "C" fn(RawKey) -> *mut raw::RedisModuleType;
    value = RedisModule_ModuleTypeGetValue: unsafe extern "C" fn(RawKey) -> *mut c_void;
    set_value = RedisModule_ModuleTypeSetValue:
        unsafe extern "C" fn(RawKey, *mut raw::RedisModuleType, *mut c_void) -> c_int;
    subscribe = RedisModule_SubscribeToServerEvent: unsafe extern "C" fn(
        RawContext, raw::RedisModuleEvent, raw::RedisModuleEventCallback,
    ) -> c_int;
    register_info = RedisModule_RegisterInfoFunc:
        unsafe extern "C" fn(RawContext, raw::RedisModuleInfoFunc) -> c_int;
    info_section = RedisModule_InfoAddSection:
        unsafe extern "C" fn(*mut raw::RedisModuleInfoCtx, *const c_char) -> c_int;
    info_number = RedisModule_InfoAddFieldULongLong: unsafe extern "C" fn(
        *mut raw::RedisModuleInfoCtx, *const c_char, c_ulonglong,
    ) -> c_int;
    notify = RedisModule_NotifyKeyspaceEvent:
        unsafe extern "C" fn(RawContext, c_int, *const c_char, RawString) -> c_int;
    create_string = RedisModule_CreateString:
        unsafe extern "C" fn(RawContext, *const c_char, usize) -> RawString;
    free_string = RedisModule_FreeString: unsafe extern "C" fn(RawContext, RawString);
    publish = RedisModule_PublishMessage:
        unsafe extern "C" fn(RawContext, RawString, RawString) -> c_int;
    signal_modified = RedisModule_SignalModifiedKey:
        unsafe extern "C" fn(RawContext, RawString) -> c_int;
    replicate = RedisModule_Replicate:
        unsafe extern "C" fn(RawContext, *const c_char, *const c_char, ...) -> c_int;
    replicate_verbatim = RedisModule_ReplicateVerbatim: unsafe extern "C" fn(RawContext) -> c_int;
    wrong_arity = RedisModule_WrongArity: unsafe extern "C" fn(RawContext) -> c_int;
    reply_simple_string = RedisModule_ReplyWithSimpleString:
        unsafe extern "C" fn(RawContext, *const c_char) -> c_int;
    reply_error = RedisModule_ReplyWithError:
        unsafe extern "C" fn(RawContext, *const c_char) -> c_int;
    reply_long_long = RedisModule_ReplyWithLongLong:
        unsafe extern "C" fn(RawContext, c_longlong) -> c_int;
    reply_string = RedisModule_ReplyWithStringBuffer:
        unsafe extern "C" fn(RawContext, *const c_char, usize) -> c_int;
    reply_null = RedisModule_ReplyWithNull: unsafe extern "C" fn(RawContext) -> c_int;
    reply_array = RedisModule_ReplyWithArray: unsafe extern "C" fn(RawContext, c_long) -> c_int;
    reply_map = RedisModule_ReplyWithMap: unsafe extern "C" fn(RawContext, c_long) -> c_int;
    save_string = RedisModule_SaveStringBuffer: unsafe extern "C" fn(RawIo, *const c_char, usize);
    load_string = RedisModule_LoadStringBuffer:
        unsafe extern "C" fn(RawIo, *mut usize) -> *mut c_char;
    is_io_error = RedisModule_IsIOError: unsafe extern "C" fn(RawIo) -> c_int;
    free = RedisModule_Free: unsafe extern "C" fn(*mut c_void);
    emit_aof = RedisModule_EmitAOF:
        unsafe extern "C" fn(RawIo, *const c_char, *const c_char, ...);
    digest_string = RedisModule_DigestAddStringBuffer:
        unsafe extern "C" fn(RawDigest, *const c_char, usize);
    digest_end = RedisModule_DigestEndSequence: unsafe extern "C" fn(RawDigest);
}

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

// === Server events ===

/// Has `promoted` called whenever this node becomes primary in place of another.
pub(crate) fn on_promotion(context: RawContext) -> Result<(), &'static str> {
    let event = raw::RedisModuleEvent {
        id: raw::REDISMODULE_EVENT_REPLICATION_ROLE_CHANGED,
        dataver: 1,
    };
    // SAFETY: invariant 1; the callback is a function of this module, which is never unloaded.
    let status = unsafe { (functions().subscribe)(context, event, Some(role_changed)) };
    if is_ok(status) {
        Ok(())
    } else {
        Err("the server does not tell of its promotion")
    }
}

unsafe extern "C" fn role_changed(
    _: RawContext,
    _: raw::RedisModuleEvent,
    role: u64,
    _: *mut c_void,
) {
    if role == raw::REDISMODULE_EVENT_REPLROLECHANGED_NOW_MASTER {
        promoted();
    }
}

/// Adds the section `seckill` to `INFO`.
pub(crate) fn add_info_section(context: RawContext) -> Result<(), &'static str> {
    // SAFETY: invariant 1; the callback is a function of this module, which is never unloaded.
    let status = unsafe { (functions().register_info)(context, Some(info)) };
    if is_ok(status) {
        Ok(())
    } else {
        Err("the server does not take a section of INFO")
    }
}

unsafe extern "C" fn info(info: *mut raw::RedisModuleInfoCtx, _for_crash_report: c_int) {
    // SAFETY: invariant 1, of the info context; an empty name is the module's own section.
    let wanted = is_ok(unsafe { (functions().info_section)(info, c"".as_ptr()) });
    if !wanted {
        return;
    }
    for (name, number) in totals::fields() {
        // SAFETY: as above; Redis copies the name.
        unsafe { (functions().info_number)(info, name.as_ptr(), number) };
    }
}

// === Commands ===

/// Registers a command whose only key is its first argument, with its page of the manual.
pub(crate) fn create_command(
    context: RawContext,
    page: &Page,
    command: RawCommand,
    flags: &CStr,
) -> Result<(), &'static str> {
    let (name, flags) = (page.name.as_ptr(), flags.as_ptr());
    // SAFETY: invariant 1; the strings end in NUL and Redis copies them.
    let status =
        unsafe { (functions().create_command)(context, name, Some(command), flags, 1, 1, 1) };
    if !is_ok(status) {
        return Err("a command could not be registered: is another seckill module loaded?");
    }
    // SAFETY: invariant 1; the string ends in NUL.
    let command = unsafe { (functions().get_command)(context, name) };
    let documented = describe(page, |info| {
        // SAFETY: the command was just registered; `info` and all that it points to live until
        // the call returns, and Redis copies them.
        is_ok(unsafe { (functions().set_command_info)(command, info) })
    });
    if documented {
        Ok(())
    } else {
        Err("the server does not accept the description of a command")
    }
}

fn is_ok(status: c_int) -> bool {
    i64::from(status) == raw::REDISMODULE_OK as i64
}

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

/// Replicates `SECKILL.APPLY key payload`, to replicas and the AOF.
pub(crate) fn replicate_apply(context: RawContext, key: RawString, payload: &[u8]) {
    let replicate = functions().replicate;
    let (start, length) = (payload.as_ptr(), payload.len());
    // SAFETY: invariant 1; the format says a string, then a buffer with its length, and that is
    // what follows. Redis copies the buffer.
    unsafe { replicate(context, APPLY.as_ptr(), c"sb".as_ptr(), key, start, length) };
}

const APPLY: &CStr = c"SECKILL.APPLY";

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
struct OwnedString {
    context: RawContext,
    string: RawString,
}

impl OwnedString {
    fn new(context: RawContext, bytes: &[u8]) -> Self {
        let (start, length) = (bytes.as_ptr().cast(), bytes.len());
        // SAFETY: invariant 1; Redis copies the bytes.
        let string = unsafe { (functions().create_string)(context, start, length) };
        Self { context, string }
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

// === Replies ===

pub(crate) fn reply_simple_string(context: RawContext, text: &CStr) {
    // SAFETY: invariant 1; Redis copies the text.
    unsafe { (functions().reply_simple_string)(context, text.as_ptr()) };
}

pub(crate) fn reply_error(context: RawContext, text: &CStr) {
    // SAFETY: invariant 1; Redis copies the text.
    unsafe { (functions().reply_error)(context, text.as_ptr()) };
}

pub(crate) fn reply_wrong_arity(context: RawContext) {
    // SAFETY: invariant 1.
    unsafe { (functions().wrong_arity)(context) };
}

pub(crate) fn reply_integer(context: RawContext, number: i64) {
    // SAFETY: invariant 1.
    unsafe { (functions().reply_long_long)(context, number) };
}

pub(crate) fn reply_string(context: RawContext, bytes: &[u8]) {
    // SAFETY: invariant 1; Redis copies the bytes.
    unsafe { (functions().reply_string)(context, bytes.as_ptr().cast(), bytes.len()) };
}

pub(crate) fn reply_null(context: RawContext) {
    // SAFETY: invariant 1.
    unsafe { (functions().reply_null)(context) };
}

/// Announces an array; its elements are the next `length` replies.
pub(crate) fn reply_array(context: RawContext, length: usize) {
    let length = c_long::try_from(length).unwrap_or(c_long::MAX);
    // SAFETY: invariant 1.
    unsafe { (functions().reply_array)(context, length) };
}

/// Announces a map; its pairs are the next `2 * length` replies.
pub(crate) fn reply_map(context: RawContext, length: usize) {
    let length = c_long::try_from(length).unwrap_or(c_long::MAX);
    // SAFETY: invariant 1.
    unsafe { (functions().reply_map)(context, length) };
}

// === Keys ===

/// An open key; closed when it goes.
pub(crate) struct Key(RawKey);

/// What an open key holds.
pub(crate) enum Held<'a> {
    Nothing,
    Sale(&'a mut Entry),
    SomethingElse,
}

impl Key {
    /// Opens a key for a command that only reads; `None` if it does not exist.
    pub(crate) fn open_to_read(context: RawContext, name: RawString) -> Option<Self> {
        let key = Self::open(context, name, raw::REDISMODULE_READ);
        (!key.0.is_null()).then_some(key)
    }

    /// Opens a key for a command that may write.
    pub(crate) fn open_to_write(context: RawContext, name: RawString) -> Self {
        Self::open(
            context,
            name,
            raw::REDISMODULE_READ | raw::REDISMODULE_WRITE,
        )
    }

    fn open(context: RawContext, name: RawString, mode: u32) -> Self {
        let mode = c_int::try_from(mode).unwrap_or(0);
        // SAFETY: invariant 1.
        Self(unsafe { (functions().open_key)(context, name, mode) })
    }

    /// What is there. The reference lives as long as the borrow of the key.
    pub(crate) fn held(&mut self) -> Held<'_> {
        // SAFETY: the key is open.
        let key_type = unsafe { (functions().key_type)(self.0) };
        if i64::from(key_type) == raw::REDISMODULE_KEYTYPE_EMPTY as i64 {
            return Held::Nothing;
        }
        // SAFETY: the key is open; of another type than a module's the answer is null.
        let value_type = unsafe { (functions().value_type)(self.0) };
        if value_type != loaded().flashsale {
            return Held::SomethingElse;
        }
        // SAFETY: the key is open and holds a value of our type.
        let value = unsafe { (functions().value)(self.0) };
        // SAFETY: invariants 2 and 3; the exclusive borrow of the key keeps it the only reference.
        unsafe { value.cast::<Entry>().as_mut() }.map_or(Held::Nothing, Held::Sale)
    }

    /// Puts a sale under an empty key that is open to write.
    pub(crate) fn set(&mut self, entry: Entry) {
        let value = Box::into_raw(Box::new(entry));
        // SAFETY: the key is open; Redis owns the value from here and gives it back to `free`.
        unsafe { (functions().set_value)(self.0, loaded().flashsale, value.cast()) };
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: the key was opened by `open` and is closed once. Redis accepts null.
        unsafe { (functions().close_key)(self.0) };
    }
}

// === Values ===

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
