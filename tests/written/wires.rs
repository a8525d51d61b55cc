//! How frames and bodies cross: as bytes alone.

use bytes::Bytes;
use futures::stream;
use http_body::Frame as BodyFrame;
use http_body_util::{BodyExt as _, StreamBody};
use isopod::engine::written::{Frame, FrameError, WrittenCut};
use isopod::{Body, BodyError};
use tokio::sync::mpsc;

use crate::engine::links;

/// What is there of a frame on the other side.
pub(crate) fn passed(frame: Frame) -> Result<Frame, FrameError> {
    Frame::decode(&frame.encode()?)
}

/// A piece of a body on its way.
enum Piece {
    Chunk(Bytes),
    End,
    /// An encoded frame.
    Cut(Vec<u8>),
}

/// The other ends of bodies, by number and once each.
pub(crate) fn wires(bodies: Vec<Body>) -> impl FnMut(u32) -> Option<Body> {
    let mut bodies = taken(bodies);
    move |number| bodies(number).map(wire)
}

/// What goes with a frame, by number and once each.
pub(crate) fn taken<T>(list: Vec<T>) -> impl FnMut(u32) -> Option<T> {
    let mut list: Vec<_> = list.into_iter().map(Some).collect();
    move |number| list.get_mut(number as usize)?.take()
}

fn wire(body: Body) -> Body {
    let (to, mut from) = mpsc::channel(1);
    links().spawn(send(body, to));
    let pieces = stream::poll_fn(move |cx| {
        from.poll_recv(cx).map(|piece| match piece {
            Some(Piece::Chunk(chunk)) => Some(Ok(BodyFrame::data(chunk))),
            Some(Piece::End) => None,
            Some(Piece::Cut(frame)) => match Frame::decode(&frame) {
                Ok(Frame::Cut(cut)) => Some(Err(BodyError::from(cut))),
                other => panic!("a cut became {other:?}"),
            },
            None => Some(Err(BodyError::new("the wire was cut"))),
        })
    });
    Body::new(StreamBody::new(pieces))
}

async fn send(mut body: Body, to: mpsc::Sender<Piece>) {
    loop {
        let frame = tokio::select! {
            biased;
            // Its reader has left: the body is dropped, and so its writer is told.
            () = to.closed() => return,
            frame = body.frame() => frame,
        };
        let piece = match frame {
            // There is no place for trailers, as there is none in scripts.
            Some(Ok(frame)) => Piece::Chunk(frame.into_data().unwrap_or_default()),
            Some(Err(error)) => Piece::Cut(Frame::Cut(WrittenCut::from(error)).encode().expect("a frame")),
            None => Piece::End,
        };
        let is_last = !matches!(piece, Piece::Chunk(_));
        if to.send(piece).await.is_err() || is_last {
            return;
        }
    }
}
