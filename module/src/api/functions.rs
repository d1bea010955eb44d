//! The server's functions, looked up once when the module loads.

use super::{RawContext, RawDigest, RawIo, RawKey, RawString};
use redis_module::raw;
use std::ffi::{c_char, c_int, c_long, c_longlong, c_uchar, c_uint, c_ulonglong, c_void};

/// Declares [`Functions`] and how it is read from the crate's statics.
macro_rules! functions {
    ($($(#[$doc:meta])* $field:ident = $static:ident : $type:ty;)*) => {
        /// The functions that this module uses.
        pub(super) struct Functions {
            $($(#[$doc])* pub(super) $field: $type,)*
        }

        impl Functions {
            pub(super) fn read() -> Result<Self, &'static str> {
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
    block_on_keys = RedisModule_BlockClientOnKeys: unsafe extern "C" fn(
        RawContext,
        raw::RedisModuleCmdFunc,
        raw::RedisModuleCmdFunc,
        Option<unsafe extern "C" fn(RawContext, *mut c_void)>,
        c_longlong,
        *mut RawString,
        c_int,
        *mut c_void,
    ) -> *mut raw::RedisModuleBlockedClient;
    signal_ready = RedisModule_SignalKeyAsReady: unsafe extern "C" fn(RawContext, RawString);
    register_enum_config = RedisModule_RegisterEnumConfig: unsafe extern "C" fn(
        RawContext, *const c_char, c_int, c_uint, *mut *const c_char, *const c_int, c_int,
        raw::RedisModuleConfigGetEnumFunc, raw::RedisModuleConfigSetEnumFunc,
        raw::RedisModuleConfigApplyFunc, *mut c_void,
    ) -> c_int;
    create_timer = RedisModule_CreateTimer: unsafe extern "C" fn(
        RawContext, raw::mstime_t, raw::RedisModuleTimerProc, *mut c_void,
    ) -> raw::RedisModuleTimerID;
    select_db = RedisModule_SelectDb: unsafe extern "C" fn(RawContext, c_int) -> c_int;
    scan = RedisModule_Scan: unsafe extern "C" fn(
        RawContext, *mut raw::RedisModuleScanCursor, raw::RedisModuleScanCB, *mut c_void,
    ) -> c_int;
    scan_cursor_create = RedisModule_ScanCursorCreate:
        unsafe extern "C" fn() -> *mut raw::RedisModuleScanCursor;
    scan_cursor_restart = RedisModule_ScanCursorRestart:
        unsafe extern "C" fn(*mut raw::RedisModuleScanCursor);
    scan_cursor_destroy = RedisModule_ScanCursorDestroy:
        unsafe extern "C" fn(*mut raw::RedisModuleScanCursor);
    avoid_replica_traffic = RedisModule_AvoidReplicaTraffic: unsafe extern "C" fn() -> c_int;
    user_of_name = RedisModule_GetModuleUserFromUserName:
        unsafe extern "C" fn(RawString) -> *mut raw::RedisModuleUser;
    free_user = RedisModule_FreeModuleUser: unsafe extern "C" fn(*mut raw::RedisModuleUser);
    may_run = RedisModule_ACLCheckCommandPermissions: unsafe extern "C" fn(
        *mut raw::RedisModuleUser, *mut RawString, c_int,
    ) -> c_int;
    load_configs = RedisModule_LoadConfigs: unsafe extern "C" fn(RawContext) -> c_int;
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
