//! R2 buckets of workers in other processes, whose operations are executed in the pool's process.

use std::sync::Arc;

use http::HeaderValue;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::condition::R2Conditions;
use super::object::R2Object;
use super::range::R2Range;
use super::rules::{R2Fault, check_key};
use super::store::{R2Error, R2Found, R2Future, R2Get, R2Listing, R2NewUpload, R2Page, R2Part, R2Put, R2Store};
use crate::bindings::{Asks, Parcel, ParcelFuture};
use crate::event::Body;
use crate::storage::{ReadRoom, StorageError, WrittenStorageError};

/// An operation. Content is passed as a separate stream.
#[derive(Serialize, Deserialize)]
enum Request {
    Head(String),
    Get {
        key: String,
        conditions: R2Conditions,
        range: Option<WrittenRange>,
    },
    Put(R2Put),
    Delete(Vec<String>),
    List(R2Listing),
    CreateUpload(R2NewUpload),
    PutPart {
        key: String,
        upload: String,
        number: u16,
    },
    CompleteUpload {
        key: String,
        upload: String,
        parts: Vec<R2Part>,
    },
    AbortUpload {
        key: String,
        upload: String,
    },
}

#[derive(Serialize, Deserialize)]
enum WrittenRange {
    From(u64, Option<u64>),
    Last(u64),
    Header(Vec<u8>),
}

impl From<R2Range> for WrittenRange {
    fn from(range: R2Range) -> Self {
        match range {
            R2Range::From { offset, length } => Self::From(offset, length),
            R2Range::Last(length) => Self::Last(length),
            R2Range::Header(header) => Self::Header(header.as_bytes().to_vec()),
        }
    }
}

impl TryFrom<WrittenRange> for R2Range {
    type Error = http::header::InvalidHeaderValue;

    fn try_from(written: WrittenRange) -> Result<Self, Self::Error> {
        Ok(match written {
            WrittenRange::From(offset, length) => Self::From { offset, length },
            WrittenRange::Last(length) => Self::Last(length),
            WrittenRange::Header(header) => Self::Header(HeaderValue::from_bytes(&header)?),
        })
    }
}

#[derive(Serialize, Deserialize)]
enum WrittenError {
    Fault(R2Fault),
    Storage(WrittenStorageError),
    Content(String),
}

impl From<R2Error> for WrittenError {
    fn from(error: R2Error) -> Self {
        match error {
            R2Error::Fault(fault) => Self::Fault(fault),
            R2Error::Storage(error) => Self::Storage(error.into()),
            R2Error::Content(error) => Self::Content(error),
        }
    }
}

impl From<WrittenError> for R2Error {
    fn from(written: WrittenError) -> Self {
        match written {
            WrittenError::Fault(fault) => Self::Fault(fault),
            WrittenError::Storage(error) => Self::Storage(error.into()),
            WrittenError::Content(error) => Self::Content(error),
        }
    }
}

/// A found object, the range of its content, and whether the content accompanies it.
type WrittenFound = (R2Object, (u64, u64), bool);

/// The storage of a bucket, in another process.
pub(crate) struct RemoteR2(pub(crate) Asks);

impl RemoteR2 {
    fn ask<T: DeserializeOwned + Send + 'static>(
        &self,
        request: &Request,
        content: Option<Body>,
    ) -> R2Future<(T, Option<Body>)> {
        // As JSON, in which members may be omitted.
        let request = serde_json::to_vec(request).map_err(|error| error.to_string());
        let request = request.map(|bytes| {
            let bodies = content.into_iter().collect();
            self.0.ask(Parcel::with_bodies(bytes, bodies))
        });
        Box::pin(async move {
            let failed = |error: String| R2Error::Storage(StorageError::Failed(error));
            let mut answer = request.map_err(failed)?.await.map_err(failed)?;
            let reply = serde_json::from_slice::<Result<T, WrittenError>>(&answer.bytes);
            let value = reply
                .map_err(|error| failed(error.to_string()))?
                .map_err(R2Error::from)?;
            Ok((value, answer.bodies.pop()))
        })
    }

    fn value<T: DeserializeOwned + Send + 'static>(&self, request: &Request, content: Option<Body>) -> R2Future<T> {
        let answer = self.ask(request, content);
        Box::pin(async move { answer.await.map(|(value, _)| value) })
    }
}

impl R2Store for RemoteR2 {
    fn head(&self, key: String) -> R2Future<Option<R2Object>> {
        self.value(&Request::Head(key), None)
    }

    fn get(&self, get: R2Get, _room: ReadRoom) -> R2Future<Option<R2Found>> {
        let answer = self.ask::<Option<WrittenFound>>(
            &Request::Get {
                key: get.key,
                conditions: get.conditions,
                range: get.range.map(WrittenRange::from),
            },
            None,
        );
        Box::pin(async move {
            let (found, content) = answer.await?;
            Ok(found.map(|(object, range, has_content)| R2Found {
                object,
                range,
                content: has_content.then(|| content.unwrap_or_default()),
            }))
        })
    }

    fn put(&self, put: R2Put, content: Body) -> R2Future<Option<R2Object>> {
        self.value(&Request::Put(put), Some(content))
    }

    fn delete(&self, keys: Vec<String>) -> R2Future<()> {
        self.value(&Request::Delete(keys), None)
    }

    fn list(&self, listing: R2Listing) -> R2Future<R2Page> {
        self.value(&Request::List(listing), None)
    }

    fn create_upload(&self, upload: R2NewUpload) -> R2Future<String> {
        self.value(&Request::CreateUpload(upload), None)
    }

    fn put_part(&self, key: String, upload: String, number: u16, content: Body) -> R2Future<String> {
        self.value(&Request::PutPart { key, upload, number }, Some(content))
    }

    fn complete_upload(&self, key: String, upload: String, parts: Vec<R2Part>) -> R2Future<R2Object> {
        self.value(&Request::CompleteUpload { key, upload, parts }, None)
    }

    fn abort_upload(&self, key: String, upload: String) -> R2Future<()> {
        self.value(&Request::AbortUpload { key, upload }, None)
    }
}

/// The room for a page of a list, before its size is known: a thousand objects with metadata.
const PAGE_BYTES: usize = 2 << 20;

/// Executes an operation for a worker in another process.
pub(super) fn serve(store: Arc<dyn R2Store>, request: Parcel, bytes_max: usize) -> ParcelFuture {
    Box::pin(async move {
        let Parcel {
            bytes,
            bodies,
            held: _held,
            transit,
            ..
        } = request;
        let content = bodies.into_iter().next().unwrap_or_default();
        let request: Request = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
        drop(bytes);
        // The platform's rules are checked here, because the other process is not trusted.
        if let Request::Put(R2Put { key, .. }) | Request::CreateUpload(R2NewUpload { key, .. }) = &request {
            check_key(key).map_err(|fault| fault.to_string())?;
        }
        match request {
            Request::Head(key) => reply(store.head(key).await),
            Request::Get { key, conditions, range } => {
                let range = range
                    .map(R2Range::try_from)
                    .transpose()
                    .map_err(|error| error.to_string())?;
                let get = R2Get { key, conditions, range };
                let found = store.get(get, ReadRoom::new(bytes_max)).await;
                let mut content = None;
                let found = found.map(|found| {
                    found.map(|found| -> WrittenFound {
                        content = found.content;
                        (found.object, found.range, content.is_some())
                    })
                });
                let parcel = reply(found)?;
                Ok(Parcel {
                    bodies: content.into_iter().collect(),
                    ..parcel
                })
            }
            Request::Put(put) => reply(store.put(put, content).await),
            Request::Delete(keys) => reply(store.delete(keys).await),
            Request::List(listing) => {
                let mut held = transit.answer(PAGE_BYTES).await;
                let answer = reply(store.list(listing).await)?;
                held.shrink(answer.bytes.len());
                Ok(Parcel { held, ..answer })
            }
            Request::CreateUpload(upload) => reply(store.create_upload(upload).await),
            Request::PutPart { key, upload, number } => reply(store.put_part(key, upload, number, content).await),
            Request::CompleteUpload { key, upload, parts } => reply(store.complete_upload(key, upload, parts).await),
            Request::AbortUpload { key, upload } => reply(store.abort_upload(key, upload).await),
        }
    })
}

fn reply<T: Serialize>(result: Result<T, R2Error>) -> Result<Parcel, String> {
    let reply = serde_json::to_vec(&result.map_err(WrittenError::from));
    reply.map(Parcel::new).map_err(|error| error.to_string())
}
