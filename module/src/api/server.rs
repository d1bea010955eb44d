//! What the module registers with the server: events, settings, commands, a section of `INFO`.

use super::{APPLY, OwnedString, RawCommand, RawContext, RawString, functions, is_ok, log_warning};
use crate::describe::describe;
use crate::entry::{loaded, promoted};
use crate::manual::Page;
use crate::sweep;
use crate::totals;
use redis_module::raw;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

/// Has `promoted` called whenever this node becomes primary in place of another.
pub(crate) fn on_promotion(context: RawContext) -> Result<(), &'static str> {
    let event = raw::REDISMODULE_EVENT_REPLICATION_ROLE_CHANGED;
    subscribe(context, event, role_changed)
}

unsafe extern "C" fn role_changed(
    context: RawContext,
    _: raw::RedisModuleEvent,
    role: u64,
    _: *mut c_void,
) {
    if role == raw::REDISMODULE_EVENT_REPLROLECHANGED_NOW_MASTER {
        promoted();
        sweep::begin(context);
    }
}

/// Has `loaded` called whenever this node has loaded its data.
pub(crate) fn on_load_end(context: RawContext) -> Result<(), &'static str> {
    subscribe(context, raw::REDISMODULE_EVENT_LOADING, loading)
}

unsafe extern "C" fn loading(
    context: RawContext,
    _: raw::RedisModuleEvent,
    stage: u64,
    _: *mut c_void,
) {
    match stage {
        raw::REDISMODULE_SUBEVENT_LOADING_AOF_START if !default_may_apply(context) => {
            log_warning(context, DEFAULT_MAY_NOT_APPLY);
        }
        raw::REDISMODULE_SUBEVENT_LOADING_ENDED => loaded(),
        _ => {}
    }
}

const DEFAULT_MAY_NOT_APPLY: &CStr = c"the ACL user 'default' may not run SECKILL.APPLY. This server may leave out the transactions of its AOF for that reason, and with them what was sold in them: let the user be 'off', with '~* &* +@all'";

/// Whether Redis, which reads its AOF as the user `default`, may carry out effects there that stand in
/// a transaction.
fn default_may_apply(context: RawContext) -> bool {
    let name = OwnedString::new(context, b"default");
    let words = [APPLY.to_bytes(), b"sid", b"effects"].map(|word| OwnedString::new(context, word));
    let mut arguments = words.each_ref().map(OwnedString::as_raw);
    let count = c_int::try_from(arguments.len()).unwrap_or(0);
    // SAFETY: the string lives until the end of this function.
    let user = unsafe { (functions().user_of_name)(name.as_raw()) };
    if user.is_null() {
        return false;
    }
    // SAFETY: the user was just made, and the list is as long as said.
    let may = is_ok(unsafe { (functions().may_run)(user, arguments.as_mut_ptr(), count) });
    // SAFETY: the user was made above and is given back once.
    unsafe { (functions().free_user)(user) };
    may
}

/// A callback of a server event.
type EventCallback = unsafe extern "C" fn(RawContext, raw::RedisModuleEvent, u64, *mut c_void);

fn subscribe(context: RawContext, id: u64, callback: EventCallback) -> Result<(), &'static str> {
    let event = raw::RedisModuleEvent { id, dataver: 1 };
    // SAFETY: invariant 1; the callback is a function of this module, which is never unloaded.
    let status = unsafe { (functions().subscribe)(context, event, Some(callback)) };
    if is_ok(status) {
        Ok(())
    } else {
        Err("the server does not tell of an event that the module has to know of")
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

/// Registers a command whose only key is its first argument, with its page of the manual.
pub(crate) fn create_command(
    context: RawContext,
    page: &Page,
    command: RawCommand,
    flags: &CStr,
    categories: &CStr,
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
    if !documented {
        return Err("the server does not accept the description of a command");
    }
    // SAFETY: the statics are written once, before `init` is called, on the thread that calls it.
    let set_categories = unsafe { raw::RedisModule_SetCommandACLCategories };
    match set_categories {
        // SAFETY: the command was just registered; the string ends in NUL.
        Some(set) if !is_ok(unsafe { set(command, categories.as_ptr()) }) => {
            Err("the server does not know the categories of a command")
        }
        // Without the function, as in Redis 7.0, a module's commands are in no category.
        Some(_) | None => Ok(()),
    }
}

/// Adds a category of commands; false if the server has no categories of modules.
pub(crate) fn add_category(context: RawContext, name: &CStr) -> bool {
    // SAFETY: the statics are written once, before `init` is called, on the thread that calls it.
    let add = unsafe { raw::RedisModule_AddACLCategory };
    match add {
        // SAFETY: invariant 1; the string ends in NUL.
        Some(add) => is_ok(unsafe { add(context, name.as_ptr()) }),
        None => false,
    }
}

/// Adds the setting `seckill.<name>`: one of `words`, by its place. `read` and `set` are called by
/// `CONFIG GET` and `CONFIG SET`, and `set` once with the default.
pub(crate) fn add_config(
    context: RawContext,
    name: &CStr,
    words: &[&'static CStr],
    read: extern "C" fn(*const c_char, *mut c_void) -> c_int,
    set: SetConfig,
) -> Result<(), &'static str> {
    let mut names: Vec<*const c_char> = words.iter().map(|word| word.as_ptr()).collect();
    let count = c_int::try_from(words.len()).map_err(|_| "too many words of a setting")?;
    let places: Vec<c_int> = (0..count).collect();
    // SAFETY: invariant 1; the lists are as long as said, Redis copies them, and the callbacks are
    // functions of this module, which is never unloaded.
    let status = unsafe {
        (functions().register_enum_config)(
            context,
            name.as_ptr(),
            0,
            raw::REDISMODULE_CONFIG_DEFAULT,
            names.as_mut_ptr(),
            places.as_ptr(),
            count,
            Some(read),
            Some(set),
            None,
            ptr::null_mut(),
        )
    };
    if is_ok(status) {
        Ok(())
    } else {
        Err("the server does not take a setting of the module")
    }
}

/// What `CONFIG SET` calls: name, place of the word, room for data, room for an error.
pub(crate) type SetConfig =
    extern "C" fn(*const c_char, c_int, *mut c_void, *mut RawString) -> c_int;

/// Takes the module's settings from the server's configuration.
pub(crate) fn load_configs(context: RawContext) -> Result<(), &'static str> {
    // SAFETY: invariant 1.
    if is_ok(unsafe { (functions().load_configs)(context) }) {
        Ok(())
    } else {
        Err("a setting seckill.… of the configuration is not accepted")
    }
}
