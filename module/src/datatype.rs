//! The data type `flashsale`: saving, loading, rewriting, digesting and freeing a sale.
//!
//! Everywhere a sale is the same list of blocks (see `seckill_sale::Sale::for_each_block`). `COPY` has no callback,
//! so Redis refuses it: a copy would be the stock a second time.

use crate::api::{self, RawDigest, RawIo, RawString};
use crate::entry::Entry;
use crate::error::c_text;
use redis_module::native_types::RedisType;
use redis_module::raw::{REDISMODULE_TYPE_METHOD_VERSION, RedisModuleTypeMethods};
use seckill_protocol::TYPE_NAME;
use seckill_sale::{Block, Payload};
use std::ffi::{c_int, c_void};
use std::ptr;

/// Version of the RDB encoding; a node refuses an RDB that is newer than its own.
const ENCODING_VERSION: i32 = 1;

pub(crate) static FLASHSALE: RedisType = RedisType::new(
    TYPE_NAME,
    ENCODING_VERSION,
    RedisModuleTypeMethods {
        version: REDISMODULE_TYPE_METHOD_VERSION as u64,
        rdb_load: Some(rdb_load),
        rdb_save: Some(rdb_save),
        aof_rewrite: Some(aof_rewrite),
        mem_usage: Some(mem_usage),
        digest: Some(digest),
        free: Some(free),
        aux_load: None,
        aux_save: None,
        aux_save_triggers: 0,
        free_effort: Some(free_effort),
        unlink: None,
        copy: None,
        defrag: None,
        mem_usage2: None,
        free_effort2: None,
        unlink2: None,
        copy2: None,
        aux_save2: None,
    },
);

unsafe extern "C" fn rdb_save(io: RawIo, value: *mut c_void) {
    if let Some(entry) = api::entry(value) {
        entry
            .sale
            .for_each_block(|block| api::save_block(io, block));
    }
}

unsafe extern "C" fn rdb_load(io: RawIo, encoding_version: c_int) -> *mut c_void {
    match load(io, encoding_version) {
        Ok(entry) => api::into_value(entry),
        Err(reason) => {
            api::log_load_error(
                io,
                &c_text(&format!("seckill: a sale does not load: {reason}")),
            );
            ptr::null_mut()
        }
    }
}

fn load(io: RawIo, encoding_version: c_int) -> Result<Entry, String> {
    if encoding_version != ENCODING_VERSION {
        return Err(format!(
            "encoding version {encoding_version}, this node reads {ENCODING_VERSION}; load a newer module"
        ));
    }
    let mut entry = with_next_block(io, |block| {
        Entry::from_block(block, api::seed()).map_err(|error| error.to_string())
    })?;
    while !entry.sale.is_complete() {
        with_next_block(io, |block| {
            let restored = entry.sale.restore_block(block);
            restored.map_err(|error| error.to_string())
        })?;
    }
    entry.changed();
    Ok(entry)
}

fn with_next_block<T>(
    io: RawIo,
    take: impl FnOnce(Block<'_>) -> Result<T, String>,
) -> Result<T, String> {
    let taken = api::load_block(io, |bytes| match Payload::decode(bytes) {
        Ok(Payload::Block(block)) => take(block),
        Ok(Payload::Change(_)) => Err("a block is no block of a snapshot".into()),
        Err(error) => Err(error.to_string()),
    });
    taken.ok_or("the file ends too early")?
}

unsafe extern "C" fn aof_rewrite(io: RawIo, key: RawString, value: *mut c_void) {
    if let Some(entry) = api::entry(value) {
        entry
            .sale
            .for_each_block(|block| api::emit_apply(io, key, block));
    }
}

unsafe extern "C" fn digest(digest: RawDigest, value: *mut c_void) {
    if let Some(entry) = api::entry(value) {
        entry
            .sale
            .for_each_block(|block| api::digest_block(digest, block));
        api::digest_end(digest);
    }
}

unsafe extern "C" fn mem_usage(value: *const c_void) -> usize {
    api::entry(value).map_or(0, Entry::memory_bytes)
}

/// How many pieces of memory there are to free. Above 64 Redis does it on another thread, where it
/// is asked to free lazily.
unsafe extern "C" fn free_effort(_key: RawString, value: *const c_void) -> usize {
    api::entry(value).map_or(1, Entry::allocation_count)
}

unsafe extern "C" fn free(value: *mut c_void) {
    api::drop_value(value);
}
