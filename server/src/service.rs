//! One request: checked, routed, dispatched, answered. Every way out of here gives a response and a recorded outcome.

use std::{convert::Infallible, future::poll_fn, net::SocketAddr, pin::pin, sync::Arc, task::Poll, time::Instant};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body::Body as _;
use hyper::body::Incoming;

use isopod_pool::{Failure, Outcome};

use crate::{
    clock::Alarm,
    config::Mode,
    connection::Connection,
    dispatch::{Body, Dispatch, REQUEST_ID, RequestId, RequestMeta, Scheme},
    ingress::{self, Fault, Refusal},
    reply::{Content, Reply, Ticket},
    respond::{self, Format},
    server::App,
};

const OUTCOME: HeaderName = HeaderName::from_static("x-isopod-outcome");
const WORKER: HeaderName = HeaderName::from_static("x-isopod-worker");

/// How a request went.
enum Verdict {
    Answered(Response<Body>),
    Failed(Failure),
    Refused(Refusal),
}

/// What all requests of a connection have in common.
pub(crate) struct Origin {
    pub(crate) connection: Arc<Connection>,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) scheme: Scheme,
}

pub(crate) async fn answer<D: Dispatch>(
    app: Arc<App<D>>,
    origin: Arc<Origin>,
    request: Request<Incoming>,
) -> Result<Response<Reply>, Infallible> {
    let core = &app.core;
    let id = RequestId::of(request.headers());
    let mut ticket = Ticket::open(core, &origin.connection, Instant::now(), &request, &id);
    let is_head = request.method() == Method::HEAD;
    let version = request.version();
    let format = Format::of(request.headers());
    let worker = core.routes.load().find_for(&request).cloned();
    let worker = worker.as_ref();
    if let Some(worker) = worker {
        ticket.goes_to(worker);
    }
    let connection = &origin.connection;
    let own_alarm = connection.is_h2().then(|| connection.stream_alarm());
    let alarm = own_alarm.as_ref().unwrap_or(&connection.request_alarm);
    let head = ingress::head_bytes(&request);
    connection.bytes_used(head);
    let verdict = match (ingress::check(&request, head, &core.limits), worker) {
        (Err(refusal), _) => Verdict::Refused(refusal),
        (Ok(()), None) => Verdict::Refused(Refusal::NoRoute),
        (Ok(()), Some(worker)) => dispatch(&app, &origin, worker, request, &id, alarm).await,
    };
    // What a refused client has not sent yet cannot be told from its next request.
    let closes = core.is_draining() || matches!(&verdict, Verdict::Refused(refusal) if *refusal != Refusal::NoRoute);
    let (mut response, content) = match verdict {
        Verdict::Answered(response) => {
            ticket.outcome = Some(Outcome::Ok);
            let (mut parts, body) = response.into_parts();
            strip(&mut parts.headers);
            let content = content(body, is_head, parts.status, &mut parts.headers);
            (Response::from_parts(parts, ()), content)
        }
        Verdict::Failed(failure) => {
            ticket.outcome = Some(failure.outcome);
            page(respond::failure(&failure, core.mode, format, &id), is_head)
        }
        Verdict::Refused(refusal) => {
            ticket.outcome = None;
            page(respond::refusal(refusal, core.mode, format, &id), is_head)
        }
    };
    ticket.status = response.status();
    let headers = response.headers_mut();
    ticket.promised = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|len| len.to_str().ok()?.parse().ok());
    headers.insert(REQUEST_ID, id.to_header());
    headers.insert(
        OUTCOME,
        HeaderValue::from_static(ticket.outcome.map_or("refused", Outcome::as_str)),
    );
    if core.mode == Mode::Development
        && let Some(name) = worker.and_then(|worker| HeaderValue::from_str(worker).ok())
    {
        headers.insert(WORKER, name);
    }
    if closes && version <= Version::HTTP_11 {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|()| Reply::new(content, ticket, own_alarm)))
}

async fn dispatch<D: Dispatch>(
    app: &App<D>,
    origin: &Origin,
    worker: &str,
    request: Request<Incoming>,
    id: &RequestId,
    alarm: &Alarm,
) -> Verdict {
    let limits = &app.core.limits;
    let (mut parts, incoming) = request.into_parts();
    let depth = match ingress::take_depth(&mut parts.headers, limits) {
        Ok(depth) => depth,
        Err(refusal) => return Verdict::Refused(refusal),
    };
    let (body, fault) = match ingress::receive(incoming, limits, &origin.connection, alarm).await {
        Ok(received) => received,
        Err(refusal) => return Verdict::Refused(refusal),
    };
    let meta = RequestMeta {
        id: id.clone(),
        deadline: Instant::now().checked_add(limits.request_timeout),
        peer: origin.peer,
        scheme: origin.scheme,
        depth,
    };
    alarm.set(limits.request_timeout.saturating_add(limits.request_grace));
    let answered = app.dispatch.fetch(worker, Request::from_parts(parts, body), meta);
    let verdict = first(answered, alarm, fault.as_deref()).await;
    alarm.clear();
    verdict
}

/// The answer, or what made it pointless to wait for it: whichever comes first. The answer is dropped otherwise, which
/// cancels the event.
async fn first(
    answered: impl Future<Output = Result<Response<Body>, Failure>>,
    alarm: &Alarm,
    fault: Option<&Fault>,
) -> Verdict {
    let mut answered = pin!(answered);
    poll_fn(|cx| {
        // The fault comes first: a worker that fails because its body did is not to blame.
        if let Some(Poll::Ready(refusal)) = fault.map(|fault| fault.poll(cx)) {
            return Poll::Ready(Verdict::Refused(refusal));
        }
        if let Poll::Ready(answer) = answered.as_mut().poll(cx) {
            if let Some(Poll::Ready(refusal)) = fault.map(|fault| fault.poll(cx)) {
                return Poll::Ready(Verdict::Refused(refusal));
            }
            return Poll::Ready(match answer {
                Ok(response) if response.status().is_informational() => Verdict::Failed(Failure::new(
                    Outcome::Exception,
                    "the worker answered with an informational status, which cannot end a request",
                )),
                Ok(response) => Verdict::Answered(response),
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

/// Removes what concerns only the hop between the worker and this server.
fn strip(headers: &mut HeaderMap) {
    const HOP: [HeaderName; 8] = [
        header::CONNECTION,
        HeaderName::from_static("keep-alive"),
        header::PROXY_AUTHENTICATE,
        header::PROXY_AUTHORIZATION,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ];
    // Comparing the few names there are is cheaper than looking for all that might be.
    if !headers.keys().any(|name| HOP.contains(name)) {
        return;
    }
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in HOP.into_iter().chain(named) {
        headers.remove(name);
    }
}

/// What is sent of a worker's body: nothing where the protocol has none, but with the length it would have had.
fn content(body: Body, is_head: bool, status: StatusCode, headers: &mut HeaderMap) -> Content {
    if !is_head && status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED {
        return Content::Stream(body);
    }
    if let Some(len) = body.size_hint().exact()
        && is_head
        && len > 0
    {
        headers
            .entry(header::CONTENT_LENGTH)
            .or_insert_with(|| HeaderValue::from(len));
    }
    Content::Empty
}

fn page(response: Response<String>, is_head: bool) -> (Response<()>, Content) {
    let (mut parts, body) = response.into_parts();
    let content = if is_head {
        parts
            .headers
            .insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        Content::Empty
    } else {
        Content::Whole(body.into())
    };
    (Response::from_parts(parts, ()), content)
}
