//! A page of the manual in the form in which Redis takes it.
//!
//! Redis reads lists up to an empty element, through pointers; every list here is kept alive until
//! it has read them.

use crate::manual::{Access, Arg, Kind, Page};
use redis_module::raw::{
    REDISMODULE_CMD_ARG_MULTIPLE, REDISMODULE_CMD_ARG_OPTIONAL, REDISMODULE_CMD_KEY_ACCESS,
    REDISMODULE_CMD_KEY_INSERT, REDISMODULE_CMD_KEY_OW, REDISMODULE_CMD_KEY_RO,
    REDISMODULE_CMD_KEY_RW, REDISMODULE_CMD_KEY_UPDATE, RedisModuleCommandArg,
    RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_BLOCK as BLOCK,
    RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_INTEGER as INTEGER,
    RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_KEY as KEY,
    RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_ONEOF as ONEOF,
    RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_PURE_TOKEN as PURE_TOKEN,
    RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_STRING as STRING,
    RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_UNIX_TIME as UNIX_TIME,
    RedisModuleCommandHistoryEntry, RedisModuleCommandInfo, RedisModuleCommandInfoVersion,
    RedisModuleCommandKeySpec, RedisModuleCommandKeySpec__bindgen_ty_1 as BeginSearch,
    RedisModuleCommandKeySpec__bindgen_ty_1__bindgen_ty_1 as Index,
    RedisModuleCommandKeySpec__bindgen_ty_2 as FindKeys,
    RedisModuleCommandKeySpec__bindgen_ty_2__bindgen_ty_1 as Range,
    RedisModuleKeySpecBeginSearchType_REDISMODULE_KSPEC_BS_INDEX as BEGIN_AT_INDEX,
    RedisModuleKeySpecFindKeysType_REDISMODULE_KSPEC_FK_RANGE as FIND_RANGE,
};
use std::ffi::{CStr, c_int};
use std::ptr;

/// The version of the module in which the commands came.
const SINCE: &CStr = c"0.1.0";

/// The sizes tell Redis how we see its structures, which later versions make longer.
static VERSION: RedisModuleCommandInfoVersion = RedisModuleCommandInfoVersion {
    version: 1,
    sizeof_historyentry: size_of::<RedisModuleCommandHistoryEntry>(),
    sizeof_keyspec: size_of::<RedisModuleCommandKeySpec>(),
    sizeof_arg: size_of::<RedisModuleCommandArg>(),
};

/// Shows a page to `read` in Redis's form.
pub(crate) fn describe<T>(page: &Page, read: impl FnOnce(&RedisModuleCommandInfo) -> T) -> T {
    let mut lists = Vec::new();
    let mut args = vec![Arg::KEY];
    args.extend_from_slice(page.args);
    let args = list(&args, &mut lists);
    let mut key_specs = [key_spec(flags(page.access)), key_spec_end()];
    let info = RedisModuleCommandInfo {
        version: &raw const VERSION,
        summary: page.summary.as_ptr(),
        complexity: page.complexity.as_ptr(),
        since: SINCE.as_ptr(),
        history: ptr::null_mut(),
        tips: ptr::null(),
        arity: page.arity,
        key_specs: key_specs.as_mut_ptr(),
        args,
    };
    let result = read(&info);
    drop(lists);
    result
}

/// Makes a list, and keeps it among `lists`: their elements do not move when more are added.
fn list(args: &[Arg], lists: &mut Vec<Vec<RedisModuleCommandArg>>) -> *mut RedisModuleCommandArg {
    let mut elements: Vec<_> = args.iter().map(|arg| element(arg, lists)).collect();
    elements.push(element_end());
    let start = elements.as_mut_ptr();
    lists.push(elements);
    start
}

fn element(arg: &Arg, lists: &mut Vec<Vec<RedisModuleCommandArg>>) -> RedisModuleCommandArg {
    let (type_, parts) = match arg.kind {
        Kind::Text => (STRING, None),
        Kind::Integer => (INTEGER, None),
        Kind::SaleKey => (KEY, None),
        Kind::Instant => (UNIX_TIME, None),
        Kind::Token => (PURE_TOKEN, None),
        Kind::Choice(parts) => (ONEOF, Some(parts)),
        Kind::Block(parts) => (BLOCK, Some(parts)),
    };
    let optional = if arg.optional {
        REDISMODULE_CMD_ARG_OPTIONAL
    } else {
        0
    };
    let multiple = if arg.multiple {
        REDISMODULE_CMD_ARG_MULTIPLE
    } else {
        0
    };
    RedisModuleCommandArg {
        name: arg.name.as_ptr(),
        type_,
        key_spec_index: if matches!(arg.kind, Kind::SaleKey) {
            0
        } else {
            -1
        },
        token: arg.token.map_or(ptr::null(), CStr::as_ptr),
        flags: c_int::try_from(optional | multiple).unwrap_or(0),
        subargs: parts.map_or(ptr::null_mut(), |parts| list(parts, lists)),
        ..element_end()
    }
}

const fn element_end() -> RedisModuleCommandArg {
    RedisModuleCommandArg {
        name: ptr::null(),
        type_: 0,
        key_spec_index: 0,
        token: ptr::null(),
        summary: ptr::null(),
        since: ptr::null(),
        flags: 0,
        deprecated_since: ptr::null(),
        subargs: ptr::null_mut(),
        display_text: ptr::null(),
    }
}

fn flags(access: Access) -> u64 {
    let flags = match access {
        Access::Reads => REDISMODULE_CMD_KEY_RO | REDISMODULE_CMD_KEY_ACCESS,
        Access::Updates => {
            REDISMODULE_CMD_KEY_RW | REDISMODULE_CMD_KEY_ACCESS | REDISMODULE_CMD_KEY_UPDATE
        }
        Access::Creates => REDISMODULE_CMD_KEY_OW | REDISMODULE_CMD_KEY_INSERT,
    };
    flags.into()
}

/// The first word after the command.
const fn key_spec(flags: u64) -> RedisModuleCommandKeySpec {
    RedisModuleCommandKeySpec {
        notes: ptr::null(),
        flags,
        begin_search_type: BEGIN_AT_INDEX,
        bs: BeginSearch {
            index: Index { pos: 1 },
        },
        find_keys_type: FIND_RANGE,
        fk: FindKeys {
            range: Range {
                lastkey: 0,
                keystep: 1,
                limit: 0,
            },
        },
    }
}

const fn key_spec_end() -> RedisModuleCommandKeySpec {
    RedisModuleCommandKeySpec {
        begin_search_type: 0,
        ..key_spec(0)
    }
}
