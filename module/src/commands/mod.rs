//! The commands, and their registration.

mod ack;
mod apply;
mod audit;
mod control;
mod create;
mod events;
mod get;
mod info;
mod settle;
mod try_;

use crate::api::{self, RawContext};
use std::ffi::CStr;

/// Registers commands: each gets an entry point of its own that runs its handler.
///
/// Flags: a command that may change the sale is `write`; one that needs memory to do so is
/// `deny-oom`, so that a server at `maxmemory` refuses it and goes on releasing and acknowledging;
/// `APPLY` is neither refused at `maxmemory` nor anywhere else, or a replica would part from its
/// primary.
macro_rules! commands {
    ($context:ident, $($name:literal $flags:literal => $handler:path;)*) => {
        $({
            extern "C" fn command(
                context: RawContext,
                argv: *mut api::RawString,
                argc: std::ffi::c_int,
            ) -> std::ffi::c_int {
                crate::request::run(context, argv, argc, $handler)
            }
            const NAME: &CStr = $name;
            api::create_command($context, NAME, command, $flags)?;
        })*
    };
}

pub(crate) fn register(context: RawContext) -> Result<(), &'static str> {
    commands! { context,
        c"SECKILL.CREATE"  c"write deny-oom"      => create::create;
        c"SECKILL.TRY"     c"write deny-oom fast" => try_::try_;
        c"SECKILL.CONFIRM" c"write fast"          => settle::confirm;
        c"SECKILL.CANCEL"  c"write fast"          => settle::cancel;
        c"SECKILL.GET"     c"readonly fast"       => get::get;
        c"SECKILL.INFO"    c"readonly fast"       => info::info;
        c"SECKILL.EVENTS"  c"write"               => events::events;
        c"SECKILL.ACK"     c"write fast"          => ack::ack;
        c"SECKILL.PAUSE"   c"write fast"          => control::pause;
        c"SECKILL.RESUME"  c"write fast"          => control::resume;
        c"SECKILL.CLOSE"   c"write fast"          => control::close;
        c"SECKILL.RESTOCK" c"write fast"          => control::restock;
        c"SECKILL.AUDIT"   c"readonly"            => audit::audit;
        c"SECKILL.APPLY"   c"write"               => apply::apply;
    }
    Ok(())
}
