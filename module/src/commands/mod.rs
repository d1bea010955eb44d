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
mod settle;
mod try_;

use crate::api::{self, RawContext};
use crate::manual;

/// Registers commands: each gets an entry point of its own that runs its handler.
///
/// Flags: a command that may change the sale is `write`; one that needs memory to do so is
/// `deny-oom`, so that a server at `maxmemory` refuses it and goes on releasing and acknowledging;
/// `APPLY` is neither refused at `maxmemory` nor anywhere else, or a replica would part from its
/// primary.
macro_rules! commands {
    ($context:ident, $($page:ident $flags:literal => $handler:path;)*) => {
        $({
            extern "C" fn command(
                context: RawContext,
                argv: *mut api::RawString,
                argc: std::ffi::c_int,
            ) -> std::ffi::c_int {
                crate::request::run(context, argv, argc, $handler)
            }
            api::create_command($context, &manual::$page, command, $flags)?;
        })*
    };
}

pub(crate) fn register(context: RawContext) -> Result<(), &'static str> {
    commands! { context,
        CREATE  c"write deny-oom"      => create::create;
        ALTER   c"write deny-oom"      => alter::alter;
        TRY     c"write deny-oom fast" => try_::try_;
        MTRY    c"write deny-oom"      => try_::mtry;
        CONFIRM c"write fast"          => settle::confirm;
        CANCEL  c"write fast"          => settle::cancel;
        GET     c"readonly fast"       => get::get;
        USER    c"readonly"            => get::user;
        INFO    c"readonly fast"       => info::info;
        EVENTS  c"write"               => events::events;
        ACK     c"write fast"          => ack::ack;
        PAUSE   c"write fast"          => control::pause;
        RESUME  c"write fast"          => control::resume;
        CLOSE   c"write fast"          => control::close;
        RESTOCK c"write fast"          => control::restock;
        AUDIT   c"readonly"            => audit::audit;
        APPLY   c"write"               => apply::apply;
    }
    Ok(())
}
