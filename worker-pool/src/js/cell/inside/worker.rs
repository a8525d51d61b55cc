//! The worker of a cell, on its thread.

use std::collections::HashMap;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::task::AtomicWaker;
use isopod_outcome::{Failure, Outcome};
use isopod_runtime::fetcher::Loopback;
use isopod_runtime::io::IoOptions;
use isopod_runtime::modules::ModulesLoaded;
use isopod_runtime::{
    Image, OsScheduling, Script, Watchdog, WorkerTemplate, WorkerThread, platform, run_in_short_slices,
};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::timeout;

use super::driven::{Driven, OnWorker, Side};
use super::waiting::{Begin, Waiting};
use super::warm::{self, warm_up};
use crate::engine::{BootContext, BootError, Noticed, SlotId, Trim, Turn, Worker as _, WorkerId, WorkerNotice};
use crate::js::cell::wire::{FromCell, Report};
use crate::js::fault::fault;
use crate::js::thread_worker::ThreadWorker;

/// A message to the worker's thread.
pub(super) enum Mail {
    /// The first message.
    Boot(Box<Booting>),
    /// An event can begin, unless it was returned to the pool.
    Begin(SlotId),
    StopAt(SlotId, Instant),
    Cancel(SlotId, Outcome),
    TrimMemory,
    TrimIo,
}

/// A worker that is being started.
pub(super) struct Booting {
    pub(super) script: Arc<Script>,
    pub(super) script_name: String,
    pub(super) version: u64,
    pub(super) worker: u64,
    pub(super) concurrency: usize,
    pub(super) stop_in: Option<Duration>,
    pub(super) io_threads: usize,
    pub(super) is_tuned: bool,
    pub(super) in_sandbox: bool,
    /// The worker's own entry points.
    pub(super) loopback: Loopback,
    /// Messages to the pool.
    pub(super) reports: mpsc::Sender<FromCell>,
}

/// Maximum number of turns of an event, each kind at most once.
pub(super) const TURNS_MAX: usize = 4;

/// Starts the worker's thread, which initializes V8 and waits for a script.
pub(super) fn spawn(
    mut mailbox: mpsc::Receiver<Mail>,
    waiting: Arc<Waiting>,
    driven: Arc<Driven>,
    template: WorkerTemplate,
    image: Image,
) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .thread_name("isopod-crypto")
        .build()?;
    let body = move || {
        let first = match runtime.block_on(async { timeout(warm::AFTER, mailbox.recv()).await }) {
            Ok(first) => first,
            Err(_waits) => {
                warm_up(&runtime, image);
                mailbox.blocking_recv()
            }
        };
        let Some(Mail::Boot(booting)) = first else {
            return;
        };
        let reports = booting.reports.clone();
        let run = || run(*booting, &runtime, mailbox, waiting, driven, template);
        if let Ok(Err(failure)) = catch_unwind(AssertUnwindSafe(run)) {
            drop(reports.blocking_send(FromCell::BootFailed((&fault(failure)).into())));
        } else {
            // The worker would have reported an orderly end, so the thread has panicked.
            let reason = "the worker's thread panicked".to_owned();
            let outcome = Outcome::WorkerLost;
            drop(reports.blocking_send(FromCell::Condemned { outcome, reason }));
        }
    };
    platform::spawn("isopod-0".to_owned(), Box::new(body)).map(drop)
}

fn run(
    booting: Booting,
    runtime: &Runtime,
    mailbox: mpsc::Receiver<Mail>,
    waiting: Arc<Waiting>,
    driven: Arc<Driven>,
    template: WorkerTemplate,
) -> Result<(), Failure> {
    let lost = |error: String| Failure::new(Outcome::BootFailed, "the cell cannot start a worker").with_detail(error);
    let scheduling = match booting.is_tuned && !booting.in_sandbox {
        true => OsScheduling::Tuned,
        // In a sandbox, a thread may change only its own priority.
        false => OsScheduling::Untouched,
    };
    if booting.is_tuned {
        run_in_short_slices();
    }
    let watchdog = Watchdog::start(scheduling).map_err(|error| lost(error.to_string()))?;
    let io = IoOptions::default().threads(booting.io_threads).name("isopod-0-io");
    let thread = WorkerThread::new(io, Arc::new(watchdog)).with_template(template);
    let local = LocalSet::new();
    local.block_on(runtime, async {
        let watched = Arc::new(Watched::default());
        let ctx = BootContext {
            worker: WorkerId::new(booting.worker),
            script_name: booting.script_name.into(),
            version: booting.version,
            concurrency: booting.concurrency,
            events_max: None,
            deadline: None,
            stop_at: booting.stop_in.and_then(|after| Instant::now().checked_add(after)),
            notice: notice(
                booting.reports.clone(),
                Arc::clone(&watched),
                Arc::clone(&waiting),
                Arc::clone(&driven),
            ),
        };
        let modules = booting.script.modules_loaded();
        let booted = ThreadWorker::boot(&thread, &booting.script, ctx, Some(booting.loopback)).await;
        // The files of a script that cannot start are watched as well.
        drop(booting.reports.send(FromCell::Loaded(urls(&modules))).await);
        let mut worker = booted.map_err(|BootError(failure)| failure)?;
        let memory_bytes = worker.memory_bytes() as u64;
        drop(booting.reports.send(FromCell::Booted { memory_bytes }).await);
        // The connection comes here after the first turn.
        drop(spawn_local(OnWorker(Arc::clone(&driven))));
        let mut running = Running {
            worker,
            mailbox,
            waiting,
            driven,
            turns: HashMap::new(),
            reports: booting.reports,
            watched,
            modules_reported: modules.count(),
            modules,
            is_condemned: false,
        };
        // A task beside that of the connection: they wake each other without a system call.
        let running = spawn_local(poll_fn(move |cx| running.poll(cx)));
        if let Err(panicked) = running.await {
            resume_unwind(panicked.into_panic());
        }
        // The process ends now. Dropping the worker first would only take time.
        std::future::pending().await
    })
}

/// State that the watchdog and the worker's thread share.
#[derive(Default)]
struct Watched {
    /// True while the pool waits for the end of a reported turn.
    is_reported: Mutex<bool>,
    /// Wakes the worker's thread, in case the turn has ended already.
    waker: AtomicWaker,
}

impl Watched {
    fn is_reported(&self) -> MutexGuard<'_, bool> {
        self.is_reported.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reports the observations of the watchdog to the pool.
fn notice(
    reports: mpsc::Sender<FromCell>,
    watched: Arc<Watched>,
    waiting: Arc<Waiting>,
    driven: Arc<Driven>,
) -> WorkerNotice {
    WorkerNotice::new(move |noticed| {
        let is_long = matches!(noticed, Noticed::LongTurn);
        let message = match noticed {
            Noticed::LongTurn => FromCell::LongTurn,
            Noticed::Stopping(stop) => FromCell::Stopping(stop.outcome),
        };
        let mut is_reported = watched.is_reported();
        // Full only if the pool does not read, for which it has a deadline.
        let is_sent = reports.try_send(message).is_ok();
        *is_reported |= is_sent;
        drop(is_reported);
        if is_sent && is_long {
            waiting.long_turn();
        }
        // The worker's thread moves it back after the turn.
        driven.move_to(Side::Main);
        watched.waker.wake();
    })
}

fn urls(modules: &ModulesLoaded) -> Vec<String> {
    modules.urls().iter().map(ToString::to_string).collect()
}

struct Running {
    worker: ThreadWorker,
    mailbox: mpsc::Receiver<Mail>,
    waiting: Arc<Waiting>,
    driven: Arc<Driven>,
    turns: HashMap<SlotId, mpsc::Sender<Report>>,
    reports: mpsc::Sender<FromCell>,
    watched: Arc<Watched>,
    modules: ModulesLoaded,
    modules_reported: usize,
    /// True once the pool knows that the worker is condemned.
    is_condemned: bool,
}

impl Running {
    /// Runs until the worker is condemned, or the pool has closed the connection.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.watched.waker.register(cx.waker());
        loop {
            while !self.worker.is_condemned() {
                match self.mailbox.poll_recv(cx) {
                    Poll::Ready(Some(mail)) => self.read(mail),
                    Poll::Ready(None) => return Poll::Ready(()),
                    Poll::Pending => break,
                }
            }
            let polled = self.worker.poll(cx);
            self.driven.move_to(Side::Worker);
            {
                let mut is_reported = self.watched.is_reported();
                if *is_reported {
                    *is_reported = self.reports.try_send(FromCell::Returned).is_err();
                    if *is_reported {
                        // There is no room: retried in the next turn.
                        cx.waker().wake_by_ref();
                    }
                }
            }
            if self.worker.is_condemned() && !std::mem::replace(&mut self.is_condemned, true) {
                drop(self.reports.try_send(FromCell::Condemning));
                self.waiting.close();
            }
            match polled {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Turn::Streaming { slot }) => self.report(slot, Report::Streaming),
                Poll::Ready(Turn::Session { slot }) => self.report(slot, Report::Session),
                Poll::Ready(Turn::Answered { slot }) => self.report(slot, Report::Answered),
                Poll::Ready(Turn::Ended { slot, outcome }) => self.end(slot, outcome),
                // Its own mailbox is behind this one.
                Poll::Ready(Turn::Returned { .. }) => {}
                Poll::Ready(Turn::Condemned { outcome, reason }) => {
                    self.worker.abandon(Failure::new(outcome, &*reason));
                    let open: Vec<_> = self.turns.keys().copied().collect();
                    open.into_iter().for_each(|slot| self.end(slot, outcome));
                    drop(self.reports.try_send(FromCell::Condemned { outcome, reason }));
                    return Poll::Ready(());
                }
            }
        }
    }

    fn read(&mut self, mail: Mail) {
        match mail {
            Mail::Begin(slot) => {
                let Some(Begin {
                    make, stop_at, turns, ..
                }) = self.waiting.take(slot)
                else {
                    return;
                };
                self.turns.insert(slot, turns);
                let Some(event) = make() else {
                    return self.end(slot, Outcome::Exception);
                };
                if let Some(at) = stop_at {
                    self.worker.stop_at(slot, at);
                }
                self.worker.begin(slot, event);
            }
            Mail::StopAt(slot, at) if self.turns.contains_key(&slot) => self.worker.stop_at(slot, at),
            Mail::Cancel(slot, outcome) if self.turns.contains_key(&slot) => self.worker.cancel(slot, outcome),
            Mail::StopAt(..) | Mail::Cancel(..) | Mail::Boot(_) => {}
            Mail::TrimMemory => self.worker.trim(Trim::Memory),
            Mail::TrimIo => self.worker.trim(Trim::Io),
        }
    }

    fn report(&self, slot: SlotId, report: Report) {
        if let Some(turns) = self.turns.get(&slot) {
            drop(turns.try_send(report));
        }
    }

    fn end(&mut self, slot: SlotId, outcome: Outcome) {
        let memory_bytes = self.worker.memory_bytes() as u64;
        self.report(slot, Report::Ended { outcome, memory_bytes });
        self.turns.remove(&slot);
        let count = self.modules.count();
        if count != self.modules_reported {
            self.modules_reported = count;
            drop(self.reports.try_send(FromCell::Loaded(urls(&self.modules))));
        }
    }
}
