//! The binding by which a script reads results on demand.

use isopod_pool::js::native::{NativeBinding, NativeError, NativeFunction};
use isopod_pool::js::values::ToJsBuffer;
use serde::Serialize;
use serde_json::Value;

use crate::bus::{Payload, ResultRef, Results};

/// Result of a read for a script.
#[derive(Serialize)]
#[serde(untagged)]
enum Read {
    Value(Value),
    Bytes(ToJsBuffer),
}

impl Results {
    /// Returns a binding for reading results, usually called `RESULTS`: `await env.RESULTS.read(reference)`, where the
    /// reference is the data of a message under `results.…`, or the payload of a chained task. Bytes are a `Uint8Array`. An
    /// expired result is a `NotFoundError`.
    #[must_use]
    pub fn binding(&self) -> NativeBinding {
        let results = self.clone();
        let read = NativeFunction::new(move |(reference,): (ResultRef,)| {
            let results = results.clone();
            async move {
                let payload = results
                    .read(&reference)
                    .map_err(|error| NativeError::new("DOMExceptionNotFoundError", error.to_string()))?;
                Ok(match &*payload {
                    Payload::Bytes(bytes) => Read::Bytes(ToJsBuffer::from(bytes.to_vec())),
                    other => Read::Value(other.to_json()?),
                })
            }
        });
        NativeBinding::from([("read".to_owned(), read)])
    }
}
