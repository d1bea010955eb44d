//! The commands, and their registration.

mod ack;
mod alter;
mod apply;
mod audit;
mod control;
mod create;
mod events;
mod get;
mod given;
mod info;
mod lease;
mod restore;
mod settle;
mod try_;

use crate::api::{self, RawContext};
use crate::manual;
use std::ffi::CStr;

/// Text as C wants it, put together when this is compiled.
macro_rules! c_str {
    ($($part:literal),*) => {
        CStr::from_bytes_with_nul(concat!($($part,)* "\0").as_bytes()).unwrap_or_default()
    };
}

/// Registers commands: each gets an entry point of its own that runs its handler.
///
/// Flags: a command that may change the sale is `write`; one that needs memory to do so is
/// `deny-oom`, so that a server at `maxmemory` refuses it and goes on releasing and acknowledging;
/// `APPLY` is neither refused at `maxmemory` nor anywhere else, or a replica would part from its
/// primary.
///
/// Categories are the server's own, where it takes them from a module, and `seckill` besides.
macro_rules! commands {
    ($context:ident, $own:ident, $($page:ident $flags:literal $categories:literal => $handler:path;)*) => {
        $({
            extern "C" fn command(
                context: RawContext,
                argv: *mut api::RawString,
                argc: std::ffi::c_int,
            ) -> std::ffi::c_int {
                crate::request::run(context, argv, argc, $handler)
            }
            let categories: &CStr = if $own {
                c_str!("seckill ", $categories)
            } else {
                c_str!($categories)
            };
            api::create_command($context, &manual::$page, command, $flags, categories)?;
        })*
    };
}

pub(crate) fn register(context: RawContext) -> Result<(), &'static str> {
    let own = api::add_category(context, c"seckill");
    commands! { context, own,
        CREATE  c"write deny-oom"      "write slow" => create::create;
        ALTER   c"write"               "write slow" => alter::alter;
        TRY     c"write deny-oom fast" "write fast" => try_::try_;
        MTRY    c"write deny-oom"      "write slow" => try_::mtry;
        CONFIRM c"write fast"          "write fast" => settle::confirm;
        CANCEL  c"write fast"          "write fast" => settle::cancel;
        GET     c"readonly fast"       "read fast"  => get::get;
        USER    c"readonly"            "read slow"  => get::user;
        RESERVATIONS c"readonly"       "read slow"  => get::reservations;
        INFO    c"readonly fast"       "read fast"  => info::info;
        EVENTS  c"write"               "write slow blocking" => events::events;
        ACK     c"write fast"          "write fast" => ack::ack;
        LEASE   c"write fast"          "write fast" => lease::lease;
        PAUSE   c"write fast"          "write fast" => control::pause;
        RESUME  c"write fast"          "write fast" => control::resume;
        CLOSE   c"write fast"          "write fast" => control::close;
        RESTOCK c"write fast"          "write fast" => control::restock;
        RESTORE c"write deny-oom"      "write slow dangerous" => restore::restore;
        AUDIT   c"readonly"            "read slow"  => audit::audit;
        APPLY   c"write"               "write slow admin dangerous" => apply::apply;
    }
    Ok(())
}
