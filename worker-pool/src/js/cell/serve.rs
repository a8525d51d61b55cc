//! Answers to what a cell asks its pool for: the bodies of its events, bindings, and functions. Takes its log as well.

use std::collections::HashMap;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use h2::PingPong;
use h2::server::SendResponse;
use http::Request;
use isopod_runtime::Script;
use isopod_runtime::fetcher::Fetcher;
use isopod_runtime::handlers::Body;
use isopod_runtime::native::NativeFunction;
use isopod_runtime::network::{Broker, Brokered};
use isopod_runtime::remote::{Lent, Parcel, ParcelFuture, Target, serve_cache, serve_function, serve_own};
use isopod_runtime::sandbox::Confinement;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use super::line::Line;
use super::offered;
use super::offers::{Brought, Offers};
use super::stream::Stream;
use super::wire::{ASK, Broken, CONNECTION_BYTES, HEADER_BYTES_MAX, LogLine, Messages};

/// Requests of a cell at a time.
const REQUESTS_MAX: u32 = 4096;

/// Bytes of each request, and of its answer, that may be held besides those that have room: a cell that is taken over sends and reads
/// them as it likes.
const ASKED_WINDOW_BYTES: u32 = 64 << 10;

/// All that a cell may ask for.
#[derive(Default)]
pub(super) struct Served {
    /// The bodies of its events, and of answers; and what it may call.
    pub(super) offers: Offers,
    /// The functions of its events.
    functions: Mutex<HashMap<u64, Vec<NativeFunction>>>,
    /// The worker that it runs, once it does.
    runs: OnceLock<Runs>,
    /// The mechanisms that confine a sandbox, as it says.
    confinement: watch::Sender<Option<Confinement>>,
    /// Connects for it, if it is a sandbox, and reads the files of its modules.
    keeper: Option<(Broker, Handle)>,
}

/// The parts that an event brought.
pub(super) struct Recalled {
    pub(super) bodies: Vec<Body>,
    pub(super) functions: Vec<NativeFunction>,
    pub(super) stubs: Vec<Arc<dyn Lent>>,
}

struct Runs {
    script: Arc<Script>,
    name: Arc<str>,
    line: Line,
    fetchers: Option<MakeFetcher>,
    /// The network of a sandbox.
    network: Option<Brokered>,
}

/// Makes fetchers of a pool's workers.
pub(super) type MakeFetcher = Arc<dyn Fn(&str) -> Arc<dyn Fetcher> + Send + Sync>;

impl Runs {
    /// The fetcher of one of its own entry points, and of no other worker.
    fn own(&self, name: &str) -> Option<Arc<dyn Fetcher>> {
        let script = name.split_once('#').map_or(name, |(script, _)| script);
        let make = self.fetchers.as_ref().filter(|_| script == &*self.name)?;
        Some(make(name))
    }
}

impl Served {
    /// Of a process that connects itself, or of a sandbox.
    pub(super) fn new(keeper: Option<(Broker, Handle)>) -> Self {
        Self {
            keeper,
            ..Self::default()
        }
    }

    /// Waits until a sandbox says what confines it.
    pub(super) async fn confinement(&self) -> Option<Confinement> {
        let mut told = self.confinement.subscribe();
        let told = told.wait_for(Option::is_some).await.ok()?;
        told.clone()
    }

    /// Sets the worker that it runs, and the connection to it.
    pub(super) fn runs(&self, script: Arc<Script>, name: Arc<str>, line: Line, fetchers: Option<MakeFetcher>) {
        let network = self.keeper.as_ref();
        let network = network.map(|(broker, _)| broker.network(script.fetch(), script.bindings(), script.limits().cpu));
        // A process gets one worker.
        drop(self.runs.set(Runs {
            network,
            script,
            name,
            line,
            fetchers,
        }));
    }

    pub(super) fn script(&self) -> &str {
        self.runs.get().map_or("", |runs| &runs.name)
    }

    pub(super) fn add_functions(&self, event: u64, functions: Vec<NativeFunction>) {
        if !functions.is_empty() {
            self.functions
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(event, functions);
        }
    }

    /// Takes back all that an event brought, which the cell has not begun. `None`: it has taken some of it.
    pub(super) fn recall(&self, event: u64) -> Option<Recalled> {
        let functions = self
            .functions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&event);
        let Brought { bodies, stubs } = self.offers.recall(event)?;
        Some(Recalled {
            bodies,
            functions: functions.unwrap_or_default(),
            stubs,
        })
    }

    /// Drops what is left of an event.
    pub(super) fn withdraw(&self, event: u64) {
        self.offers.settle(event, true);
        let functions = self
            .functions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&event);
        // Not under the lock: it may run code of others.
        drop(functions);
    }

    fn function(&self, event: u64, number: u32) -> Option<NativeFunction> {
        let functions = self.functions.lock().unwrap_or_else(PoisonError::into_inner);
        functions.get(&event)?.get(number as usize).cloned()
    }
}

/// Answers the requests of a cell until it closes the connection. Sends what pings it, once it has opened the connection.
pub(super) async fn serve(up: UnixStream, served: Arc<Served>, pings: oneshot::Sender<PingPong>) {
    let ended = answer(up, Arc::clone(&served), pings).await;
    served.offers.close();
    if let Err(error) = ended {
        tracing::debug!(%error, "a cell's connection ended");
    }
}

async fn answer(up: UnixStream, served: Arc<Served>, pings: oneshot::Sender<PingPong>) -> Result<(), Broken> {
    let up = Stream::new(up)?;
    let mut connection = h2::server::Builder::new()
        .initial_window_size(ASKED_WINDOW_BYTES)
        .max_send_buffer_size(ASKED_WINDOW_BYTES as usize)
        .initial_connection_window_size(CONNECTION_BYTES)
        .max_header_list_size(HEADER_BYTES_MAX)
        .max_concurrent_streams(REQUESTS_MAX)
        .handshake(up)
        .await?;
    if let Some(own) = connection.ping_pong() {
        // Fails if the worker has ended.
        let _ = pings.send(own);
    }
    // Ends with the connection.
    let mut tasks = JoinSet::new();
    while let Some(accepted) = connection.accept().await {
        let (request, respond) = accepted?;
        let served = Arc::clone(&served);
        tasks.spawn(async move { one(request, respond, &served).await });
        while tasks.try_join_next().is_some() {}
    }
    Ok(())
}

async fn one(request: Request<h2::RecvStream>, respond: SendResponse<Bytes>, served: &Served) {
    let Some((request, mut respond)) = offered::serve(&served.offers, request, respond).await else {
        return;
    };
    let path = request.uri().path().to_owned();
    if let Some(number) = path.strip_prefix("/ask/").and_then(|number| number.parse().ok()) {
        // The numbers of events are not those of questions.
        if number < ASK {
            return respond.send_reset(h2::Reason::REFUSED_STREAM);
        }
        if let Err(error) = ask(served, number, Messages::new(request.into_body()), respond).await {
            tracing::debug!(%error, "a question of a cell broke off");
        }
    } else if path == "/confinement" {
        // Before it runs anything: what it says later is not taken for it.
        if let Ok(Some(confinement)) = Messages::new(request.into_body()).next().await
            && served.runs.get().is_none()
        {
            served.confinement.send_replace(Some(confinement));
        }
        drop(respond.send_response(http::Response::new(()), true));
    } else if path == "/log" {
        let mut lines = Messages::new(request.into_body());
        while let Ok(Some(length)) = lines.announced().await {
            let transit = served.runs.get().map(|runs| runs.line.transit().clone());
            let _held = transit.unwrap_or_default().question(length).await;
            let Ok(Some((line, _))) = lines.next_before::<LogLine>().await else {
                break;
            };
            log(line, served.script());
        }
    } else {
        respond.send_reset(h2::Reason::REFUSED_STREAM);
    }
}

/// Answers a question. Its streams are pulled, and those of the answer offered.
async fn ask(served: &Served, number: u64, incoming: Messages, respond: SendResponse<Bytes>) -> Result<(), Broken> {
    let runs = served
        .runs
        .get()
        .ok_or_else(|| Broken("it runs nothing yet".to_owned()))?;
    let bytes_max = runs.script.limits().quotas.message_bytes;
    // The name by which its bindings know it, as in a thread.
    let worker = runs.script.name();
    let find = |target: Target, parcel: Parcel| -> ParcelFuture {
        let nothing = |error: String| -> ParcelFuture { Box::pin(std::future::ready(Err(error))) };
        match target {
            Target::Binding(name) => match runs.script.binding(&name) {
                Some(binding) => binding.serve(worker, parcel, bytes_max),
                None => nothing(format!("there is no binding named {name:?}")),
            },
            Target::Own(name) => match runs.own(&name) {
                Some(fetcher) => serve_own(fetcher, &runs.name, parcel, bytes_max),
                None => nothing(format!("{name:?} is no entry point of this worker")),
            },
            Target::Function(event, function) => {
                serve_function(served.function(event, function).as_ref(), parcel, bytes_max)
            }
            Target::Cache => serve_cache(runs.script.cache().clone(), worker, parcel),
            Target::Modules => match &served.keeper {
                Some((_, handle)) => {
                    let script = Arc::clone(&runs.script);
                    let reading = handle.spawn_blocking(move || script.serve_modules(&parcel.bytes));
                    Box::pin(async move { reading.await.map_err(|error| error.to_string())?.map(Parcel::new) })
                }
                None => nothing("the worker has files of its own".to_owned()),
            },
            Target::Network => match &runs.network {
                Some(network) => network.serve(parcel),
                None => nothing("the worker has a network of its own".to_owned()),
            },
            Target::Database(name) => match (&runs.network, runs.script.binding(&name)) {
                (Some(network), Some(binding)) => network.serve_database(&**binding, parcel),
                _ => nothing(format!("there is no database named {name:?}")),
            },
            // The line has found it.
            Target::Lent(_) => nothing("it is not lent".to_owned()),
        }
    };
    runs.line.answer(number, incoming, respond, find).await
}

fn log(line: LogLine, script: &str) {
    let level = match line.level {
        0 | 1 => tracing::Level::ERROR,
        2 => tracing::Level::WARN,
        3 => tracing::Level::INFO,
        _ => tracing::Level::DEBUG,
    };
    let text = line.text;
    if let Some((worker, request, caller)) = line.console {
        isopod_runtime::console_line(level, script, worker, &request, caller.as_deref(), &text);
        return;
    }
    match level {
        tracing::Level::ERROR => tracing::error!(target: "isopod::cell", script, "{text}"),
        tracing::Level::WARN => tracing::warn!(target: "isopod::cell", script, "{text}"),
        tracing::Level::INFO => tracing::info!(target: "isopod::cell", script, "{text}"),
        _ => tracing::debug!(target: "isopod::cell", script, "{text}"),
    }
}
