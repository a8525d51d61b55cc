//! Encodes response bodies according to their `Content-Encoding`.
//!
//! This runs where the body is read, on the worker's thread, so that compression uses the worker's time and not the
//! server's.

use std::borrow::Cow;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::Poll;

use async_compression::Level;
use async_compression::brotli::EncoderParams;
use async_compression::tokio::write::{BrotliEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
use async_compression::zstd::CParameter;
use bytes::Bytes;
use deno_core::{AsyncRefCell, AsyncResult, BufView, RcRef, Resource};
use deno_error::JsErrorBox;
use futures::FutureExt;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::Coding;
use crate::event::{CpuExceeded, CpuMeter};
use crate::ledger::Charge;
use crate::quotas::{QuotaError, Usage};
use crate::unwind;

/// A level for bodies that are encoded while a client waits; brotli's default is for files that are encoded once.
const BROTLI_LEVEL: Level = Level::Precise(4);

/// The window of brotli and zstd, as a power of two. Their defaults are for a few files at a time, not for many bodies.
const WINDOW_LOG: u8 = 18;

/// Bytes requested from a body at a time.
const READ_BYTES: usize = 64 << 10;

/// An encoder's memory, approximately: its window and its tables.
fn bytes_held(coding: Coding) -> usize {
    match coding {
        Coding::Gzip | Coding::Deflate => 320 << 10,
        Coding::Zstd | Coding::Brotli => 1536 << 10,
    }
}

/// An encoder that writes to memory.
trait Layer: AsyncWrite + Unpin {
    fn take(&mut self) -> Vec<u8>;
}

macro_rules! layers {
    ($($encoder:ident),*) => {$(
        impl Layer for $encoder<Vec<u8>> {
            fn take(&mut self) -> Vec<u8> {
                std::mem::take(self.get_mut())
            }
        }
    )*};
}
layers!(BrotliEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder);

fn layer(coding: Coding) -> Box<dyn Layer> {
    match coding {
        Coding::Gzip => Box::new(GzipEncoder::new(Vec::new())),
        Coding::Brotli => {
            let params = EncoderParams::default().quality(BROTLI_LEVEL);
            let params = params.window_size(WINDOW_LOG.into());
            Box::new(BrotliEncoder::with_params(Vec::new(), params))
        }
        Coding::Zstd => {
            let params = [CParameter::window_log(WINDOW_LOG.into())];
            Box::new(ZstdEncoder::with_quality_and_params(
                Vec::new(),
                Level::Default,
                &params,
            ))
        }
        // RFC 9110, section 8.4.1.2: `deflate` is the zlib format.
        Coding::Deflate => Box::new(ZlibEncoder::new(Vec::new())),
    }
}

/// The action after some bytes.
#[derive(Clone, Copy)]
enum Then {
    More,
    /// Nothing follows for a while: flush, so that everything so far can be decoded.
    Pause,
    End,
}

/// An error of encoding a body.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
#[non_exhaustive]
pub enum EncodeError {
    /// The worker's memory has no room for the encoder.
    #[class(inherit)]
    #[error(transparent)]
    Quota(#[from] QuotaError),
    /// The event's CPU time is used up.
    #[class(inherit)]
    #[error(transparent)]
    Cpu(#[from] CpuExceeded),
    /// The encoder failed.
    #[class(inherit)]
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<EncodeError> for JsErrorBox {
    fn from(error: EncodeError) -> Self {
        match error {
            // Distinguished where the body is read.
            EncodeError::Cpu(exceeded) => Self::from_err(exceeded),
            other => Self::from_err(other),
        }
    }
}

/// Encodes a body, layer by layer.
struct Encoder {
    layers: Vec<Box<dyn Layer>>,
    cpu: CpuMeter,
    _charge: Charge,
}

impl Encoder {
    fn new(codings: &[Coding], usage: &Usage, cpu: CpuMeter) -> Result<Self, QuotaError> {
        Ok(Self {
            cpu,
            _charge: usage.hold(codings.iter().copied().map(bytes_held).sum())?,
            layers: codings.iter().copied().map(layer).collect(),
        })
    }

    /// Encodes at most [`READ_BYTES`] in one step, and charges the CPU time.
    fn push(&mut self, bytes: &[u8], then: Then) -> Result<Vec<u8>, EncodeError> {
        let cpu = self.cpu.clone();
        Ok(cpu.measure(|| self.encode(bytes, then))??)
    }

    fn encode(&mut self, bytes: &[u8], then: Then) -> io::Result<Vec<u8>> {
        let mut bytes = Cow::Borrowed(bytes);
        for layer in &mut self.layers {
            let pushing = async {
                layer.write_all(&bytes).await?;
                match then {
                    Then::More => Ok(()),
                    Then::Pause => layer.flush().await,
                    Then::End => layer.shutdown().await,
                }
            };
            // Writing to memory never waits.
            pushing
                .now_or_never()
                .unwrap_or(Err(io::ErrorKind::WouldBlock.into()))?;
            bytes = Cow::Owned(layer.take());
        }
        Ok(bytes.into_owned())
    }
}

/// Encodes a body in memory.
pub(crate) fn encode(body: &[u8], codings: &[Coding], usage: &Usage, cpu: &CpuMeter) -> Result<Bytes, EncodeError> {
    let mut encoder = Encoder::new(codings, usage, cpu.clone())?;
    let mut encoded = Vec::new();
    for chunk in body.chunks(READ_BYTES) {
        encoded.extend(encoder.push(chunk, Then::More)?);
    }
    encoded.extend(encoder.push(&[], Then::End)?);
    Ok(encoded.into())
}

/// Encodes a body while it is read.
pub(crate) struct EncodedBody {
    body: Rc<dyn Resource>,
    state: AsyncRefCell<State>,
}

struct State {
    encoder: Option<Encoder>,
    /// Encoded bytes not read yet.
    ready: Bytes,
    /// A pending read of the body.
    reading: Option<AsyncResult<BufView>>,
    /// True if the encoder may still hold some of its input.
    is_behind: bool,
}

impl EncodedBody {
    /// Creates one that charges the CPU time of encoding to `cpu`.
    pub(crate) fn new(
        body: Rc<dyn Resource>,
        codings: &[Coding],
        usage: &Usage,
        cpu: CpuMeter,
    ) -> Result<Self, QuotaError> {
        Ok(Self {
            body,
            state: AsyncRefCell::new(State {
                encoder: Some(Encoder::new(codings, usage, cpu)?),
                ready: Bytes::new(),
                reading: None,
                is_behind: false,
            }),
        })
    }
}

impl State {
    async fn next(&mut self, body: &Rc<dyn Resource>, limit: usize) -> Result<Bytes, JsErrorBox> {
        while self.ready.is_empty() {
            let Some(encoder) = &mut self.encoder else {
                return Ok(Bytes::new());
            };
            let reading = self.reading.get_or_insert_with(|| body.clone().read(READ_BYTES));
            let now = poll_fn(|context| Poll::Ready(reading.poll_unpin(context))).await;
            let read = match now {
                Poll::Ready(read) => read,
                // Events of a stream must arrive when they are sent, not when enough have accumulated.
                Poll::Pending if self.is_behind => {
                    self.is_behind = false;
                    self.ready = encoder.push(&[], Then::Pause)?.into();
                    continue;
                }
                Poll::Pending => reading.await,
            };
            self.reading = None;
            let chunk = read?;
            let then = if chunk.is_empty() { Then::End } else { Then::More };
            self.ready = encoder.push(&chunk, then)?.into();
            self.is_behind = true;
            if matches!(then, Then::End) {
                self.encoder = None;
            }
        }
        Ok(self.ready.split_to(limit.min(self.ready.len())))
    }
}

impl Resource for EncodedBody {
    fn name(&self) -> Cow<'_, str> {
        "encodedBody".into()
    }

    fn read(self: Rc<Self>, limit: usize) -> AsyncResult<BufView> {
        Box::pin(async move {
            let mut state = RcRef::map(&self, |body| &body.state).borrow_mut().await;
            let next = unwind::catch_async(state.next(&self.body, limit)).await;
            let next = next.map_err(|panicked| JsErrorBox::generic(panicked.to_string()))?;
            next.map(BufView::from)
        })
    }

    fn close(self: Rc<Self>) {
        self.body.clone().close();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::time::Duration;

    use bytes::Bytes;
    use deno_core::{AsyncResult, BufView, Resource};
    use futures::{StreamExt, TryStreamExt};

    use super::super::Coding::{self, Brotli, Gzip};
    use super::super::decode::decode;
    use super::{EncodedBody, encode};
    use crate::event::CpuMeter;
    use crate::ledger::MemoryLedger;
    use crate::quotas::Usage;

    /// Chunks that are available immediately, then the end, or nothing forever.
    struct Chunks(RefCell<Vec<&'static str>>, bool);

    impl Resource for Chunks {
        fn read(self: Rc<Self>, _limit: usize) -> AsyncResult<BufView> {
            Box::pin(async move {
                if self.0.borrow().is_empty() && !self.1 {
                    std::future::pending::<()>().await;
                }
                Ok(match self.0.borrow_mut().pop() {
                    Some(chunk) => BufView::from(chunk.as_bytes().to_vec()),
                    None => BufView::empty(),
                })
            })
        }
    }

    fn chunks(mut chunks: Vec<&'static str>, ends: bool) -> Rc<dyn Resource> {
        chunks.reverse();
        Rc::new(Chunks(RefCell::new(chunks), ends))
    }

    async fn decoded(bytes: Bytes, codings: &[Coding]) -> String {
        let body = futures::stream::iter([Ok(bytes)]).boxed();
        let chunks: Vec<_> = decode(body, codings, &MemoryLedger::default(), &CpuMeter::default())
            .try_collect()
            .await
            .unwrap();
        String::from_utf8(chunks.concat()).unwrap()
    }

    async fn read_all(body: Rc<dyn Resource>) -> Bytes {
        let mut all = Vec::new();
        loop {
            let chunk = body.clone().read(7).await.unwrap();
            if chunk.is_empty() {
                return all.into();
            }
            all.extend_from_slice(&chunk);
        }
    }

    #[tokio::test]
    async fn every_coding_and_layers_are_encoded_at_once_and_in_chunks() {
        let (usage, cpu) = (Usage::default(), CpuMeter::default());
        let lists: [&[Coding]; 6] = [
            &[Gzip],
            &[Brotli],
            &[Coding::Zstd],
            &[Coding::Deflate],
            &[Gzip, Brotli],
            &[Gzip, Gzip],
        ];
        for list in lists {
            for text in ["", "a few words"] {
                assert_eq!(
                    decoded(encode(text.as_bytes(), list, &usage, &cpu).unwrap(), list).await,
                    text
                );
            }
            let body = EncodedBody::new(
                chunks(vec!["a few ", "more", " words"], true),
                list,
                &usage,
                cpu.clone(),
            )
            .unwrap();
            assert_eq!(
                decoded(read_all(Rc::new(body)).await, list).await,
                "a few more words",
                "{list:?}"
            );
        }
    }

    #[tokio::test]
    async fn written_data_is_readable_while_the_body_pauses() {
        for codings in [&[Gzip][..], &[Brotli], &[Coding::Zstd], &[Coding::Deflate, Gzip]] {
            let body = EncodedBody::new(
                chunks(vec!["event"], false),
                codings,
                &Usage::default(),
                CpuMeter::default(),
            )
            .unwrap();
            let body: Rc<dyn Resource> = Rc::new(body);
            let (mut sender, receiver) = futures::channel::mpsc::channel(100);
            let mut decoding = decode(
                receiver.boxed(),
                codings,
                &MemoryLedger::default(),
                &CpuMeter::default(),
            );
            let mut seen = Vec::new();
            let reading = async {
                while seen != b"event" {
                    tokio::select! {
                        biased;
                        chunk = decoding.next() => seen.extend_from_slice(&chunk.unwrap().unwrap()),
                        chunk = body.clone().read(1000) => {
                            sender.try_send(Ok(Bytes::copy_from_slice(&chunk.unwrap()))).unwrap();
                        }
                    }
                }
            };
            let seen = tokio::time::timeout(Duration::from_secs(10), reading).await;
            assert!(seen.is_ok(), "{codings:?}");
        }
    }
}
