//! An open key.

use super::{RawContext, RawKey, RawString, functions, loaded};
use crate::entry::Entry;
use redis_module::raw;
use std::ffi::c_int;

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
        // SAFETY: the key is open; without a value, or of another type than a module's, the answer
        // is null.
        let value_type = unsafe { (functions().value_type)(self.0) };
        if value_type != loaded().flashsale {
            // SAFETY: the key is open.
            let key_type = unsafe { (functions().key_type)(self.0) };
            return if i64::from(key_type) == raw::REDISMODULE_KEYTYPE_EMPTY as i64 {
                Held::Nothing
            } else {
                Held::SomethingElse
            };
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
