//! The client of one side of a cell's connections: makes calls with their bodies and streams, and receives the responses.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures::future::join_all;
use h2::client::SendRequest;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::{Request, Response};
use isopod_outcome::Outcome;
use isopod_runtime::handlers::Body;
use isopod_runtime::remote::{Held, Lent, Parcel, ParcelFuture, Target, Transit};
use isopod_runtime::websocket::{SocketLimits, Upgrade};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::bodies::{OtherSide, When, lengths, pull_all};
use super::offers::{Brought, Offers};
use super::sockets;
use super::wire::{BODIES_MAX, Beside, Broken, CallHead, Messages, ReplyHead, STUBS_MAX, encode_before, write_all};

/// One side of the connections between a pool and a cell. Clones are the same.
#[derive(Clone)]
pub(super) struct Line(Arc<Inner>);

struct Inner {
    other: OtherSide,
    /// The things that this side has for the other.
    offers: Offers,
    /// The number of the next call.
    number: AtomicU64,
    limits: OnceLock<Limits>,
    /// The limits of what is in transit between both sides, where the other one is not trusted.
    transit: Transit,
}

/// Limits of received messages.
#[derive(Clone)]
pub(super) struct Limits {
    /// The maximum that the parts of a value, or a message, may count.
    pub(super) value_bytes_max: usize,
    pub(super) socket: SocketLimits,
}

impl Line {
    /// Creates the side that sends these requests. Its calls have numbers from `first` on.
    pub(super) fn new(
        requests: SendRequest<Bytes>,
        offers: Offers,
        handle: Handle,
        first: u64,
        transit: Transit,
    ) -> Self {
        Self(Arc::new(Inner {
            other: OtherSide { requests, handle },
            offers,
            number: AtomicU64::new(first),
            limits: OnceLock::new(),
            transit,
        }))
    }

    /// Sets the limits, once.
    pub(super) fn limit(&self, limits: Limits) {
        // Those of a worker do not change.
        let _ = self.0.limits.set(limits);
    }

    pub(super) fn requests(&self) -> &SendRequest<Bytes> {
        &self.0.other.requests
    }

    pub(super) fn other_side(&self) -> &OtherSide {
        &self.0.other
    }

    pub(super) fn offers(&self) -> &Offers {
        &self.0.offers
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.0.other.handle
    }

    pub(super) fn transit(&self) -> &Transit {
        &self.0.transit
    }

    pub(super) fn value_bytes_max(&self) -> usize {
        self.0.limits.get().map_or(0, |limits| limits.value_bytes_max)
    }

    /// Returns a call or a response with its streams, and connects to its socket. Each receiver resolves when one of them has ended.
    ///
    /// # Errors
    /// The reason, if there are too many streams.
    fn receive(
        &self,
        number: u64,
        bytes: Bytes,
        beside: Beside,
        held: Held,
        when: When,
    ) -> Result<(Parcel, Vec<oneshot::Receiver<()>>), String> {
        let room = self.0.transit.streams(beside.bodies.len().min(BODIES_MAX))?;
        let pulled = pull_all(self.other_side(), number, beside.bodies, room, when);
        let (bodies, mut closed): (Vec<Body>, Vec<_>) = pulled.unzip();
        let socket = beside.has_socket.then(|| self.socket(number, Arc::default())).flatten();
        let socket = socket.map(|(socket, is_closed)| {
            closed.push(is_closed);
            socket
        });
        let parcel = Parcel {
            bytes,
            bodies,
            stubs: self.borrow(beside.stubs),
            socket,
            held,
            transit: self.0.transit.clone(),
        };
        Ok((parcel, closed))
    }

    /// Stand-ins for what the other side lends.
    pub(super) fn borrow(&self, stubs: Vec<u64>) -> Vec<Arc<dyn Lent>> {
        let stand_in = |number| -> Arc<dyn Lent> {
            Arc::new(StandIn {
                line: self.clone(),
                number,
            })
        };
        stubs.into_iter().take(STUBS_MAX).map(stand_in).collect()
    }

    /// Connects to the WebSocket in a response of the other side. The receiver resolves at its end. `why` has the reason for the loss
    /// of the worker, once it is known.
    pub(super) fn socket(&self, number: u64, why: Arc<OnceLock<Outcome>>) -> Option<(Upgrade, oneshot::Receiver<()>)> {
        let limits = self.0.limits.get()?;
        let (upgrade, connection) = sockets::connect(self.requests(), number, &limits.socket, why)?;
        let (open, closed) = oneshot::channel::<()>();
        self.handle().spawn(async move {
            connection.await;
            drop(open);
        });
        Some((upgrade, closed))
    }

    /// Offers the parts of a call or a response with this number to the other side.
    fn offer(&self, number: u64, parcel: Parcel) -> Result<(Bytes, Beside, Held), String> {
        let Parcel {
            bytes,
            bodies,
            stubs,
            socket,
            held,
            ..
        } = parcel;
        if bodies.len() > BODIES_MAX {
            return Err(format!("more than {BODIES_MAX} streams are too many for a call"));
        }
        if stubs.len() > STUBS_MAX {
            return Err(format!(
                "more than {STUBS_MAX} functions and objects are too many for a call"
            ));
        }
        let beside = Beside {
            bodies: lengths(&bodies),
            has_socket: socket.is_some(),
            stubs: self.0.offers.lend(number, stubs),
        };
        self.0.offers.add(number, bodies);
        self.0.offers.add_socket(number, socket);
        Ok((bytes, beside, held))
    }

    /// Calls the other side, and waits for its response.
    pub(super) fn ask(&self, target: Target, parcel: Parcel) -> ParcelFuture {
        let line = self.clone();
        Box::pin(async move {
            let answer = line.try_ask(target, parcel).await;
            answer.unwrap_or_else(|_refused| Err("the other process is ending".to_owned()))
        })
    }

    /// Calls the other side, and waits for its response.
    ///
    /// # Errors
    /// The call, if the other side refused it because it is ending, before it began.
    pub(super) async fn try_ask(&self, target: Target, parcel: Parcel) -> Result<Result<Parcel, String>, Parcel> {
        let number = self.0.number.fetch_add(1, Ordering::Relaxed);
        self.0.offers.keep(number);
        let mut withdraws = Withdraws {
            offers: self.0.offers.clone(),
            number,
            is_answered: false,
        };
        let (bytes, beside, held) = match self.offer(number, parcel) {
            Ok(offered) => offered,
            Err(error) => return Ok(Err(error)),
        };
        let message = match encode_before(&CallHead { target, beside }, bytes.clone()) {
            Ok(message) => message,
            Err(Broken(error)) => return Ok(Err(error)),
        };
        let Reply {
            head,
            bytes,
            held,
            to,
            incoming,
        } = match self.send(number, message, held).await {
            Ok(reply) => reply,
            Err(Unanswered::Refused(held)) => match self.0.offers.recall(number) {
                Some(Brought { bodies, stubs }) => {
                    return Err(Parcel {
                        bytes,
                        bodies,
                        stubs,
                        held,
                        ..Parcel::default()
                    });
                }
                None => return Ok(Err("the other process is ending".to_owned())),
            },
            Err(Unanswered::Broken(Broken(error))) => {
                return Ok(Err(format!("the other process does not answer: {error}")));
            }
        };
        withdraws.is_answered = true;
        let received = self.receive(number, bytes, head.beside, held, When::Now);
        let (parcel, closed) = match received {
            Ok(received) => received,
            Err(error) => return Ok(Err(error)),
        };
        self.handle().spawn(async move {
            let (mut to, mut incoming) = (to, incoming);
            join_all(closed).await;
            // All of the response has been read: the other side may drop what it kept of it.
            drop(to.send_data(Bytes::new(), true));
            // The same for the call on this side, because a response may come before the other side has requested the call's streams. A
            // stream that is dropped before its end would be reset.
            drop(incoming.end().await);
            drop(withdraws);
        });
        Ok(match head.has_failed {
            true => Err(String::from_utf8_lossy(&parcel.bytes).into_owned()),
            false => Ok(parcel),
        })
    }

    /// Sends a call, and waits for the response. The room for the call is held until it is sent.
    async fn send(&self, number: u64, message: [Bytes; 2], held: Held) -> Result<Reply, Unanswered> {
        let request = Request::post(format!("http://cell/ask/{number}")).body(());
        let request = request.map_err(|error| Broken(error.to_string()))?;
        let (response, mut to) = match self.requests().clone().send_request(request, false) {
            Ok(sent) => sent,
            // Nothing was sent: the connection has ended, or accepts no more streams.
            Err(_) => return Err(Unanswered::Refused(held)),
        };
        // If the stream is refused, the response has the reason.
        let written = write_all(&mut to, message).await;
        let response = match response.await {
            Ok(response) => response,
            Err(error) => return Err(Unanswered::of(error, held)),
        };
        written?;
        drop(held);
        let mut incoming = Messages::new(response.into_body());
        let none = || Broken("there is no answer".to_owned());
        let length = incoming.announced().await?.ok_or_else(none)?;
        let held = self.0.transit.reply(length).await;
        let (head, bytes) = incoming.next_before::<ReplyHead>().await?.ok_or_else(none)?;
        Ok(Reply {
            head,
            bytes,
            held,
            to,
            incoming,
        })
    }

    /// Answers a call of the other side. `find` makes the calls to other targets than lent functions and objects.
    pub(super) async fn answer(
        &self,
        number: u64,
        mut incoming: Messages,
        mut respond: SendResponse<Bytes>,
        find: impl FnOnce(Target, Parcel) -> ParcelFuture,
    ) -> Result<(), Broken> {
        let transit = &self.0.transit;
        let none = || Broken("nothing is asked".to_owned());
        let length = incoming.announced().await?.ok_or_else(none)?;
        let held = transit.question(length).await;
        let (head, bytes) = incoming.next_before::<CallHead>().await?.ok_or_else(none)?;
        let (answer, question_read) = match self.receive(number, bytes, head.beside, held, When::Read) {
            Ok((parcel, read)) => {
                let answer = match head.target {
                    Target::Lent(lent) => self.call_lent(lent, parcel),
                    target => find(target, parcel),
                };
                (answer, read)
            }
            Err(error) => (refused(error), Vec::new()),
        };
        let mut to = respond.send_response(Response::new(()), false)?;
        let answer = async { answer.await?.made(transit).await };
        let answer = tokio::select! {
            answer = answer => answer,
            // The other side does not wait any longer: the call is dropped.
            _ = std::future::poll_fn(|cx| to.poll_reset(cx)) => return Ok(()),
        };
        let mut withdraws = Withdraws {
            offers: self.0.offers.clone(),
            number,
            is_answered: false,
        };
        let failed = |error: String| {
            let head = ReplyHead {
                has_failed: true,
                beside: Beside::default(),
            };
            encode_before(&head, error.into())
        };
        let (message, held) = match answer.and_then(|parcel| self.offer(number, parcel)) {
            Ok((bytes, beside, held)) => {
                let head = ReplyHead {
                    has_failed: false,
                    beside,
                };
                let message = encode_before(&head, bytes).or_else(|Broken(error)| {
                    self.0.offers.take_back(number);
                    failed(error)
                });
                (message?, held)
            }
            Err(error) => (failed(error)?, Held::default()),
        };
        write_all(&mut to, message).await?;
        drop(held);
        // The other side closes its half once it has read the whole response. If it left, it holds nothing of it.
        withdraws.is_answered = incoming.end().await.is_ok();
        join_all(question_read).await;
        drop(to.send_data(Bytes::new(), true));
        Ok(())
    }

    /// Calls a function or an object that this side has lent.
    fn call_lent(&self, lent: u64, parcel: Parcel) -> ParcelFuture {
        let Some(lent) = self.0.offers.lent(lent) else {
            return refused("the function or object is not lent any more".to_owned());
        };
        if lent.is_storage() {
            return lent.call(parcel, self.value_bytes_max());
        }
        match parcel.pass_on() {
            Ok(parcel) => lent.call(parcel, self.value_bytes_max()),
            Err(error) => refused(error),
        }
    }
}

/// A call that is not made.
fn refused(error: String) -> ParcelFuture {
    Box::pin(std::future::ready(Err(error)))
}

/// A response, and the stream on which it came.
struct Reply {
    head: ReplyHead,
    bytes: Bytes,
    held: Held,
    to: SendStream<Bytes>,
    incoming: Messages,
}

/// The reason why a call has no response.
enum Unanswered {
    /// The other side is ending, and has not begun the call. With the room for the call.
    Refused(Held),
    Broken(Broken),
}

impl From<Broken> for Unanswered {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl Unanswered {
    /// The two ways to refuse a stream: GOAWAY with the last one that is processed, and `REFUSED_STREAM`
    /// (<https://www.rfc-editor.org/rfc/rfc9113#section-8.7>).
    fn of(error: h2::Error, held: Held) -> Self {
        let has_ended = error.is_go_away() && error.reason() == Some(Reason::NO_ERROR);
        let is_refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
        match error.is_remote() && (has_ended || is_refused) {
            true => Self::Refused(held),
            false => Self::Broken(error.into()),
        }
    }
}

/// Drops what was offered with a call or a response.
struct Withdraws {
    offers: Offers,
    number: u64,
    /// True if the other side has it, and releases what it holds of it.
    is_answered: bool,
}

impl Drop for Withdraws {
    fn drop(&mut self) {
        self.offers.settle(self.number, self.is_answered);
    }
}

/// A stand-in for a function or an object of the other side.
struct StandIn {
    line: Line,
    number: u64,
}

impl Lent for StandIn {
    fn call(&self, request: Parcel, _bytes_max: usize) -> ParcelFuture {
        self.line.ask(Target::Lent(self.number), request)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let request = Request::post(format!("http://cell/release/{}", self.number)).body(());
        if let Ok(request) = request {
            self.line.other_side().notify(request);
        }
    }
}
