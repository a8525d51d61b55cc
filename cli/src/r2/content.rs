//! The content of objects, between files and buckets.

use std::fs::File;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use anyhow::{Result, anyhow};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use isopod::Body;

/// Bytes that are read from a file at a time.
const STEP_BYTES: usize = 256 << 10;

/// Size from which progress is shown, on a terminal.
const LONG_BYTES: u64 = 8 << 20;

/// The progress bar of a transfer, with its size if that is known. It is shown on a terminal if the transfer takes long.
pub(super) fn progress(bytes: Option<u64>) -> ProgressBar {
    let (bar, template) = match bytes {
        Some(bytes) if bytes < LONG_BYTES => return ProgressBar::hidden(),
        Some(bytes) => (
            ProgressBar::new(bytes),
            "{wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}",
        ),
        None => (
            ProgressBar::new_spinner(),
            "{spinner} {binary_bytes} {binary_bytes_per_sec}",
        ),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// A part of a file as a body. Reading blocks the thread: the process has nothing else to do.
pub(super) struct FilePart {
    pub(super) file: File,
    pub(super) left: u64,
    pub(super) progress: ProgressBar,
}

impl HttpBody for FilePart {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let step = usize::try_from(self.left).unwrap_or(usize::MAX).min(STEP_BYTES);
        let mut bytes = vec![0; step];
        if let Err(error) = self.file.read_exact(&mut bytes) {
            return Poll::Ready(Some(Err(error)));
        }
        self.left -= step as u64;
        self.progress.inc(step as u64);
        Poll::Ready(Some(Ok(Frame::data(bytes.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Reads up to this many bytes; fewer at the end.
pub(super) fn read_up_to(source: &mut impl Read, bytes: usize) -> io::Result<Vec<u8>> {
    let mut read = Vec::new();
    source.take(bytes as u64).read_to_end(&mut read)?;
    Ok(read)
}

/// Writes content.
pub(super) fn write(mut content: Body, to: &mut impl Write, progress: &ProgressBar) -> Result<()> {
    while let Some(frame) = futures::executor::block_on(content.frame()) {
        let frame = frame.map_err(|error| anyhow!("cannot read the content: {error}"))?;
        if let Ok(bytes) = frame.into_data() {
            to.write_all(&bytes)?;
            progress.inc(bytes.len() as u64);
        }
    }
    to.flush()?;
    Ok(())
}
