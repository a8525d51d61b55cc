//! Limits of handlers' selectors: their parser is recursive, and each takes time for each element.

use lol_html::Selector;

/// Maximum length of a selector, in bytes.
const BYTES_MAX: usize = 4096;

/// Maximum depth of nested brackets and functions.
const DEPTH_MAX: usize = 16;

/// Maximum number of commas, combinators and other parts of a selector.
const PARTS_MAX: usize = 256;

#[derive(Debug, thiserror::Error)]
pub(super) enum SelectorError {
    #[error("the selector is longer than {BYTES_MAX} bytes")]
    TooLong,
    #[error("the selector is nested more than {DEPTH_MAX} levels deep, or has more than {PARTS_MAX} parts")]
    TooComplex,
    #[error("the selector '{0}' is invalid: {1}")]
    Invalid(String, lol_html::errors::SelectorError),
}

pub(super) fn parse(text: &str) -> Result<Selector, SelectorError> {
    if text.len() > BYTES_MAX {
        return Err(SelectorError::TooLong);
    }
    let (mut depth, mut deepest, mut parts) = (0_usize, 0, 0);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b',' | b'>' | b'+' | b'~' | b' ' => parts += 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    if deepest > DEPTH_MAX || parts > PARTS_MAX {
        return Err(SelectorError::TooComplex);
    }
    text.parse()
        .map_err(|error| SelectorError::Invalid(text.to_owned(), error))
}
