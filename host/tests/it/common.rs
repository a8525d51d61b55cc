//! A module that records its phases, and fails where a test wants it to.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use isopod_host::{CancellationToken, Context, Module, Phase, PhaseResult, async_trait};

/// The behavior of a phase of a [`Probe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    /// Its work.
    Work,
    /// Fails.
    Fail,
    /// Panics.
    Panic,
    /// Never ends.
    Hang,
    /// Its work, and has the host stop.
    StopHost,
}

/// A phase that was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) module: String,
    pub(crate) phase: Phase,
    pub(crate) finished: bool,
}

/// The record shared by all modules of one host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    calls: Arc<Mutex<Vec<Call>>>,
    tasks: Arc<AtomicUsize>,
    /// Fires when this many phases have begun.
    stop: Option<(usize, CancellationToken)>,
}

impl Log {
    pub(crate) fn stopping_at(calls: usize, token: CancellationToken) -> Self {
        Self {
            stop: Some((calls, token)),
            ..Self::default()
        }
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// `start a`, `start b failed`, …
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |call: Call| match call.finished {
            true => format!("{} {}", call.phase, call.module),
            false => format!("{} {} failed", call.phase, call.module),
        };
        self.calls().into_iter().map(line).collect()
    }

    /// The number of tasks of all modules that have not been dropped.
    pub(crate) fn tasks(&self) -> usize {
        self.tasks.load(Ordering::SeqCst)
    }

    fn begin(&self, module: &str, phase: Phase) -> usize {
        let mut calls = self.calls.lock().unwrap();
        if let Some((at, token)) = &self.stop
            && *at == calls.len()
        {
            token.cancel();
        }
        calls.push(Call {
            module: module.to_owned(),
            phase,
            finished: false,
        });
        calls.len() - 1
    }
}

/// Counts a task for as long as it is there.
struct Task(Arc<AtomicUsize>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[derive(Debug)]
pub(crate) struct Probe {
    name: String,
    depends_on: Vec<String>,
    does: HashMap<Phase, Does>,
    log: Log,
}

impl Probe {
    pub(crate) fn new(name: &str, log: &Log) -> Self {
        Self {
            name: name.to_owned(),
            depends_on: Vec::new(),
            does: HashMap::new(),
            log: log.clone(),
        }
    }

    pub(crate) fn after(mut self, module: &str) -> Self {
        self.depends_on.push(module.to_owned());
        self
    }

    pub(crate) fn does(mut self, phase: Phase, does: Does) -> Self {
        self.does.insert(phase, does);
        self
    }

    async fn phase(&self, phase: Phase, ctx: &Context) -> PhaseResult {
        let call = self.log.begin(&self.name, phase);
        if phase == Phase::Start {
            self.log.tasks.fetch_add(1, Ordering::SeqCst);
            let task = Task(Arc::clone(&self.log.tasks));
            ctx.service(async move {
                let _task = task;
                std::future::pending().await
            });
        }
        tokio::task::yield_now().await;
        match self.does.get(&phase).unwrap_or(&Does::Work) {
            Does::Work => {}
            Does::Fail => return Err(format!("{} cannot {phase}", self.name).into()),
            Does::Panic => panic!("{} panics", self.name),
            Does::Hang => std::future::pending().await,
            Does::StopHost => ctx.host().stop(),
        }
        self.log.calls.lock().unwrap()[call].finished = true;
        Ok(())
    }
}

#[async_trait]
impl Module for Probe {
    fn name(&self) -> &str {
        &self.name
    }

    fn depends_on(&self) -> Vec<String> {
        self.depends_on.clone()
    }

    async fn build(&mut self, ctx: &Context) -> PhaseResult {
        self.phase(Phase::Build, ctx).await
    }

    async fn configure(&mut self, ctx: &Context) -> PhaseResult {
        self.phase(Phase::Configure, ctx).await
    }

    async fn migrate(&mut self, ctx: &Context) -> PhaseResult {
        self.phase(Phase::Migrate, ctx).await
    }

    async fn start(&mut self, ctx: &Context) -> PhaseResult {
        self.phase(Phase::Start, ctx).await
    }

    async fn ready(&mut self, ctx: &Context) -> PhaseResult {
        self.phase(Phase::Ready, ctx).await
    }

    async fn drain(&mut self, ctx: &Context) -> PhaseResult {
        self.phase(Phase::Drain, ctx).await
    }

    async fn stop(&mut self, ctx: &Context) -> PhaseResult {
        self.phase(Phase::Stop, ctx).await
    }

    async fn close(&mut self, ctx: &Context) -> PhaseResult {
        self.phase(Phase::Close, ctx).await
    }
}
