//! Modules in processes of their own.
//!
//! A host starts the process with a socket as descriptor 0, which [`Module::connect`] takes. The module then registers its
//! tasks and the topics it subscribes to, and [`Module::run`] works until the host asks it to end.
//!
//! ```no_run
//! use isopod_module::{Module, TaskContext};
//!
//! fn main() -> Result<(), isopod_module::Error> {
//!     Module::connect()?
//!         .task("count", |ctx: TaskContext, text: String| async move {
//!             ctx.progress(&0.5).await?;
//!             ctx.emit("words", text.split_whitespace().collect::<Vec<_>>()).await?;
//!             Ok::<_, isopod_module::Error>(text.len())
//!         })
//!         .run()
//! }
//! ```
//!
//! The crate has no V8 and needs no other part of Isopod. A separate thread reads and writes the socket, so that the host
//! gets answers while tasks compute.
//!
//! Without the feature `sdk` (on by default), the crate is only the [`protocol`]. With the feature `shared-memory`, large
//! payloads and results go through memory that the process shares with a host that offers it ([`shared`]).
#![deny(missing_docs, unsafe_code, unreachable_pub)]

#[cfg(feature = "sdk")]
mod buffer;
#[cfg(feature = "sdk")]
mod error;
#[cfg(feature = "sdk")]
mod event;
#[cfg(feature = "sdk")]
mod io;
#[cfg(feature = "sdk")]
mod link;
#[cfg(feature = "sdk")]
mod module;
mod payload;
pub mod protocol;
#[cfg(feature = "sdk")]
mod room;
pub mod shared;
#[cfg(feature = "sdk")]
mod task;
#[cfg(feature = "sdk")]
mod window;

#[cfg(feature = "sdk")]
pub use buffer::Buffer;
#[cfg(feature = "sdk")]
pub use error::{BoxError, Error};
#[cfg(feature = "sdk")]
pub use event::Event;
#[cfg(feature = "sdk")]
pub use module::Module;
pub use payload::Payload;
pub use protocol::ResultRef;
#[cfg(feature = "sdk")]
pub use task::TaskContext;
#[cfg(feature = "sdk")]
pub use tokio_util::sync::CancellationToken;
