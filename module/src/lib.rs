//! `libseckill.so`: a flash sale as a Redis data type.
//!
//! This crate holds every `unsafe` of the project and no rule of a sale; the rules are in
//! `seckill-sale`. From the outside in:
//!
//! | file | holds |
//! | --- | --- |
//! | `commands/` | one file for each command or two that belong together: read the arguments, let the sale decide, reply |
//! | `manual`, `describe` | what `COMMAND DOCS` says of each, and how Redis wants it said |
//! | `args` | reading arguments, with errors that name them |
//! | `error` | what a client is told when a command is refused |
//! | `request` | one call of a command: its arguments, the clock, its replies, its sale |
//! | `entry` | what is kept under a key: the sale, and this node's counters and rates |
//! | `fence` | the setting `seckill.fence` |
//! | `totals` | the section `seckill` of `INFO` |
//! | `sweep` | what a promoted node does with the sales that it inherits |
//! | `datatype` | saving, loading, rewriting, digesting and freeing it |
//! | `api/` | Redis's module functions, looked up once, behind safe calls |
//!
//! A writing command goes the same way every time: release what is overdue, decide, apply,
//! replicate the effects as one `SECKILL.APPLY`, signal the key as modified, announce what is new,
//! reply. Where nothing
//! changed, nothing is replicated or signalled.

#![expect(
    missing_docs,
    reason = "the only public items are the two entry points that `redis_module!` writes"
)]

mod api;
mod args;
mod commands;
mod datatype;
mod describe;
mod entry;
mod error;
mod fence;
mod manual;
mod request;
mod sweep;
mod totals;

use redis_module::{Context, RedisString, Status, redis_module};
// Redis's, so that what a sale takes is counted and limited by the server. A test harness of this
// library runs in no server: `cargo test NAME` builds one although there is nothing in it to test.
#[cfg(not(test))]
use redis_module::alloc::RedisAlloc as Allocator;
#[cfg(test)]
use std::alloc::System as Allocator;

use datatype::FLASHSALE;

/// The module's version, as `MODULE LIST` shows it: major * 10000 + minor * 100 + patch.
const VERSION: i32 = 100;

fn init(context: &Context, args: &[RedisString]) -> Status {
    let started = if args.is_empty() {
        let flashsale = *FLASHSALE.raw_type.borrow();
        api::load(context.get_raw(), flashsale)
            .and_then(|()| commands::register(context.get_raw()))
            .and_then(|()| fence::register(context.get_raw()))
            .and_then(|()| api::load_configs(context.get_raw()))
            .and_then(|()| api::on_promotion(context.get_raw()))
            .and_then(|()| api::on_load_end(context.get_raw()))
            .and_then(|()| api::add_info_section(context.get_raw()))
    } else {
        Err("loadmodule libseckill.so takes no arguments")
    };
    match started {
        Ok(()) => Status::Ok,
        Err(reason) => {
            // Safe to pass through the crate's log, whose text is a format: it has no `%`.
            context.log_warning(reason);
            Status::Err
        }
    }
}

redis_module! {
    name: "seckill",
    version: VERSION,
    allocator: (Allocator, Allocator),
    data_types: [FLASHSALE],
    init: init,
    commands: [],
}
