//! Bodies of frames in shared memory, by iceoryx2, for hosts and the modules that they trust.
//!
//! The socket remains: it has all frames, in their order, and wakes the reader. A large body is written into a slot of
//! shared memory before its frame, which has only the body's length; the reader of the frame takes the slot, and has the
//! body without a copy. A body for which there is no slot goes over the socket.
//!
//! An `Area` is the memory of one process and its host, an [`End`] one side's access to it. Without the feature
//! `shared-memory` there is no [`End`].

#[cfg(feature = "shared-memory")]
mod area;
#[cfg(feature = "shared-memory")]
mod end;
mod error;
#[cfg(feature = "shared-memory")]
mod hold;
#[cfg(not(feature = "shared-memory"))]
mod none;
#[cfg(all(test, feature = "shared-memory"))]
pub(crate) mod pair;
mod terms;

#[cfg(feature = "shared-memory")]
pub use area::Area;
#[cfg(feature = "shared-memory")]
pub use end::{End, Loan};
pub use error::SharedError;
#[cfg(feature = "shared-memory")]
pub use hold::Holds;
#[cfg(not(feature = "shared-memory"))]
pub use none::{End, Loan};
pub use terms::SharedTerms;

/// The library and version by which this program shares memory, if it does. Both sides must have the same.
pub const LIBRARY: Option<&str> = if cfg!(feature = "shared-memory") {
    Some("iceoryx2/0.10.0")
} else {
    None
};
