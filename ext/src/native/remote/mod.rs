//! Rust functions of the pool's process, called by workers in processes of their own.

mod away;

use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

pub(crate) use self::away::{borrowed, lent};
use super::callback::{WithFunctions, passing};
use super::{NativeBinding, NativeError, NativeFunction, NativeResult};
use crate::bindings::{Asks, Parcel, ParcelFuture, pack, unpack};
use crate::unwind::message;
use crate::values::Encoded;

/// A call: of a method of a binding, or of a function.
#[derive(Serialize, Deserialize)]
struct WrittenCall {
    method: Option<String>,
    arguments: ByteBuf,
}

#[derive(Serialize, Deserialize)]
enum Answered {
    Value(ByteBuf),
    /// The stream that is passed with it.
    Stream,
    /// Class and message of the error and of its causes.
    Failed(Vec<(String, String)>),
}

/// Maximum number of causes of an error.
const CAUSES_MAX: usize = 16;

/// The stand-in for a function in another process.
pub(crate) fn function(asks: Asks, method: Option<String>) -> NativeFunction {
    function_of(move |parcel| asks.ask(parcel), method)
}

/// The stand-in for a function that is called by `ask`.
pub(super) fn function_of(
    ask: impl Fn(Parcel) -> ParcelFuture + Send + Sync + 'static,
    method: Option<String>,
) -> NativeFunction {
    NativeFunction::of_encoded(move |arguments: WithFunctions, bodies| {
        let bytes = pack(&WrittenCall {
            method: method.clone(),
            arguments: ByteBuf::from(Vec::from(arguments.value.into_bytes())),
        });
        let parcel = bytes.map(|bytes| Parcel {
            stubs: lent(arguments.functions),
            ..Parcel::with_bodies(bytes, bodies)
        });
        let answer = parcel.map(&ask);
        Box::pin(async move {
            let lost = |error: String| NativeError::new("Error", error);
            let mut answer = answer.map_err(lost)?.await.map_err(lost)?;
            match unpack::<Answered>(&answer.bytes).map_err(lost)? {
                Answered::Value(bytes) => {
                    let value = Encoded::from_bytes(bytes.into_vec().into());
                    Ok(NativeResult::Value(Box::new(value)))
                }
                Answered::Stream => {
                    let body = answer.bodies.pop();
                    let body = body.ok_or_else(|| lost("the stream of an answer is not with it".to_owned()))?;
                    Ok(NativeResult::Stream(body))
                }
                Answered::Failed(chain) => Err(error_of(chain)),
            }
        })
    })
}

/// The stand-in for a binding in another process.
pub(crate) fn binding(asks: &Asks, methods: Vec<String>) -> NativeBinding {
    let functions = methods.into_iter();
    functions
        .map(|method| (method.clone(), function(asks.clone(), Some(method))))
        .collect()
}

/// Calls a function for a worker in another process.
pub(crate) fn serve<'f>(
    functions: impl FnOnce(Option<&str>) -> Option<&'f NativeFunction>,
    request: Parcel,
    bytes_max: usize,
) -> ParcelFuture {
    let begun = request.pass_on().and_then(|request| {
        let call = unpack::<WrittenCall>(&request.bytes)?;
        let function = functions(call.method.as_deref());
        let function = function
            .ok_or("this function was only valid for one call, which has ended")?
            .clone();
        let arguments = Encoded::from_bytes(call.arguments.into_vec().into());
        let passed = borrowed(request.stubs, bytes_max);
        Ok((function, arguments, passed, request.bodies, request.held))
    });
    Box::pin(async move {
        let (function, arguments, passed, bodies, held) = begun?;
        let running = passing(passed, || function.call_encoded(arguments, bodies, bytes_max));
        let result = match running {
            Ok(running) => match AssertUnwindSafe(running).catch_unwind().await {
                Ok(result) => result,
                Err(panic) => Err(NativeError::new(
                    "Error",
                    format!("the function panicked: {}", message(&*panic)),
                )),
            },
            Err(error) => Err(NativeError::new("TypeError", error.to_string())),
        };
        drop(held);
        let (answered, bodies) = match result {
            Ok(NativeResult::Value(mut value)) => match value.to_encoded() {
                Ok(value) => (
                    Answered::Value(ByteBuf::from(Vec::from(value.into_bytes()))),
                    Vec::new(),
                ),
                Err(error) => (
                    Answered::Failed(vec![("TypeError".to_owned(), error.to_string())]),
                    Vec::new(),
                ),
            },
            Ok(NativeResult::Stream(body)) => (Answered::Stream, vec![body]),
            Err(error) => (Answered::Failed(chain_of(error)), Vec::new()),
        };
        let bytes = pack(&answered)?;
        Ok(Parcel::with_bodies(bytes, bodies))
    })
}

fn chain_of(error: NativeError) -> Vec<(String, String)> {
    let mut chain = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        chain.push((error.class, error.message));
        next = error.cause.map(|cause| *cause);
    }
    chain
}

fn error_of(chain: Vec<(String, String)>) -> NativeError {
    let causes = chain.into_iter().take(CAUSES_MAX).rev();
    let error = causes.fold(None, |cause, (class, message)| {
        Some(NativeError {
            class,
            message,
            cause: cause.map(Box::new),
        })
    });
    error.unwrap_or_else(|| NativeError::new("Error", "the function failed"))
}
