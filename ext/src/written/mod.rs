//! Events and their answers in written form, for workers in other processes.
//!
//! In the caller's process, [`export`] separates an event into its written form, the bodies and functions that it carries,
//! and the [`Recipient`] that waits for its answer. In the worker's process, [`import`] restores the event, and an [`Owed`]
//! gives its answer. The two sides exchange [`Frame`]s: the event, the progress of a task, the answer.
//!
//! The transport carries the frames, the chunks of bodies, which have numbers, and the messages of WebSockets, with its own
//! flow control. Functions, and the functions and objects of scripts, have numbers as well, and the transport provides
//! stand-ins for them. Each function or object of a script is [`Lent`](crate::remote::Lent) for as long as the other side
//! holds its stand-in.
//!
//! ```
//! use isopod_ext::written::{Frame, FrameError};
//!
//! assert!(matches!(Frame::decode(&[255, 1, 2]), Err(FrameError::Version(255))));
//! ```
//!
//! Any bytes can be decoded: invalid ones are an error. What is allocated for them is bounded by their number and by
//! the `bytes_max` of the values in them.

mod bodies;
mod bounded;
mod export;
mod failure;
mod fault;
mod frame;
mod import;
mod message;
mod owed;
mod parts;
#[cfg(test)]
mod tests;

#[cfg(feature = "sql")]
pub(crate) use self::bounded::bounded_to;
pub use self::bounded::{PARTS_MAX, bounded};
pub use self::export::{AnswerError, Exported, Recipient, export, export_to};
pub use self::failure::{failure_of, fault_of};
pub use self::fault::{WrittenCut, WrittenFault};
pub use self::frame::{
    FRAME_BYTES_MAX, Frame, FrameError, INLINE_BYTES_MAX, VERSION, WrittenAnswer, WrittenArgument, WrittenArguments,
    WrittenBody, WrittenCaller, WrittenCf, WrittenData, WrittenEvent, WrittenHeaders, WrittenItem, WrittenKind,
    WrittenMessage, WrittenPart,
};
pub use self::import::{import, import_to};
pub use self::owed::{Answered, Owed, Owing, owe};
pub(crate) use self::parts::{data_of, headers_of, written_data, written_headers};
