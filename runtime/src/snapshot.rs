//! The snapshot that every isolate starts from, made by the build script.

/// The snapshot: the web platform and our own JavaScript, evaluated.
pub(crate) static SNAPSHOT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/isopod.snapshot"));

// `RESIDUAL_JS` and `RESIDUAL_ESM`: the sources of what is loaded when a script first asks for it, and so is not in the
// snapshot, as `(specifier, source)`.
include!(concat!(env!("OUT_DIR"), "/residual.rs"));
