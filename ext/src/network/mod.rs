//! The network and the databases of workers in sandboxes, which have neither: a thread of their pool's process has both, and
//! the guard of `fetch` decides there.
//!
//! The clients are those of any worker thread, and so are their limits. What a worker claims about itself changes none of them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::future::LocalBoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::bindings::{Binding, Parcel, ParcelFuture, WrittenBinding, pack, unpack};
use crate::event::Body;
use crate::fetch::{FetchConfig, FetchService, NetworkCall, NetworkReply};
use crate::io::{Io, IoOptions};
use crate::sockets::{is_granted, serve_connect, serve_lookup, serve_records};
use crate::sql;

/// Maximum number of calls that wait for the thread.
const CALLS_WAITING_MAX: usize = 1024;

/// A call on the thread.
type Job = Box<dyn FnOnce(&Rc<Thread>) -> LocalBoxFuture<'static, ()> + Send>;

/// A handle to the thread that connects for workers in sandboxes.
#[derive(Clone)]
pub struct Broker(mpsc::Sender<Job>);

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Broker(…)")
    }
}

/// The work of the thread that connects for workers in sandboxes.
#[must_use]
pub struct Brokering {
    jobs: mpsc::Receiver<Job>,
    options: IoOptions,
}

impl fmt::Debug for Brokering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Brokering(…)")
    }
}

/// The state of the thread.
struct Thread {
    io: Rc<Io>,
    /// The requests of each worker, while there is one.
    services: RefCell<HashMap<usize, Service>>,
}

/// The requests of a worker, while there is one.
type Service = (Weak<Conditions>, Rc<FetchService>);

/// A worker, as the thread knows it.
struct Conditions {
    fetch: FetchConfig,
    /// The destinations that bindings permit.
    granted: Vec<(String, u16)>,
    /// CPU time of a call of a database.
    cpu_max: Duration,
}

/// The network of one worker.
#[derive(Clone)]
pub struct Brokered {
    broker: Broker,
    conditions: Arc<Conditions>,
}

impl fmt::Debug for Brokered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Brokered(…)")
    }
}

impl Broker {
    /// Creates one, and the work that the thread is to do.
    pub fn new(options: IoOptions) -> (Self, Brokering) {
        let (broker, jobs) = mpsc::channel(CALLS_WAITING_MAX);
        (Self(broker), Brokering { jobs, options })
    }

    /// The network of a worker with this configuration and these bindings. `cpu_max`: the CPU time of an event, and so of a call of a
    /// database.
    pub fn network<'a>(
        &self,
        fetch: &FetchConfig,
        bindings: impl Iterator<Item = &'a Arc<dyn Binding>>,
        cpu_max: Duration,
    ) -> Brokered {
        Brokered {
            broker: self.clone(),
            conditions: Arc::new(Conditions {
                fetch: fetch.clone(),
                granted: bindings.filter_map(|binding| binding.grants()).collect(),
                cpu_max,
            }),
        }
    }

    /// Does something on the thread. What is not waited for ends.
    fn run<F>(&self, work: impl FnOnce(&Rc<Thread>) -> F + Send + 'static) -> ParcelFuture
    where
        F: Future<Output = Result<Parcel, String>> + 'static,
    {
        let (mut to, answer) = oneshot::channel();
        let job: Job = Box::new(move |thread| {
            let work = work(thread);
            Box::pin(async move {
                let done = tokio::select! {
                    done = work => done,
                    () = to.closed() => return,
                };
                drop(to.send(done));
            })
        });
        let jobs = self.0.clone();
        Box::pin(async move {
            let ended = || "the thread that connects for sandboxes has ended".to_owned();
            jobs.send(job).await.map_err(|_| ended())?;
            answer.await.map_err(|_| ended())?
        })
    }
}

impl Brokering {
    /// Does the work, in a `LocalSet`. Ends when all workers and brokers are gone.
    pub async fn run(mut self) {
        let thread = Rc::new(Thread {
            io: Rc::new(Io::new(self.options)),
            services: RefCell::default(),
        });
        // They end with this.
        let mut tasks = JoinSet::new();
        loop {
            tokio::select! {
                job = self.jobs.recv() => match job {
                    Some(job) => drop(tasks.spawn_local(job(&thread))),
                    None => break,
                },
                Some(_) = tasks.join_next() => {}
            }
        }
    }
}

impl Thread {
    /// The requests of a worker.
    fn service(&self, conditions: &Arc<Conditions>) -> Rc<FetchService> {
        let mut services = self.services.borrow_mut();
        services.retain(|_, (worker, _)| worker.strong_count() > 0);
        let key = Arc::as_ptr(conditions) as usize;
        let (_, service) = services.entry(key).or_insert_with(|| {
            let service = FetchService::new(Rc::clone(&self.io), None, conditions.fetch.clone());
            (Arc::downgrade(conditions), Rc::new(service))
        });
        Rc::clone(service)
    }
}

impl Brokered {
    /// Answers a call of the worker, which may be any bytes.
    #[must_use]
    pub fn serve(&self, parcel: Parcel) -> ParcelFuture {
        let conditions = Arc::clone(&self.conditions);
        self.broker.run(move |thread| {
            let thread = Rc::clone(thread);
            async move {
                let Parcel {
                    bytes, bodies, held, ..
                } = parcel.pass_on()?;
                let (reply, body) = answer(&thread, &conditions, &bytes, bodies.into_iter().next()).await?;
                drop(held);
                Ok(Parcel::with_bodies(pack(&reply)?, body.into_iter().collect()))
            }
        })
    }

    /// Answers a call to the database of a binding, which may be any bytes.
    #[must_use]
    pub fn serve_database(&self, binding: &dyn Binding, parcel: Parcel) -> ParcelFuture {
        let config = match binding.written() {
            Some(WrittenBinding::Sql { config }) => unpack(&config),
            _ => Err("the binding is no database".to_owned()),
        };
        let mut config: sql::SqlConfig = match config {
            Ok(config) => config,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        config.cpu = config.cpu.min(self.conditions.cpu_max);
        let transit = parcel.transit.clone();
        let running = self.broker.clone();
        Box::pin(async move {
            let _question = transit.question(sql::question_bytes(&parcel)).await;
            // The size of the results is not known before: as much room as they may take, but so that some statements run at a time.
            let held = transit.answer(sql::answer_bytes(&config, &transit)).await;
            let answer = running.run(move |thread| {
                let io = Rc::clone(&thread.io);
                async move { sql::serve_remote(io, config, parcel, held).await }
            });
            answer.await
        })
    }
}

async fn answer(
    thread: &Thread,
    conditions: &Arc<Conditions>,
    bytes: &[u8],
    stream: Option<Body>,
) -> Result<(NetworkReply, Option<Body>), String> {
    let (io, config) = (Rc::clone(&thread.io), conditions.fetch.clone());
    match unpack(bytes)? {
        NetworkCall::Fetch(request) => thread.service(conditions).answer(*request, stream).await,
        NetworkCall::Connect { host, port } => {
            let mut granted = conditions.granted.iter();
            let is_granted = granted.any(|(own, at)| is_granted((own, *at), &host, port));
            serve_connect(&io, config, is_granted, (host, port), stream).await
        }
        NetworkCall::Lookup(name) => Ok((serve_lookup(io, config, &name).await, None)),
        NetworkCall::Records(name, kind) => Ok((serve_records(io, config, &name, &kind).await, None)),
    }
}
