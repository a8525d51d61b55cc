//! Fetchers: HTTP requests of scripts that are answered in the process, without a socket. The `fetch` of a service binding,
//! `env.API.fetch(request)`, makes them. The host decides what answers them: another worker of the pool, or Rust code.

mod assets;
mod call;
mod remote;

use std::cell::RefCell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use deno_core::convert::{ByteString, Uint8Array};
use deno_core::{CancelFuture, JsBuffer, OpState, Resource, ResourceId, ToV8, op2, v8};
use deno_fetch::FetchReturn;
use http::{Method, StatusCode};
use isopod_outcome::{Failure, Outcome};
use serde_json::Value;

use crate::bindings::{Binding, EnvValue, Installed, NewWorker, Parcel, ParcelFuture, WrittenBinding};
use crate::context::{end_with_event, is_open};
use crate::event::{Body, Caller, Data, EventEnded, EventKey, Tail};
use crate::fetch::{Answered, DirectRequest, FetchCancel, FetchError, Parts, SendError, answered, check_head};
use crate::io::Io;
use crate::quotas::Usage;
use crate::rpc::{RpcCall, RpcError, RpcMessage, ScriptFailure};
use crate::unwind;
use crate::websocket::{self, Upgrade};

#[cfg(feature = "sql")]
pub(crate) use self::remote::object as remote_object;
pub(crate) use self::remote::{binding as remote_binding, fetcher as remote_fetcher, serve as serve_remote};

/// Answers HTTP requests of scripts without a socket.
///
/// ```
/// # mod isopod { pub use isopod_ext::{fetcher::{FetchFuture, Fetcher, FetcherBinding}, event::{Body, Caller}}; }
/// use isopod::{Body, Caller, FetchFuture, Fetcher, FetcherBinding};
///
/// /// Answers each request with its path.
/// struct Echo;
///
/// impl Fetcher for Echo {
///     fn fetch(&self, request: http::Request<Body>, _caller: Caller) -> FetchFuture {
///         Box::pin(async move { Ok(http::Response::new(request.uri().path().to_owned().into())) })
///     }
/// }
///
/// let binding = FetcherBinding::new(Echo);
/// # drop(binding);
/// ```
pub trait Fetcher: Send + Sync + 'static {
    /// Begins a request. Must not block: it runs on the caller's thread, as does the future, which is polled by the caller's
    /// event loop.
    ///
    /// The future and the response's body are dropped when the caller leaves, or its event ends; the work for them should end
    /// with them. A failure is an error of the script's: one that was thrown by another script keeps its class and message.
    fn fetch(&self, request: http::Request<Body>, caller: Caller) -> FetchFuture;

    /// Begins a call of a method, `env.API.add(1, 2)`: as [`Fetcher::fetch`] otherwise. Default: it has no methods.
    fn call(&self, call: RpcCall, caller: Caller) -> RpcFuture {
        let (_, _) = (call, caller);
        let failure = Failure::new(Outcome::Exception, "this binding has no methods, only fetch()");
        Box::pin(std::future::ready(Err(failure)))
    }
}

/// The future of [`Fetcher::fetch`].
pub type FetchFuture = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Failure>> + Send>>;

/// The future of [`Fetcher::call`].
pub type RpcFuture = Pin<Box<dyn Future<Output = Result<RpcMessage, Failure>> + Send>>;

/// A binding with a `fetch` method: `env.API.fetch("https://api/users")`. The host of the URL may be anything.
#[derive(Clone)]
pub struct FetcherBinding {
    fetcher: Arc<dyn Fetcher>,
    props: Data,
}

impl FetcherBinding {
    /// Creates a binding whose requests are answered by this fetcher.
    pub fn new(fetcher: impl Fetcher) -> Self {
        Self {
            fetcher: Arc::new(fetcher),
            props: Data::Empty,
        }
    }

    /// Sets the properties that the called worker has as `ctx.props`, and a fetcher of the host as [`Caller::props`]. Default:
    /// none, which is `{}` for a worker.
    #[must_use]
    pub fn props(mut self, props: Value) -> Self {
        self.props = Data::Json(props);
        self
    }
}

impl fmt::Debug for FetcherBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FetcherBinding(…)")
    }
}

impl Binding for FetcherBinding {
    fn kind(&self) -> &'static str {
        "service"
    }

    fn install(&self, name: &str, worker: &NewWorker<'_>, state: &mut OpState) -> EnvValue<'_> {
        let bound = Bound {
            fetcher: self.fetcher.clone(),
            worker: worker.script.into(),
            props: self.props.clone(),
        };
        Installed::put(state, name, bound);
        EnvValue::made("ext:isopod_fetcher/fetcher.js", &Value::Null)
    }

    fn written(&self) -> Option<WrittenBinding> {
        Some(WrittenBinding::Service)
    }

    fn serve(&self, script: &str, asked: Parcel, bytes_max: usize) -> ParcelFuture {
        serve_remote(self.fetcher.clone(), script, Some(self.props.clone()), asked, bytes_max)
    }
}

/// A fetcher in the state of a worker.
#[derive(Clone)]
struct Bound {
    fetcher: Arc<dyn Fetcher>,
    /// The name of the worker's script.
    worker: Arc<str>,
    props: Data,
}

/// The fetchers of a worker's own entry points, for `ctx.exports`. The host places it in the worker's state.
#[derive(Clone)]
pub struct Loopback {
    worker: Arc<str>,
    make: Arc<Make>,
}

/// The function that creates the fetcher of a name.
type Make = dyn Fn(&str) -> Arc<dyn Fetcher> + Send + Sync;

impl Loopback {
    /// Creates the fetchers of a worker: `make` gets its name, with the entry point unless that is the default export.
    pub fn new(worker: impl Into<Arc<str>>, make: impl Fn(&str) -> Arc<dyn Fetcher> + Send + Sync + 'static) -> Self {
        Self {
            worker: worker.into(),
            make: Arc::new(make),
        }
    }

    fn bound(&self, entrypoint: &str) -> Bound {
        let fetcher = match entrypoint {
            "default" => (self.make)(&self.worker),
            _ => (self.make)(&format!("{}#{entrypoint}", self.worker)),
        };
        Bound {
            fetcher,
            worker: self.worker.clone(),
            props: Data::Empty,
        }
    }
}

impl fmt::Debug for Loopback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Loopback").field(&self.worker).finish()
    }
}

/// The prefix of the names of a worker's own entry points. No binding's name begins with it.
const OWN: char = '\0';

/// Finds the fetcher of a stub of a Durable Object, and the script of its worker. In the state of workers with such bindings.
#[derive(Clone, Copy)]
pub(crate) struct Stubs(pub(crate) fn(&OpState, &str) -> Option<FoundStub>);

/// The fetcher, and the script.
pub(crate) type FoundStub = (Arc<dyn Fetcher>, Arc<str>);

/// The prefix of the names of Durable Objects: `namespace.js` of `isopod_objects`.
const OBJECT: char = '\u{1}';

/// The fetcher of a binding, of a Durable Object, or of an entry point of the worker itself; `props` replaces its properties.
fn bound(state: &OpState, binding: String, props: Option<&[u8]>) -> Result<Bound, FetcherError> {
    if let Some(stub) = binding.strip_prefix(OBJECT) {
        let find = state.try_borrow::<Stubs>().map(|stubs| stubs.0);
        let object = find.and_then(|find| find(state, stub)).map(|(fetcher, worker)| Bound {
            fetcher,
            worker,
            props: Data::Empty,
        });
        return object.ok_or(FetcherError::NoBinding(binding));
    }
    let mut bound = match binding.strip_prefix(OWN) {
        Some(entrypoint) => {
            let own = state.try_borrow::<Loopback>().ok_or(FetcherError::NoExports)?;
            own.bound(entrypoint)
        }
        None => {
            let bound = Installed::<Bound>::get(state, &binding).cloned();
            bound.ok_or(FetcherError::NoBinding(binding))?
        }
    };
    if let Some(props) = props {
        bound.props = Data::Cloned(Bytes::copy_from_slice(props));
    }
    Ok(bound)
}

/// An error of an op of this module.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
enum FetcherError {
    #[class(type)]
    #[error("this worker has no service binding named '{0}'")]
    NoBinding(String),
    #[class(type)]
    #[error("the entry points of this worker cannot be called: it does not belong to a pool")]
    NoExports,
    #[class(type)]
    #[error(
        "the service responded with a WebSocket to a request that did not ask for one: send the header `Upgrade: websocket`"
    )]
    NotRequested,
    #[class(type)]
    #[error("the service responded with status 101, and without a WebSocket")]
    NoSocket,
    #[class(inherit)]
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[class(inherit)]
    #[error(transparent)]
    Rpc(#[from] RpcError),
}

impl From<unwind::Panicked> for FetcherError {
    fn from(panicked: unwind::Panicked) -> Self {
        Self::Fetch(panicked.into())
    }
}

/// A request between the two ops.
struct Pending(RefCell<Option<(Arc<dyn Fetcher>, DirectRequest)>>);

impl Resource for Pending {}

/// Begins a request, with the arguments and the result of `op_fetch`.
#[op2]
#[allow(clippy::too_many_arguments, reason = "the parts of a request")]
fn op_isopod_fetcher_begin(
    state: &mut OpState,
    scope: &mut v8::PinScope<'_, '_>,
    #[string] binding: String,
    #[scoped] method: ByteString,
    #[string] url: String,
    #[scoped] headers: Vec<(ByteString, ByteString)>,
    has_body: bool,
    data: Option<Uint8Array>,
    #[smi] resource: Option<ResourceId>,
    #[buffer] props: Option<JsBuffer>,
    #[string] cf: Option<String>,
) -> Result<FetchReturn, FetcherError> {
    unwind::catch(|| {
        let Bound { fetcher, worker, props } = bound(state, binding, props.as_deref())?;
        let parts = Parts {
            method,
            url,
            headers,
            has_body,
            data,
            resource,
        };
        let mut request = DirectRequest::new(state, scope, &worker, parts)?;
        request.caller.props = props;
        request.caller.cf = cf.map(|cf| Usage::of(state).ledger().keep(Bytes::from(cf)));
        let cancel = FetchCancel(request.cancel.clone());
        let table = &mut state.resource_table;
        Ok(FetchReturn {
            request_rid: table.add(Pending(RefCell::new(Some((fetcher, request))))),
            cancel_handle_rid: Some(table.add(cancel)),
        })
    })?
}

/// The head of a response, or the reason why there is none.
#[derive(Default, ToV8)]
struct Sent {
    status: u16,
    status_text: String,
    headers: Vec<(ByteString, ByteString)>,
    response_rid: ResourceId,
    failure: Option<ScriptFailure>,
}

#[op2]
async fn op_isopod_fetcher_send(state: Rc<RefCell<OpState>>, #[smi] rid: ResourceId) -> Result<Sent, FetcherError> {
    unwind::catch_async(async {
        let pending = state.borrow_mut().resource_table.take::<Pending>(rid);
        let pending = pending.map_err(FetchError::from)?.0.borrow_mut().take();
        let (fetcher, request) = pending.ok_or(FetchError::Canceled)?;
        let DirectRequest {
            request,
            caller,
            stream,
            event,
            cancel,
            opens_socket,
        } = request;
        let usage = Usage::of(&state.borrow());
        let _slot = usage.begin_op().map_err(FetchError::from)?;
        if let Some(stream) = stream {
            // Not awaited, because a body may still be sent while the response is read.
            stream.spawn(&usage);
        }
        let is_head = request.method() == Method::HEAD;
        match fetcher.fetch(request, caller).or_cancel(cancel).await {
            Err(_) if is_open(&state.borrow(), event) => Err(FetchError::Canceled.into()),
            Err(_) => Err(FetchError::from(EventEnded).into()),
            Ok(Err(failure)) => Ok(Sent {
                failure: Some(ScriptFailure::new(&failure)),
                ..Sent::default()
            }),
            Ok(Ok(response)) => {
                let state = &mut state.borrow_mut();
                let answered = match response.status() {
                    StatusCode::SWITCHING_PROTOCOLS => switched(state, event, opens_socket, response)?,
                    _ => answered(state, event, response, is_head)?,
                };
                Ok(Sent {
                    status: answered.status,
                    status_text: answered.status_text,
                    headers: answered.headers,
                    response_rid: answered.body,
                    failure: None,
                })
            }
        }
    })
    .await?
}

/// Connects the WebSocket that a service responded with.
fn switched(
    state: &mut OpState,
    event: EventKey,
    was_requested: bool,
    response: http::Response<Body>,
) -> Result<Answered, FetcherError> {
    let (mut head, _) = response.into_parts();
    let accepted = head.extensions.remove::<Upgrade>();
    let accepted = accepted.and_then(|upgrade| upgrade.take());
    if !was_requested {
        return Err(FetcherError::NotRequested);
    }
    let accepted = accepted.ok_or(FetcherError::NoSocket)?;
    check_head(state, &head)?;
    let tail = Rc::new(Tail::default());
    end_with_event(state, event, &tail).map_err(FetchError::from)?;
    let (socket, connection) = websocket::connect(state, &tail, accepted).map_err(FetchError::from)?;
    let io = state.try_borrow::<Rc<Io>>().ok_or(FetchError::NoIo)?;
    io.spawn(connection)
        .map_err(SendError::from)
        .map_err(FetchError::from)?;
    let socket = state.resource_table.add(socket);
    Ok(Answered::new(&head, socket))
}

deno_core::extension!(
    isopod_fetcher,
    deps = [isopod_fetch, isopod_handlers, isopod_rpc],
    ops = [op_isopod_fetcher_begin, op_isopod_fetcher_send, call::op_isopod_fetcher_call],
    lazy_loaded_js = [dir "src/fetcher", "exports.js", "fetcher.js"],
);
