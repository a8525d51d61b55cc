//! The kind of a value, independent of its prototype, in one call.

use deno_core::{op2, v8};

/// The kind of an object, as numbered in `kinds.js`; 0 for all others.
#[op2(fast)]
#[smi]
pub(super) fn op_isopod_kind_of(value: v8::Local<'_, v8::Value>) -> u32 {
    if value.is_proxy() {
        1
    } else if value.is_array_buffer_view() {
        2
    } else if value.is_array_buffer() {
        3
    } else if value.is_map() {
        4
    } else if value.is_set() {
        5
    } else if value.is_string_object() {
        6
    } else if value.is_native_error() {
        7
    } else if value.is_reg_exp() {
        8
    } else {
        0
    }
}
