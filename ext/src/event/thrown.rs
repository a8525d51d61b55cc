//! An error thrown by a script, as Rust sees it.

use std::fmt;

use deno_core::error::JsError;

/// Maximum length of a chain of causes: an error may be its own cause.
pub(crate) const CAUSES_MAX: usize = 8;

/// Maximum length of a message or stack in bytes: a script can throw half a gigabyte of text, and several copies are
/// made.
pub(crate) const TEXT_BYTES_MAX: usize = 64 << 10;

/// The part of a text that is kept.
pub(crate) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]
}

/// An error thrown by a script: class, message, stack with original positions, and cause.
///
/// It is the [`source`](std::error::Error::source) of the failure that ended the event; its own `source` is its cause.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Thrown {
    /// The name of its class, such as `TypeError`; `Error` for a thrown value that is not an error.
    pub class: String,
    /// Its message.
    pub message: String,
    /// Its stack, with original positions.
    pub stack: Option<String>,
    /// Its `cause`, if that is an error.
    pub cause: Option<Box<Thrown>>,
    /// True if the script has no function of the requested name, so that nothing was called. Set by the runtime;
    /// scripts cannot.
    pub missing: bool,
}

impl Thrown {
    pub(crate) fn new(error: &JsError) -> Self {
        Self::at_depth(error, 0)
    }

    pub(crate) fn missing(mut self) -> Self {
        self.missing = true;
        self
    }

    fn at_depth(error: &JsError, depth: usize) -> Self {
        let told = || cut(error.exception_message.trim_start_matches("Uncaught ")).to_owned();
        let kept = |text: &Option<String>| text.as_deref().map(|text| cut(text).to_owned());
        Self {
            class: kept(&error.name).unwrap_or_else(|| "Error".to_owned()),
            message: kept(&error.message).unwrap_or_else(told),
            stack: kept(&error.stack),
            cause: error
                .cause
                .as_ref()
                .filter(|_| depth < CAUSES_MAX)
                .map(|cause| Box::new(Self::at_depth(cause, depth + 1))),
            missing: false,
        }
    }
}

impl fmt::Display for Thrown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class, self.message)
    }
}

impl std::error::Error for Thrown {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}
