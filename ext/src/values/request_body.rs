//! The body of a request as a resource that a script's stream reads from.

use std::borrow::Cow;
use std::rc::Rc;

use bytes::{Buf, Bytes};
use deno_core::{AsyncRefCell, AsyncResult, BufView, CancelFuture, CancelHandle, RcRef, Resource};
use deno_error::JsErrorBox;
use http_body_util::BodyExt;

use crate::event::Body;
use crate::unwind;

/// A request's body, read a chunk at a time: nothing is read from the connection before the script asks for it.
pub(crate) struct RequestBody {
    inner: AsyncRefCell<Reading>,
    cancel: Rc<CancelHandle>,
    size: (u64, Option<u64>),
}

struct Reading {
    body: Body,
    /// Received bytes that have not been read: a frame may be longer than a read.
    rest: Bytes,
}

impl RequestBody {
    pub(crate) fn new(body: Body) -> Self {
        let hint = http_body::Body::size_hint(&body);
        Self {
            size: (hint.lower(), hint.upper()),
            inner: AsyncRefCell::new(Reading {
                body,
                rest: Bytes::new(),
            }),
            cancel: CancelHandle::new_rc(),
        }
    }

    async fn read(self: Rc<Self>, limit: usize) -> Result<BufView, JsErrorBox> {
        let cancel = self.cancel.clone();
        let mut reading = RcRef::map(&self, |body| &body.inner).borrow_mut().await;
        let read = async move {
            while reading.rest.is_empty() {
                let frame = match reading.body.frame().await {
                    None => return Ok(BufView::empty()),
                    Some(Err(error)) => return Err(JsErrorBox::type_error(format!("request body: {error}"))),
                    Some(Ok(frame)) => frame,
                };
                // Trailers are not shown to scripts: the fetch standard has no place for them.
                if let Ok(data) = frame.into_data() {
                    reading.rest = data;
                }
            }
            let length = reading.rest.len().min(limit);
            let chunk = reading.rest.copy_to_bytes(length);
            Ok(BufView::from(chunk))
        };
        // The body is code of the host, which may panic.
        let read = unwind::catch_async(read.or_cancel(cancel)).await;
        read.map_err(|panicked| JsErrorBox::generic(panicked.to_string()))?
            .unwrap_or_else(|canceled| Err(JsErrorBox::from_err(canceled)))
    }
}

impl Resource for RequestBody {
    fn name(&self) -> Cow<'_, str> {
        "requestBody".into()
    }

    fn read(self: Rc<Self>, limit: usize) -> AsyncResult<BufView> {
        Box::pin(RequestBody::read(self, limit))
    }

    fn size_hint(&self) -> (u64, Option<u64>) {
        self.size
    }

    fn close(self: Rc<Self>) {
        self.cancel.cancel();
    }
}
