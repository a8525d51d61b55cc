//! Outcomes of events: the vocabulary shared by the runtime, the pool and the server.
//!
//! An accepted event ends in exactly one [`Outcome`], and for any but [`Outcome::Ok`] its caller gets a [`Failure`]. A
//! worker fails an event with a [`FaultKind`], a subset of the outcomes. Only this crate maps between the two, and only the
//! server maps outcomes to status codes.
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
