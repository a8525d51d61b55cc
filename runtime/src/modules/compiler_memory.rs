//! The memory that V8's compiler needs for code, estimated before it is compiled: nothing stops the compiler, and no limit of V8
//! counts its memory.
//!
//! Code that takes much memory has many of the tokens below; a byte of a name, a text or a comment takes little. The bytes per token
//! are measured on repetitions of each construct, some of which are in `tests/errors.rs`. Bundles of several megabytes
//! are estimated at 30 to 40 bytes per byte, `[class{#a},class{#a},…` at 640, and `[await 0,await 0,…` at 900.

use memchr::memmem;
use url::Url;

use super::error::{ModuleError, display_url};
use super::loader::Loader;

/// Bytes of memory per byte of code, whatever it is.
const PER_BYTE: u64 = 14;
/// Upper bound of the estimate, per byte of code. Shorter code needs no estimate.
const PER_BYTE_MAX: u64 = 18 << 10;
/// The estimate for `\p{L}`, which V8 expands to the ranges of characters.
const PER_PROPERTY: u64 = 35_000;

/// Additional bytes of memory per word. Words with escapes are no keywords.
const PER_WORD: [(&str, u64); 8] = [
    ("class", 4_600),
    ("await", 7_000),
    ("yield", 3_000),
    ("=>", 650),
    ("function", 500),
    ("for", 900),
    (r"\p", PER_PROPERTY),
    (r"\P", PER_PROPERTY),
];

/// Additional bytes of memory per byte of these.
const fn per_mark(byte: u8) -> u64 {
    match byte {
        b'#' => 900,
        b'{' => 700,
        b'(' => 350,
        b'[' | b'=' => 250,
        b'|' => 200,
        b'`' => 130,
        b',' | b';' => 70,
        _ => 0,
    }
}

/// Estimates the memory in bytes that V8 needs to compile all of `code`. It may be half as much again for code that is made to
/// deceive the estimate.
fn estimate(code: &str) -> u64 {
    let words: u64 = PER_WORD
        .iter()
        .map(|(word, bytes)| bytes * memmem::find_iter(code.as_bytes(), word).count() as u64)
        .sum();
    let marks: u64 = code.bytes().map(per_mark).sum();
    PER_BYTE * code.len() as u64 + marks + words
}

/// Returns whether any code of this length, in bytes or UTF-16 code units, compiles within `bytes_max` bytes of memory.
pub(crate) const fn is_light(length: usize, bytes_max: u64) -> bool {
    (length as u64).saturating_mul(PER_BYTE_MAX) <= bytes_max
}

/// Returns the estimated memory to compile `code` if that is more than `bytes_max`.
pub(crate) fn excess(code: &str, bytes_max: u64) -> Option<u64> {
    if is_light(code.len(), bytes_max) {
        return None;
    }
    Some(estimate(code)).filter(|bytes| *bytes > bytes_max)
}

impl Loader {
    /// Rejects a module for which V8's compiler needs too much memory.
    pub(super) fn refuse_heavy(&self, url: &Url, code: &str) -> Result<(), ModuleError> {
        let limit = self.limits.compiler_bytes_max;
        match excess(code, limit) {
            None => Ok(()),
            Some(bytes) => Err(ModuleError::TooMuchToCompile {
                file: display_url(url),
                bytes,
                limit,
            }),
        }
    }
}
