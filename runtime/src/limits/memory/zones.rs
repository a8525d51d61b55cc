//! Memory of V8's compilers and of `JSON.stringify`, which they take from zones.

use deno_core::v8;

use crate::platform;

/// V8 counts the zones of an isolate together with those of all WebAssembly modules of the process. Below this sum, the
/// isolate's part is not worth measuring.
const WORTH_COUNTING: usize = 8 * 1024 * 1024;

/// The size of this isolate's zones, or 0 if it is small, less than `room`, or unknown.
pub(super) fn bytes(isolate: &mut v8::Isolate, room: usize) -> usize {
    let size = |isolate: &mut v8::Isolate| isolate.get_heap_statistics().malloced_memory();
    let first = size(isolate);
    if first < WORTH_COUNTING.max(room) {
        return 0;
    }
    // Other threads may compile WebAssembly meanwhile. The smaller of two sums, less the larger of two readings of
    // WebAssembly's part, is never more than this isolate has.
    let Some(between) = platform::zones_of_all() else {
        return 0;
    };
    let second = size(isolate);
    let Some(after) = platform::zones_of_all() else {
        return 0;
    };
    first.min(second).saturating_sub(between.max(after))
}
