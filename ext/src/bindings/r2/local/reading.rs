//! Reading of an object's content from its files.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;

use super::blobs::{Blobs, read_at};
use crate::storage::ReadRoom;

/// Size of a read.
const READ_BYTES: u64 = 256 << 10;

/// A piece of an object in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) blob: String,
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// Returns the pieces of a range of an object with these files and sizes.
pub(super) fn pieces(files: Vec<(String, u64)>, offset: u64, length: u64) -> VecDeque<Piece> {
    let (mut skip, mut left) = (offset, length);
    let mut pieces = VecDeque::new();
    for (blob, size) in files {
        if left == 0 {
            break;
        }
        if skip >= size {
            skip -= size;
            continue;
        }
        let length = left.min(size - skip);
        pieces.push_back(Piece {
            blob,
            offset: skip,
            length,
        });
        (skip, left) = (0, left - length);
    }
    pieces
}

type Read = Pin<Box<dyn Future<Output = io::Result<(Bytes, Option<Arc<File>>)>> + Send>>;

/// The content of an object. At most two reads are in memory, the last and the next.
pub(super) struct Content {
    pub(super) blobs: Blobs,
    pub(super) room: ReadRoom,
    pub(super) pieces: VecDeque<Piece>,
    /// The file of the first piece, if it is open.
    pub(super) file: Option<Arc<File>>,
    pub(super) left: u64,
    pub(super) reading: Option<Read>,
    /// Permit for a concurrent read.
    pub(super) _transfer: OwnedSemaphorePermit,
}

impl Content {
    /// Starts the next read.
    fn begin(&mut self) -> Option<Read> {
        let piece = self.pieces.front_mut()?;
        let (blob, offset, length) = (piece.blob.clone(), piece.offset, piece.length.min(READ_BYTES));
        piece.offset += length;
        piece.length -= length;
        let is_done = piece.length == 0;
        if is_done {
            self.pieces.pop_front();
        }
        let (file, blobs, room) = (self.file.take(), self.blobs.clone(), self.room.clone());
        let read = self.blobs.threads().run(move || {
            let file = match file {
                Some(file) => file,
                None => Arc::new(blobs.open(&blob)?.ok_or_else(replaced)?),
            };
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let reserved = room.reserve(length).map_err(io::Error::other)?;
            let bytes = reserved.keep(read_at(&file, offset, length)?.into());
            Ok((bytes, (!is_done).then_some(file)))
        });
        Some(Box::pin(async move { read.await.map_err(io::Error::other)? }))
    }
}

fn replaced() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the object was replaced while it was read")
}

impl http_body::Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let mut reading = match self.reading.take() {
            Some(reading) => reading,
            None => match self.begin() {
                Some(reading) => reading,
                None => return Poll::Ready(None),
            },
        };
        match reading.as_mut().poll(cx) {
            Poll::Pending => {
                self.reading = Some(reading);
                Poll::Pending
            }
            Poll::Ready(Ok((bytes, file))) => {
                self.left = self.left.saturating_sub(bytes.len() as u64);
                self.file = file;
                self.reading = self.begin();
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Poll::Ready(Err(error)) => {
                self.pieces.clear();
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_reads_only_its_files() {
        let files = || vec![("a".to_owned(), 5), ("b".to_owned(), 5), ("c".to_owned(), 2)];
        let of = |offset, length| {
            let pieces = pieces(files(), offset, length).into_iter();
            pieces
                .map(|piece| (piece.blob, piece.offset, piece.length))
                .collect::<Vec<_>>()
        };
        let piece = |blob: &str, offset, length| (blob.to_owned(), offset, length);
        assert_eq!(of(0, 12), [piece("a", 0, 5), piece("b", 0, 5), piece("c", 0, 2)]);
        assert_eq!(of(3, 4), [piece("a", 3, 2), piece("b", 0, 2)]);
        assert_eq!(of(5, 5), [piece("b", 0, 5)]);
        assert_eq!(of(11, 1), [piece("c", 1, 1)]);
        assert_eq!(of(0, 0), []);
    }
}
