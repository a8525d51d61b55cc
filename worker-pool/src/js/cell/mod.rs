//! Cells: workers in processes of their own.
//!
//! A thread of the pool drives a worker in a cell like one of its own: see [`worker`]. Two HTTP/2 connections lead to the cell, over
//! socket pairs that are its standard input and output: one for events and their answers, one for the cell's calls to the pool.
//! `wire` has the messages, `bodies` the streams, `sockets` the WebSockets, `offers` the objects that one side can request or call
//! on the other, and `line` the calls; `peer` uses these between the pools of two processes. `process` starts and ends a cell,
//! `serve` answers its calls, and `inside` is the code that runs in it.

mod bodies;
mod inside;
mod keeper;
mod line;
mod offered;
mod offers;
mod options;
#[cfg(feature = "sql")]
pub(super) mod peer;
mod process;
mod serve;
mod sockets;
mod spares;
mod stream;
mod wire;
pub(super) mod worker;

pub use self::inside::{CellProgram, run_cell_if_asked};
pub use self::options::Cells;
pub(super) use self::spares::Depot;

/// Parses bytes as each kind of message that a cell may send, and returns the number of kinds that they are. For fuzz targets.
#[cfg(feature = "testing")]
#[doc(hidden)]
pub fn understood(bytes: &[u8]) -> usize {
    use bytes::BytesMut;
    use isopod_runtime::sandbox::Confinement;
    use isopod_runtime::websocket::relay::Relayed;

    fn is<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> usize {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
        // Without and with a length prefix.
        let framed = [&length[..], bytes].concat();
        drop(wire::take::<T>(&mut BytesMut::from(bytes)));
        usize::from(matches!(wire::take::<T>(&mut BytesMut::from(&framed[..])), Ok(Some(_))))
    }

    fn begins<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> usize {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
        let framed = [&length[..], bytes].concat();
        drop(wire::take_before::<T>(&mut BytesMut::from(bytes)));
        usize::from(matches!(
            wire::take_before::<T>(&mut BytesMut::from(&framed[..])),
            Ok(Some(_))
        ))
    }

    is::<wire::FromCell>(bytes)
        + is::<Relayed>(bytes)
        + is::<wire::Report>(bytes)
        + begins::<wire::CallHead>(bytes)
        + begins::<wire::ReplyHead>(bytes)
        + is::<wire::LogLine>(bytes)
        + is::<Confinement>(bytes)
}
