//! Ops, JavaScript and modules of the embedder's own in workers, and snapshots with them. Unstable: this is deno_core's
//! interface, which changes with every release.
//!
//! The guide is [docs/extending.md](https://github.com/isopod-rs/isopod/blob/main/docs/extending.md).

#[doc(inline)]
pub use isopod_ext::extensions;
#[doc(inline)]
pub use isopod_runtime::{Extend, ExtendError, Image, NewWorker, image};

/// Makes a snapshot, in a build script.
#[doc(inline)]
pub use isopod_snapshot::build as build_snapshot;
