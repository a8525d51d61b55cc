//! Sessions of JavaScript workers.

use std::sync::Arc;

use futures::FutureExt;
use isopod_runtime::handlers::{Body, Event, EventKind, HandlerInput, RequestInfo};
use isopod_runtime::values::{FromScript, IntoArguments, answer};

use super::answer::value;
use super::request;
use crate::{Closing, Failure, Meta, Rejected, SessionId, Ticket};

/// A session: one worker of a script, for events that must all reach the same one.
///
/// ```
/// # mod isopod { pub use isopod_pool::{Meta, Options, js::{Pool, Script}}; }
/// use isopod::{Meta, Options, Pool, Script};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().threads(2).build()?;
/// let script = Script::builder("counter")
///     .source("let count = 0; export const add = (n) => (count += n);")
///     .build()?;
/// pool.deploy("counter", script, &Options::default())?;
/// # futures::executor::block_on(async {
/// let session = pool.open_session("counter")?;
/// session.call::<_, u32>("add", (1,), Meta::default()).await?;
/// let count: u32 = session.call("add", (2,), Meta::default()).await?;
/// assert_eq!(count, 3);
/// # Ok::<_, isopod_pool::Failure>(())
/// # })?;
/// # Ok(())
/// # }
/// ```
///
/// The first event determines the worker. The worker then stays, even without events, until the session ends or the worker
/// must end, which [`Session::closing`] reports. [`crate::Session`] has the details.
///
/// Clones are handles to the same session. Dropping the last handle ends the session as soon as its events have ended.
#[derive(Clone, Debug)]
pub struct Session {
    core: crate::Session<Event>,
    /// With the entry point.
    name: Arc<str>,
}

impl Session {
    pub(super) const fn new(core: crate::Session<Event>, name: Arc<str>) -> Self {
        Self { core, name }
    }

    /// Returns the session's number.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.core.id()
    }

    /// Returns the name of its script.
    #[must_use]
    pub fn script(&self) -> &str {
        self.core.script()
    }

    /// Returns its key, if it has one.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.core.key()
    }

    /// Calls the `fetch` handler: see [`Pool::fetch`](super::Pool::fetch).
    ///
    /// # Errors
    /// The failure of the event; `worker_lost` if the session is gone.
    pub async fn fetch(&self, request: http::Request<Body>, meta: Meta) -> Result<http::Response<Body>, Failure> {
        let asked = request::begin(&self.name, request, RequestInfo::default(), meta, |_, event, meta| {
            let dispatched = self.core.dispatch(event, meta);
            dispatched.map_err(|rejected| rejected.reason.into())
        });
        let session = self.clone();
        let closes = async move { session.closing().await.reason }.boxed();
        asked?.response(Some(closes)).await
    }

    /// Calls an exported function: see [`Pool::call`](super::Pool::call).
    ///
    /// # Errors
    /// The failure of the event; `worker_lost` if the session is gone.
    pub async fn call<A, R>(&self, function: &str, arguments: A, meta: Meta) -> Result<R, Failure>
    where
        A: IntoArguments,
        R: FromScript,
    {
        let (call, answer) = request::call(function, arguments);
        value(answer, self.begin(call, meta)?).await
    }

    /// Calls a handler: see [`Pool::handle`](super::Pool::handle).
    ///
    /// # Errors
    /// The failure of the event; `worker_lost` if the session is gone.
    pub async fn handle<I, R>(&self, input: I, meta: Meta) -> Result<R, Failure>
    where
        I: HandlerInput,
        R: FromScript,
    {
        let (reply, answer) = answer::<R>();
        value(answer, self.begin(EventKind::handler(input, reply), meta)?).await
    }

    /// Dispatches an event to the session's worker. Never blocks. The answer arrives through the event.
    ///
    /// # Errors
    /// The event was not accepted; it is returned with the reason. If the session has no room, see [`Session::ready`].
    #[expect(clippy::result_large_err, reason = "the event is given back")]
    pub fn dispatch(&self, kind: EventKind, meta: Meta) -> Result<Ticket, Rejected<Event>> {
        let (_, event) = request::event(&self.name, kind);
        self.core.dispatch(event, meta)
    }

    /// Waits until the session has room for another event, or is gone.
    pub async fn ready(&self) {
        self.core.ready().await;
    }

    /// Waits until the session's worker must end: see [`crate::Session::closing`].
    pub async fn closing(&self) -> Closing {
        self.core.closing().await
    }

    /// Returns whether the session is gone and refuses events.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.core.is_gone()
    }

    fn begin(&self, kind: EventKind, meta: Meta) -> Result<Ticket, Failure> {
        self.dispatch(kind, meta).map_err(|rejected| rejected.reason.into())
    }
}
