//! `caches` of workers in other processes, with the responses in the pool's process.

use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use serde::{Deserialize, Serialize};

use super::entry::{Entry, Offered, check};
use super::store::{Key, ResponseCache};
use crate::bindings::{Asks, Parcel, ParcelFuture, pack, unpack};
use crate::event::Body;
use crate::written::{WrittenHeaders, headers_of, written_headers};

/// An operation on the response of a URL.
#[derive(Serialize, Deserialize)]
struct CacheCall {
    /// The name of a cache other than the default.
    cache: Option<String>,
    url: String,
    what: What,
}

#[derive(Serialize, Deserialize)]
enum What {
    /// Find the response to a request with these headers.
    Find(WrittenHeaders),
    /// The body is beside it.
    Put {
        request: WrittenHeaders,
        status: u16,
        headers: WrittenHeaders,
        is_encoded: bool,
    },
    Remove,
}

#[derive(Serialize, Deserialize)]
enum CacheReply {
    Nothing,
    /// The body is beside it.
    Found {
        status: u16,
        headers: WrittenHeaders,
        is_encoded: bool,
    },
    Removed(bool),
}

/// A response that was found.
pub(super) struct Found {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
    pub(super) is_encoded: bool,
}

/// A cache in another process.
#[derive(Clone)]
pub(super) struct RemoteCache(pub(super) Asks);

impl RemoteCache {
    async fn ask(&self, key: Key, what: What, body: Option<Bytes>) -> Result<(CacheReply, Option<Body>), String> {
        let call = CacheCall {
            cache: key.cache,
            url: key.url,
            what,
        };
        let bodies = body.into_iter().map(Body::from).collect();
        let mut answer = self.0.ask(Parcel::with_bodies(pack(&call)?, bodies)).await?;
        Ok((unpack(&answer.bytes)?, answer.bodies.pop()))
    }

    pub(super) async fn find(&self, key: Key, request: &HeaderMap) -> Result<Option<Found>, String> {
        let (reply, body) = self.ask(key, What::Find(written_headers(request)), None).await?;
        let CacheReply::Found {
            status,
            headers,
            is_encoded,
        } = reply
        else {
            return Ok(None);
        };
        Ok(Some(Found {
            status: StatusCode::from_u16(status).map_err(|error| error.to_string())?,
            headers: headers_of(headers).map_err(|error| error.to_string())?,
            body: body.unwrap_or_default(),
            is_encoded,
        }))
    }

    pub(super) async fn put(&self, key: Key, offered: Offered, body: Bytes, is_encoded: bool) -> Result<(), String> {
        let what = What::Put {
            request: written_headers(&offered.request),
            status: offered.status.as_u16(),
            headers: written_headers(&offered.headers),
            is_encoded,
        };
        self.ask(key, what, Some(body)).await.map(drop)
    }

    pub(super) async fn remove(&self, key: Key) -> Result<bool, String> {
        let (reply, _) = self.ask(key, What::Remove, None).await?;
        Ok(matches!(reply, CacheReply::Removed(true)))
    }
}

/// Performs an operation for a worker in another process, on its script's part of the cache.
pub(crate) fn serve(cache: ResponseCache, worker: &str, parcel: Parcel) -> ParcelFuture {
    let worker = worker.into();
    Box::pin(async move {
        let CacheCall { cache: name, url, what } = unpack(&parcel.bytes)?;
        let key = Key {
            worker,
            cache: name,
            url,
        };
        let mut body = None;
        let reply = match what {
            What::Find(request) => {
                let request = headers_of(request).map_err(|error| error.to_string())?;
                let entry = cache.get(&key);
                let answer =
                    entry.and_then(|entry| Some((entry.answer(&request, SystemTime::now())?, entry.is_encoded)));
                match answer {
                    Some((answer, is_encoded)) => {
                        body = Some(Body::from(answer.body));
                        CacheReply::Found {
                            status: answer.status.as_u16(),
                            headers: written_headers(&answer.headers),
                            is_encoded,
                        }
                    }
                    None => CacheReply::Nothing,
                }
            }
            What::Put {
                request,
                status,
                headers,
                is_encoded,
            } => {
                let offered = Offered {
                    request: headers_of(request).map_err(|error| error.to_string())?,
                    status: StatusCode::from_u16(status).map_err(|error| error.to_string())?,
                    headers: headers_of(headers).map_err(|error| error.to_string())?,
                };
                check(offered.status, &offered.headers).map_err(|error| error.to_string())?;
                let body = parcel.bodies.into_iter().next().unwrap_or_default();
                if let Some(whole) = collect(body, cache.limits().object_bytes_max).await?
                    && let Some(entry) = Entry::new(offered, whole, is_encoded, SystemTime::now())
                {
                    cache.put(key, entry);
                }
                CacheReply::Nothing
            }
            What::Remove => CacheReply::Removed(cache.remove(&key)),
        };
        Ok(Parcel::with_bodies(pack(&reply)?, body.into_iter().collect()))
    })
}

/// Reads a body to its end; `None` if it is too large to be stored.
async fn collect(mut body: Body, bytes_max: usize) -> Result<Option<Bytes>, String> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(bytes) = frame.map_err(|error| error.to_string())?.into_data() else {
            continue;
        };
        if whole.len() + bytes.len() > bytes_max {
            return Ok(None);
        }
        whole.extend_from_slice(&bytes);
    }
    Ok(Some(Bytes::copy_from_slice(&whole)))
}
