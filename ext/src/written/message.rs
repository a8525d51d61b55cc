//! Messages of calls between workers in written form, and the functions and objects in them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::bodies::{Sent, body_of};
use super::failure::{failure_of, fault_of};
use super::fault::WrittenFault;
use super::frame::{FrameError, WrittenMessage, WrittenPart};
use crate::bindings::{Lent, Parcel, ParcelFuture, pack, unpack};
use crate::event::{Body, Fault, FaultKind};
use crate::native::CallbackError;
use crate::rpc::{Away, Part, RpcMessage, Stub, StubError, StubFuture};

/// The written form of a message. Its parts are added to those that go with the frame.
pub(super) fn written_message(message: RpcMessage, sent: &mut Sent, stubs: &mut Vec<Arc<dyn Lent>>) -> WrittenMessage {
    let RpcMessage { bytes, parts, .. } = message;
    let parts = parts.into_iter().map(|part| match part {
        Part::Stream(body) => WrittenPart::Stream(sent.add(body)),
        Part::Stub(stub) => {
            stubs.push(Arc::new(Lending(stub)));
            #[expect(clippy::cast_possible_truncation, reason = "a quota limits their number")]
            WrittenPart::Stub((stubs.len() - 1) as u32)
        }
    });
    WrittenMessage {
        parts: parts.collect(),
        bytes,
    }
}

/// Restores a message, whose data may have `bytes_max` bytes. `stream` and `stub` return the parts that go with the frame.
pub(super) fn message_of(
    written: WrittenMessage,
    stream: &mut dyn FnMut(u32) -> Option<Body>,
    stub: &mut dyn FnMut(u32) -> Option<Arc<dyn Lent>>,
    bytes_max: usize,
) -> Result<RpcMessage, FrameError> {
    if written.bytes.len() > bytes_max {
        return Err(FrameError::invalid(
            "message",
            "it has more bytes than `limits.message`",
        ));
    }
    let parts = written.parts.into_iter().map(|part| {
        Ok(match part {
            WrittenPart::Stream(body) => Part::Stream(body_of(body, stream)?),
            WrittenPart::Stub(number) => {
                let lent = stub(number).ok_or_else(|| FrameError::invalid("stub", number))?;
                Part::Stub(Stub::away(Borrowed { lent, bytes_max }))
            }
        })
    });
    let parts = parts.collect::<Result<_, FrameError>>()?;
    Ok(RpcMessage::new(written.bytes, parts))
}

fn parcel(message: RpcMessage) -> Result<Parcel, String> {
    let (mut sent, mut stubs) = (Sent::default(), Vec::new());
    let written = written_message(message, &mut sent, &mut stubs);
    if sent.0.len() > Parcel::BODIES_MAX {
        return Err(format!(
            "more than {} streams are too many for a call",
            Parcel::BODIES_MAX
        ));
    }
    Ok(Parcel {
        bytes: pack(&Message::Sent(written))?,
        bodies: sent.0,
        stubs,
        ..Parcel::default()
    })
}

/// A message to a function, or its answer.
#[derive(Serialize, Deserialize)]
enum Message {
    Sent(WrittenMessage),
    Failed(WrittenFault),
}

fn read(parcel: Parcel, bytes_max: usize) -> Result<Result<RpcMessage, Fault>, String> {
    let Parcel {
        bytes,
        bodies,
        stubs,
        held,
        ..
    } = parcel;
    let mut bodies: Vec<_> = bodies.into_iter().map(Some).collect();
    let mut stubs: Vec<_> = stubs.into_iter().map(Some).collect();
    match unpack::<Message>(&bytes)? {
        Message::Sent(written) => {
            let message = message_of(
                written,
                &mut |number| bodies.get_mut(number as usize)?.take(),
                &mut |number| stubs.get_mut(number as usize)?.take(),
                bytes_max,
            );
            let mut message = message.map_err(|error| error.to_string())?;
            // Until the worker has read it.
            message.held = held;
            Ok(Ok(message))
        }
        Message::Failed(fault) => Ok(Err(fault.into())),
    }
}

/// A function or an object of this process that another one calls.
struct Lending(Stub);

impl Lent for Lending {
    fn call(&self, request: Parcel, bytes_max: usize) -> ParcelFuture {
        let request = request.pass_on();
        let message = request
            .and_then(|request| read(request, bytes_max))
            .and_then(|message| message.map_err(|fault| fault.message));
        let running = message.map(|message| self.0.begin(message));
        Box::pin(async move {
            match running?.await {
                Ok(message) => parcel(message),
                Err(error) => Ok(Parcel::new(pack(&Message::Failed((&fault(error)).into()))?)),
            }
        })
    }
}

/// A function or an object of another process.
struct Borrowed {
    lent: Arc<dyn Lent>,
    bytes_max: usize,
}

impl Away for Borrowed {
    fn begin(&self, message: RpcMessage) -> StubFuture {
        let bytes_max = self.bytes_max;
        let lent = Arc::clone(&self.lent);
        let answer = parcel(message).map(|parcel| lent.call(parcel, bytes_max));
        Box::pin(async move {
            let invalid = |text| StubError::Callback(CallbackError::Value(text));
            let answer = answer.map_err(invalid)?.await;
            // It is not released while it is called.
            drop(lent);
            match answer {
                Ok(answer) => read(answer, bytes_max).map_err(invalid)?.map_err(error),
                Err(why) => {
                    tracing::debug!(why, "a function or an object of another process does not answer");
                    Err(StubError::Callback(CallbackError::Ended))
                }
            }
        })
    }
}

fn fault(error: StubError) -> Fault {
    match error {
        StubError::Failed(failure) => fault_of(failure),
        StubError::Callback(error) => error.into(),
    }
}

fn error(fault: Fault) -> StubError {
    match fault.kind {
        FaultKind::Exception | FaultKind::Canceled => StubError::Callback(fault.into()),
        _ => StubError::Failed(failure_of(fault)),
    }
}
