//! Content to be stored in a bucket.

use bytes::Bytes;
use http_body::Body as _;
use http_body_util::BodyExt as _;

use super::store::R2Error;
use crate::event::Body;

/// Takes the next pieces of content, up to at least this size.
pub(super) async fn pieces(content: &mut Body, left: &mut u64, size: usize) -> Result<Vec<Bytes>, R2Error> {
    let mut pieces = Vec::new();
    let mut taken = 0;
    while *left > 0 && taken < size {
        let frame = content.frame().await.transpose();
        let frame = frame.map_err(|error| R2Error::Content(error.to_string()))?;
        let frame = frame.ok_or_else(|| R2Error::Content("it ended before its end".to_owned()))?;
        let Ok(piece) = frame.into_data() else { continue };
        let length = piece.len() as u64;
        *left = left
            .checked_sub(length)
            .ok_or_else(|| R2Error::Content("it is longer than it was said to be".to_owned()))?;
        taken += piece.len();
        pieces.push(piece);
    }
    if *left == 0 && !content.is_end_stream() {
        // A source that knows its length may report the end itself.
        match content.frame().await {
            None => {}
            Some(Ok(frame)) if frame.data_ref().is_none_or(Bytes::is_empty) => {}
            Some(Ok(_)) => return Err(R2Error::Content("it is longer than it was said to be".to_owned())),
            Some(Err(error)) => return Err(R2Error::Content(error.to_string())),
        }
    }
    Ok(pieces)
}
