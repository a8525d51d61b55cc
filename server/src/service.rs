//! Handling of one request: checks, route, dispatch, response. Every path ends with a response and a recorded outcome.

use std::{
    future::poll_fn,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Instant,
};

use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header, response::Parts};
use http_body::Body as _;
use hyper::{body::Incoming, ext::ReasonPhrase, rt::Executor};
use hyper_util::rt::TokioExecutor;

use isopod_outcome::{Failure, Outcome};
use isopod_websocket::{Upgrade, Wire};

use crate::{
    body::ServerBody,
    client::{Client, Peer},
    clock::Alarm,
    config::Mode,
    connection::Connection,
    dispatch::{Dispatch, REQUEST_ID, RequestId, RequestMeta, Tls},
    head,
    ingress::{self, Fault, Refusal},
    location::Location,
    reply::{Reply, Ticket},
    respond::{self, Format},
    shared::App,
    switch::{self, Switched},
    target::Target,
};

const OUTCOME: HeaderName = HeaderName::from_static("x-isopod-outcome");
const WORKER: HeaderName = HeaderName::from_static("x-isopod-worker");

/// Result of a request.
enum Verdict {
    Answered(Response<ServerBody>),
    /// With status 101 and a WebSocket.
    Switched(Parts, Wire),
    Failed(Failure),
    Refused(Refusal),
}

/// Data shared by all requests of a connection. Requests count references to this and to the connection's state only:
/// counters shared with other connections would be slow.
pub(crate) struct Origin<D> {
    pub(crate) app: Arc<App<D>>,
    pub(crate) connection: Arc<Connection>,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) peer: Peer,
    pub(crate) tls: Option<Tls>,
    /// The WebSocket that an HTTP/1 connection becomes after the response.
    pub(crate) switched: Mutex<Option<Switched>>,
    /// The name of the last request's worker.
    pub(crate) worker: Mutex<Option<Arc<str>>>,
    pub(crate) location: Arc<Location>,
}

impl<D> Origin<D> {
    /// Returns a worker's name in an allocation that only this connection uses.
    fn own(&self, name: &Arc<str>) -> Arc<str> {
        let mut last = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some(last) if last == name => last.clone(),
            _ => last.insert(Arc::from(&**name)).clone(),
        }
    }

    fn switch_to(&self, socket: Switched) {
        *self.switched.lock().unwrap_or_else(PoisonError::into_inner) = Some(socket);
    }

    /// Takes the WebSocket that the connection becomes.
    pub(crate) fn take_switched(&self) -> Option<Switched> {
        self.switched.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Answers a request. It counts as open from now on, even before the future is polled.
pub(crate) fn answer<D: Dispatch>(
    origin: &Arc<Origin<D>>,
    request: Request<Incoming>,
) -> impl Future<Output = Response<Reply>> + use<D> {
    let id = RequestId::of(request.headers());
    let thread = origin.location.thread().unwrap_or_default();
    let ticket = Ticket::open(&origin.connection, thread, Instant::now(), &request, &id);
    respond(Arc::clone(origin), request, ticket, id)
}

async fn respond<D: Dispatch>(
    origin: Arc<Origin<D>>,
    mut request: Request<Incoming>,
    mut ticket: Ticket,
    id: RequestId,
) -> Response<Reply> {
    let core = &origin.app.core;
    let is_head = request.method() == Method::HEAD;
    let version = request.version();
    let accept = request.headers().get(header::ACCEPT).cloned();
    let connection = &origin.connection;
    let own_alarm = connection.is_h2().then(|| connection.stream_alarm());
    let alarm = own_alarm.as_ref().unwrap_or(&connection.request_alarm);
    let head = ingress::head_bytes(&request);
    connection.bytes_used(head);
    let checked = ingress::check(&request, head, &core.limits).and_then(|()| switch::opening(&request));
    let upgrade = match &checked {
        Ok(Some(opening)) => switch::prepare(&mut request, opening),
        _ => None,
    };
    let client = origin.peer.client(request.headers_mut(), &core.trusted_proxies);
    ticket.comes_from(client.address);
    let target = checked.and_then(|opening| Ok((Target::of(&request, client.scheme)?, opening)));
    let mut worker = None;
    let mut opens = None;
    let verdict = match target {
        Err(refusal) => Verdict::Refused(refusal),
        Ok((target, opening)) => {
            opens = opening;
            let routes = core.routes.load();
            worker = routes.lookup(target.host(), target.path()).map(|name| origin.own(name));
            drop(routes);
            match &worker {
                None => Verdict::Refused(Refusal::NoRoute),
                Some(worker) => {
                    ticket.goes_to(worker);
                    let info = RequestInfo {
                        client,
                        target,
                        id: &id,
                        opens_websocket: opens.is_some(),
                        started: ticket.started(),
                    };
                    dispatch(&origin, worker, request, info, alarm).await
                }
            }
        }
    };
    // Unsent data of a refused request could be mistaken for the next request.
    let closes = core.is_draining() || matches!(&verdict, Verdict::Refused(refusal) if *refusal != Refusal::NoRoute);
    let verdict = match (verdict, opens) {
        (Verdict::Switched(head, wire), Some(opening)) => {
            let head = switch::head(head, &opening, &id);
            ticket.status = head.status;
            let socket = Switched { wire, ticket };
            match upgrade {
                None => origin.switch_to(socket),
                Some(upgrade) => {
                    TokioExecutor::new().execute(socket.run_on_stream(upgrade, connection.clone(), core.clone()))
                }
            }
            return Response::from_parts(head, Reply::switching());
        }
        (Verdict::Switched(..), None) => Verdict::Failed(Failure::new(
            Outcome::Exception,
            "the worker responded with a WebSocket to a request that did not ask for one (`Upgrade: websocket`)",
        )),
        (verdict, _) => verdict,
    };
    let (mut response, body) = match verdict {
        Verdict::Answered(response) => {
            ticket.outcome = Some(Outcome::Ok);
            let (mut parts, body) = response.into_parts();
            let body = head::frame(body, is_head, parts.status, &mut parts.headers);
            (Response::from_parts(parts, ()), body)
        }
        Verdict::Failed(failure) => {
            ticket.outcome = Some(failure.outcome);
            page(
                respond::failure(&failure, core.mode, Format::of(accept.as_ref()), &id),
                is_head,
            )
        }
        Verdict::Refused(refusal) => {
            ticket.outcome = None;
            page(
                respond::refusal(refusal, core.mode, Format::of(accept.as_ref()), &id),
                is_head,
            )
        }
        Verdict::Switched(..) => unreachable!("answered above"),
    };
    ticket.status = response.status();
    ticket.promised = body.size_hint().exact();
    ticket.ends_with_connection = version < Version::HTTP_11 && ticket.promised.is_none();
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id.as_header().clone());
    headers.insert(
        OUTCOME,
        HeaderValue::from_static(ticket.outcome.map_or("refused", Outcome::as_str)),
    );
    if core.mode == Mode::Development
        && let Some(name) = worker.and_then(|worker| HeaderValue::from_str(&worker).ok())
    {
        headers.insert(WORKER, name);
    }
    if closes && version <= Version::HTTP_11 {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if ticket.status.canonical_reason().is_none() {
        // hyper would write `<none>`.
        let extensions = response.extensions_mut();
        extensions.get_or_insert_with(|| ReasonPhrase::from_static(b""));
    }
    response.map(|()| Reply::new(body, ticket, own_alarm))
}

/// Data about a request.
struct RequestInfo<'a> {
    client: Client,
    target: Target,
    id: &'a RequestId,
    opens_websocket: bool,
    started: Instant,
}

async fn dispatch<D: Dispatch>(
    origin: &Origin<D>,
    worker: &str,
    request: Request<Incoming>,
    info: RequestInfo<'_>,
    alarm: &Alarm,
) -> Verdict {
    let app = &origin.app;
    let limits = &app.core.limits;
    let (mut parts, incoming) = request.into_parts();
    // On HTTP/2 the target has the host, and scripts expect the header (RFC 9113, section 8.3.1).
    if !parts.headers.contains_key(header::HOST)
        && let Some(authority) = parts.uri.authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        parts.headers.insert(header::HOST, host);
    }
    if let Some(path) = info.target.changed() {
        let mut uri = std::mem::take(&mut parts.uri).into_parts();
        uri.path_and_query = Some(path);
        parts.uri = Uri::from_parts(uri).unwrap_or_default();
    }
    let depth = match ingress::take_depth(&mut parts.headers, app.core.depth_key.as_deref(), limits) {
        Ok(depth) => depth,
        Err(refusal) => return Verdict::Refused(refusal),
    };
    let (body, fault, received) = match incoming.is_end_stream() {
        true => (ServerBody::empty(), None, info.started),
        // Boxed, so that requests without a body need no room for it.
        false => match Box::pin(ingress::receive(incoming, limits, &origin.connection, alarm)).await {
            Ok((body, fault)) => (body, fault, Instant::now()),
            Err(refusal) => return Verdict::Refused(refusal),
        },
    };
    let meta = RequestMeta {
        id: info.id.clone(),
        deadline: received.checked_add(limits.request_timeout),
        peer: origin.address,
        client: info.client.address,
        scheme: info.client.scheme,
        url: info.target.into_url(),
        http: parts.version,
        tls: origin.tls.clone(),
        is_proxied: origin.peer.is_proxy(),
        depth,
        opens_websocket: info.opens_websocket,
        location: (!origin.connection.is_h2()).then(|| origin.location.clone()),
    };
    alarm.set(limits.request_timeout.saturating_add(limits.request_grace));
    let answered = pin!(app.dispatch.fetch(worker, Request::from_parts(parts, body), meta));
    let verdict = first(answered, alarm, fault.as_deref()).await;
    alarm.clear();
    verdict
}

/// Returns the answer, or an earlier reason to stop waiting, which drops the answer and so cancels the event.
async fn first(
    mut answered: Pin<&mut impl Future<Output = Result<Response<ServerBody>, Failure>>>,
    alarm: &Alarm,
    fault: Option<&Fault>,
) -> Verdict {
    poll_fn(|cx| {
        // The body's fault takes precedence over a failure of the worker, which it may have caused.
        if let Some(Poll::Ready(refusal)) = fault.map(|fault| fault.poll(cx)) {
            return Poll::Ready(Verdict::Refused(refusal));
        }
        if let Poll::Ready(answer) = answered.as_mut().poll(cx) {
            if let Some(Poll::Ready(refusal)) = fault.map(|fault| fault.poll(cx)) {
                return Poll::Ready(Verdict::Refused(refusal));
            }
            return Poll::Ready(match answer {
                Ok(response) => answered_with(response),
                Err(failure) => Verdict::Failed(failure),
            });
        }
        alarm.poll_due(cx).map(|()| {
            Verdict::Failed(Failure::new(
                Outcome::ExceededWall,
                "the worker did not answer before the deadline",
            ))
        })
    })
    .await
}

fn answered_with(response: Response<ServerBody>) -> Verdict {
    if !response.status().is_informational() {
        return Verdict::Answered(response);
    }
    let (mut head, _) = response.into_parts();
    let upgrade = head.extensions.remove::<Upgrade>();
    match upgrade.and_then(|upgrade| upgrade.take()) {
        Some(wire) if head.status == StatusCode::SWITCHING_PROTOCOLS => Verdict::Switched(head, wire),
        _ => Verdict::Failed(Failure::new(
            Outcome::Exception,
            "the worker responded with an informational status, which cannot complete a request",
        )),
    }
}

fn page(response: Response<String>, is_head: bool) -> (Response<()>, ServerBody) {
    let (mut parts, text) = response.into_parts();
    let mut body = ServerBody::empty();
    if is_head {
        parts
            .headers
            .insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
    } else {
        body = text.into();
    }
    (Response::from_parts(parts, ()), body)
}
