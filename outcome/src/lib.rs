//! Outcomes of events: the vocabulary shared by the runtime, the pool and the server.
//!
//! An accepted event ends in exactly one [`Outcome`]. Where that is not [`Outcome::Ok`], its caller gets a [`Failure`]. A
//! worker ends an event with a [`FaultKind`], which is the part of the outcomes that a worker can decide on; the mapping
//! between the two is here and nowhere else. Status codes are the server's: it has the one table for those.
//!
//! ```
//! use isopod_outcome::{FaultKind, Outcome};
//!
//! assert_eq!(Outcome::from(FaultKind::ExceededCpu).as_str(), "exceeded_cpu");
//! assert!(Outcome::LoadShed.is_retryable());
//! ```
//!
//! The crate knows no V8, no Tokio, no pool and no HTTP.
#![deny(missing_docs, unsafe_code, unreachable_pub)]

mod failure;
mod fault_kind;
mod outcome;
mod setters;

pub use failure::Failure;
pub use fault_kind::FaultKind;
pub use outcome::Outcome;
