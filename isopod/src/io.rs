//! The I/O runtime of a worker thread, and the clients bound to it: [`WorkerThread::io`](crate::WorkerThread::io).

#[doc(inline)]
pub use isopod_runtime::io::{Bound, CLIENTS_MAX, Io, IoError, IoOptions};
