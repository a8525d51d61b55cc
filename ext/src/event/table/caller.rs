//! Information about the caller of an open event.

use std::time::Instant;

use http::{HeaderMap, HeaderName};

use super::super::body::Body;
use super::super::keys::EventKey;
use super::super::request::{Caller, RequestCf};
use super::OpenEvents;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

impl<V> OpenEvents<V> {
    /// Returns the request headers of an event as its script sees them.
    pub(crate) fn headers(&mut self, key: EventKey) -> Option<&HeaderMap> {
        let entry = self.entries.get_mut(&key)?;
        let headers = entry.request.as_mut()?.headers_mut();
        if let Some(id) = entry.id.take() {
            headers.insert(REQUEST_ID, id);
        }
        Some(headers)
    }

    /// Returns the request headers of an event as the client sent them, which say what it accepts.
    pub(crate) fn sent_headers(&self, key: EventKey) -> Option<&HeaderMap> {
        Some(self.request(key)?.headers())
    }

    /// Returns the properties of the connection of an event's request, as far as they are known.
    pub(crate) fn request_cf(&self, key: EventKey) -> Option<RequestCf> {
        let entry = self.entries.get(&key)?;
        entry
            .cf
            .clone()
            .or_else(|| entry.request.as_ref()?.extensions().get().cloned())
    }

    /// Returns the request id that the server gave an event, for logs.
    pub fn request_id(&self, key: EventKey) -> Option<&str> {
        let entry = self.entries.get(&key)?;
        let id = match &entry.id {
            Some(id) => id,
            None => entry.request.as_ref()?.headers().get(REQUEST_ID)?,
        };
        id.to_str().ok()
    }

    /// Returns the worker that made an event's request, if it came by a service binding.
    pub fn caller(&self, key: EventKey) -> Option<&Caller> {
        self.request(key)?.extensions().get()
    }

    fn request(&self, key: EventKey) -> Option<&http::Request<Body>> {
        self.entries.get(&key)?.request.as_deref()
    }

    /// Sets the time after which the caller of an event no longer waits.
    pub fn set_deadline(&mut self, key: EventKey, deadline: Instant) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.deadline = Some(deadline);
        }
    }

    /// Returns the time after which the caller of an event no longer waits.
    pub(crate) fn deadline(&self, key: EventKey) -> Option<Instant> {
        self.entries.get(&key)?.deadline
    }
}
