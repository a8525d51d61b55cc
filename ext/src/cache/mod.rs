//! `caches`: the Cache API of Workers, with responses in memory.
//!
//! `store` has the responses of all workers of a process, and `entry` the rules for storing, freshness and requests. The
//! runtime places a [`CacheAccess`] in the worker's state.

mod entry;
mod remote;
mod store;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use deno_core::convert::{ByteString, Uint8Array};
use deno_core::{CancelFuture, CancelHandle, OpState, ResourceId, ToV8, op2};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body_util::BodyExt as _;

use self::entry::{Entry, Offered, check};
pub(crate) use self::remote::serve as serve_remote;
use self::remote::{Found as Answered, RemoteCache};
use self::store::Key;
use crate::context::{begin_operation, end_with_event};
use crate::event::{Body, EventEnded, EventKey, Headers, TooManyHeaders};
use crate::fetch::{FetchError, streamed};
use crate::quotas::{QuotaError, Usage};
use crate::unwind;
use crate::values::Outgoing;

pub use self::entry::CacheFault;
pub use self::store::{CacheLimits, ResponseCache};

/// A worker's access to a cache.
#[derive(Clone, Debug)]
pub struct CacheAccess {
    cache: ResponseCache,
    worker: Arc<str>,
}

impl CacheAccess {
    /// Creates access to the part of the script with this name.
    #[must_use]
    pub fn new(cache: ResponseCache, worker: impl Into<Arc<str>>) -> Self {
        Self {
            cache,
            worker: worker.into(),
        }
    }

    fn away(&self) -> Option<RemoteCache> {
        self.cache.away().cloned().map(RemoteCache)
    }

    fn key(&self, cache: Option<String>, url: &str) -> Key {
        Key {
            worker: self.worker.clone(),
            cache,
            // A fragment is not sent to servers.
            url: url.split('#').next().unwrap_or_default().to_owned(),
        }
    }
}

/// An error of an op of this module.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
enum CacheError {
    #[class(type)]
    #[error("this worker has no cache")]
    NoCache,
    #[class(inherit)]
    #[error(transparent)]
    Fault(#[from] CacheFault),
    #[class(type)]
    #[error("the response's body could not be read: {0}")]
    Body(String),
    #[class(type)]
    #[error("a header is not valid")]
    Header,
    #[class(type)]
    #[error("the message has {0}")]
    TooManyHeaders(#[from] TooManyHeaders),
    #[class(inherit)]
    #[error(transparent)]
    Quota(#[from] QuotaError),
    #[class(inherit)]
    #[error(transparent)]
    EventEnded(#[from] EventEnded),
    #[class(inherit)]
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[class(inherit)]
    #[error(transparent)]
    Resource(#[from] deno_core::error::ResourceError),
    #[class(inherit)]
    #[error(transparent)]
    Panicked(#[from] unwind::Panicked),
    #[class(generic)]
    #[error("the cache does not answer: {0}")]
    Away(String),
}

type Pairs = Vec<(ByteString, ByteString)>;

fn header_map(pairs: Pairs) -> Result<HeaderMap, CacheError> {
    let mut map = Headers::default();
    for (name, value) in pairs {
        let name = HeaderName::from_bytes(&name).map_err(|_| CacheError::Header)?;
        let value = HeaderValue::from_bytes(&value).map_err(|_| CacheError::Header)?;
        map.append(name, value)?;
    }
    Ok(map.finish())
}

/// Starts an operation of an event.
fn begin(state: &OpState, event: EventKey) -> Result<CacheAccess, CacheError> {
    let access = state.try_borrow::<CacheAccess>().cloned().ok_or(CacheError::NoCache)?;
    begin_operation(state, event, &Usage::of(state))?;
    Ok(access)
}

/// A response for the script.
#[derive(ToV8)]
struct Found {
    status: u16,
    status_text: String,
    headers: Pairs,
    body: Option<ResourceId>,
    is_encoded: bool,
}

/// Returns a handle that cancels an operation at the end of its event.
fn until_end(state: &OpState, event: EventKey) -> Result<Rc<CancelHandle>, CacheError> {
    let ended = CancelHandle::new_rc();
    end_with_event(state, event, &ended)?;
    Ok(ended)
}

/// Returns the response to a request, `null` if there is no fresh one.
#[op2]
async fn op_isopod_cache_match(
    state: Rc<RefCell<OpState>>,
    #[string] cache: Option<String>,
    #[string] url: String,
    #[scoped] headers: Pairs,
    #[smi] event: EventKey,
) -> Result<Option<Found>, CacheError> {
    unwind::catch_async(async {
        let access = begin(&state.borrow(), event)?;
        let (request, key) = (header_map(headers)?, access.key(cache, &url));
        let answered = match access.away() {
            Some(away) => {
                let (ended, usage) = {
                    let state = state.borrow();
                    (until_end(&state, event)?, Usage::of(&state))
                };
                let _slot = usage.begin_op()?;
                let found = away.find(key, &request).or_cancel(&ended).await;
                found.map_err(|_| EventEnded)?.map_err(CacheError::Away)?
            }
            None => access.cache.get(&key).and_then(|entry| {
                let answer = entry.answer(&request, SystemTime::now())?;
                Some(Answered {
                    status: answer.status,
                    headers: answer.headers,
                    body: answer.body.into(),
                    is_encoded: entry.is_encoded,
                })
            }),
        };
        let Some(answer) = answered else {
            return Ok(None);
        };
        let has_body = !matches!(answer.status.as_u16(), 204 | 205 | 304);
        let state = &mut state.borrow_mut();
        let body = has_body.then(|| streamed(state, event, answer.body)).transpose()?;
        let headers = answer.headers.iter();
        Ok(Some(Found {
            status: answer.status.as_u16(),
            status_text: answer.status.canonical_reason().unwrap_or("").to_owned(),
            headers: headers
                .map(|(name, value)| (name.as_str().into(), value.as_bytes().into()))
                .collect(),
            body,
            is_encoded: answer.is_encoded,
        }))
    })
    .await?
}

/// Checks that storing a response is not an error.
#[op2]
fn op_isopod_cache_check(#[smi] status: u16, #[scoped] headers: Pairs) -> Result<(), CacheError> {
    unwind::catch(|| {
        let status = StatusCode::from_u16(status).map_err(|_| CacheError::Header)?;
        Ok(check(status, &header_map(headers)?)?)
    })?
}

/// Stores a response, if permitted. `headers` has the headers of the request and of the response.
#[op2]
#[allow(clippy::too_many_arguments, reason = "a request and a response")]
async fn op_isopod_cache_put(
    state: Rc<RefCell<OpState>>,
    #[string] cache: Option<String>,
    #[string] url: String,
    #[smi] status: u16,
    #[scoped] headers: (Pairs, Pairs),
    data: Option<Uint8Array>,
    #[smi] resource: Option<ResourceId>,
    is_encoded: bool,
    #[smi] event: EventKey,
) -> Result<(), CacheError> {
    unwind::catch_async(async {
        let (access, body, usage, ended) = {
            let state = &mut state.borrow_mut();
            let access = begin(state, event)?;
            let body = content(state, event, data, resource)?;
            let ended = until_end(state, event)?;
            (access, body, Usage::of(state), ended)
        };
        let offered = Offered {
            request: header_map(headers.0)?,
            status: StatusCode::from_u16(status).map_err(|_| CacheError::Header)?,
            headers: header_map(headers.1)?,
        };
        let _slot = usage.begin_op()?;
        let whole = collect(body, &usage, access.cache.limits().object_bytes_max);
        let whole = whole.or_cancel(&ended).await.map_err(|_| EventEnded)??;
        let Some(body) = whole else { return Ok(()) };
        let key = access.key(cache, &url);
        if let Some(away) = access.away() {
            let put = away.put(key, offered, body, is_encoded).or_cancel(&ended).await;
            return put.map_err(|_| EventEnded)?.map_err(CacheError::Away);
        }
        if let Some(entry) = Entry::new(offered, body, is_encoded, SystemTime::now()) {
            access.cache.put(key, entry);
        }
        Ok(())
    })
    .await?
}

/// Returns the body that a script passes: bytes, a stream, or none.
fn content(
    state: &mut OpState,
    event: EventKey,
    data: Option<Uint8Array>,
    resource: Option<ResourceId>,
) -> Result<Body, CacheError> {
    match (data, resource) {
        (Some(data), _) => Ok(Bytes::from(data.0).into()),
        (None, Some(rid)) => {
            let (outgoing, body) = Outgoing::new(state.resource_table.take_any(rid)?);
            end_with_event(state, event, outgoing.tail())?;
            outgoing.spawn(&Usage::of(state));
            Ok(body)
        }
        (None, None) => Ok(Body::empty()),
    }
}

/// Reads a body to its end; `None` if it is too large to be stored.
async fn collect(mut body: Body, usage: &Rc<Usage>, bytes_max: usize) -> Result<Option<Bytes>, CacheError> {
    let mut whole = BytesMut::new();
    let mut held = usage.hold(0)?;
    let mut is_stored = true;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| CacheError::Body(error.to_string()))?;
        let Ok(bytes) = frame.into_data() else { continue };
        is_stored &= whole.len() + bytes.len() <= bytes_max;
        if !is_stored {
            // The rest is read and dropped, as its sender expects.
            whole = BytesMut::new();
            held = usage.hold(0)?;
            continue;
        }
        // Growing copies the buffer.
        let more = usage.hold(bytes.len())?;
        held.resize(held.bytes() + more.bytes());
        drop(more);
        whole.extend_from_slice(&bytes);
    }
    Ok(is_stored.then(|| Bytes::copy_from_slice(&whole)))
}

#[op2]
async fn op_isopod_cache_delete(
    state: Rc<RefCell<OpState>>,
    #[string] cache: Option<String>,
    #[string] url: String,
    #[smi] event: EventKey,
) -> Result<bool, CacheError> {
    unwind::catch_async(async {
        let (access, ended, usage) = {
            let state = state.borrow();
            (begin(&state, event)?, until_end(&state, event)?, Usage::of(&state))
        };
        let key = access.key(cache, &url);
        let Some(away) = access.away() else {
            return Ok(access.cache.remove(&key));
        };
        let _slot = usage.begin_op()?;
        let removed = away.remove(key).or_cancel(&ended).await;
        removed.map_err(|_| EventEnded)?.map_err(CacheError::Away)
    })
    .await?
}

/// In a module, because the macro creates a public type.
pub(crate) mod extension {
    use super::{op_isopod_cache_check, op_isopod_cache_delete, op_isopod_cache_match, op_isopod_cache_put};

    deno_core::extension!(
        isopod_cache,
        deps = [isopod_context, isopod_fetch],
        ops = [op_isopod_cache_check, op_isopod_cache_delete, op_isopod_cache_match, op_isopod_cache_put],
        lazy_loaded_js = [dir "src/cache", "cache.js"],
    );
}
