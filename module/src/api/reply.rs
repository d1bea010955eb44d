//! Replies.

use super::{RawContext, functions};
use std::ffi::{CStr, c_long};

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
