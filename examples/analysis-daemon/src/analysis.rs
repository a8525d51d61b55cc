//! The module that gives the samples to the first stage, and prints what the last ones have found.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use isopod::host::bus::{
    Delivery, Handler, HandlerOptions, Message, ResultRef, Results, SubscribeOptions, Subscription, SystemEvent,
};
use isopod::host::process::{ModuleRequest, ModuleTasks};
use isopod::host::workers::WorkerTasks;
use isopod::host::{BoxError, Context, Module, PhaseResult, async_trait};
use isopod::{Failure, Pool};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;

use crate::bars::Bars;

/// Samples at once: fewer than the messages that wait for a module, so that none is lost.
const AT_ONCE: usize = 16;
/// A sample that has no findings after this time is analyzed once more.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Analysis {
    samples: Vec<PathBuf>,
    entropy: bool,
}

/// A sample that is being analyzed.
struct Open {
    path: PathBuf,
    since: Instant,
    verdict: Option<Verdict>,
    bits: Option<f64>,
}

#[derive(Deserialize)]
struct Verdict {
    sample: String,
    strings: u64,
    found: u64,
}

#[derive(Deserialize)]
struct Entropy {
    sample: String,
    bits: f64,
}

impl Analysis {
    pub(crate) const fn new(samples: Vec<PathBuf>, entropy: bool) -> Self {
        Self { samples, entropy }
    }
}

#[async_trait]
impl Module for Analysis {
    fn name(&self) -> &str {
        "analysis"
    }

    fn depends_on(&self) -> Vec<String> {
        ["pool", "unpack", "strings"].map(str::to_owned).to_vec()
    }

    async fn ready(&mut self, ctx: &Context) -> PhaseResult {
        let (bus, results) = (ctx.bus(), ctx.hub().get::<Results>()?);
        let scripts = WorkerTasks::new(bus, &results, &*ctx.hub().get::<Pool>()?);
        // Its process may be killed as well.
        let options = HandlerOptions::default().retries(16);
        let verdicts = scripts.chain("results.strings".parse()?, "verdict", options);
        let subscribe = |patterns: &[&str]| -> Result<Subscription, BoxError> {
            let patterns: Result<Vec<_>, _> = patterns.iter().map(|pattern| pattern.parse()).collect();
            Ok(bus.subscribe_all(patterns?, SubscribeOptions::default().capacity(4096_usize))?)
        };
        let (again, failed) = mpsc::channel(AT_ONCE);
        let work = Work {
            _chain: verdicts.start(ctx.runtime(), bus, &results)?,
            unpack: ctx.hub().get_scoped("unpack")?,
            findings: subscribe(&["results.verdict", "results.entropy"])?,
            told: subscribe(&["isopod.task.*", "isopod.module.exited"])?,
            bars: Bars::new(self.samples.len() as u64, self.entropy)?,
            todo: std::mem::take(&mut self.samples),
            open: BTreeMap::new(),
            entropy: self.entropy,
            results,
            ctx: ctx.clone(),
            again,
            failed,
        };
        ctx.service(work.run());
        Ok(())
    }
}

struct Work {
    _chain: Handler,
    unpack: Arc<ModuleTasks>,
    results: Arc<Results>,
    findings: Subscription,
    told: Subscription,
    bars: Bars,
    todo: Vec<PathBuf>,
    open: BTreeMap<String, Open>,
    entropy: bool,
    ctx: Context,
    /// Samples whose unpacking has failed.
    again: mpsc::Sender<(String, Failure)>,
    failed: mpsc::Receiver<(String, Failure)>,
}

impl Work {
    async fn run(mut self) -> Result<(), BoxError> {
        loop {
            while self.open.len() < AT_ONCE
                && let Some(path) = self.todo.pop()
            {
                self.begin(path);
            }
            if self.open.is_empty() {
                // All is done: the host stops its modules in order.
                self.ctx.host().stop();
                return Ok(());
            }
            let oldest = self.open.values().map(|open| open.since).min();
            let overdue = oldest.unwrap_or_else(Instant::now) + PATIENCE;
            tokio::select! {
                Some(delivery) = self.told.recv() => if let Delivery::Message(message) = delivery
                    && let Some(event) = SystemEvent::of(&message)
                {
                    self.bars.show(&event);
                },
                Some(delivery) = self.findings.recv() => if let Delivery::Message(message) = delivery {
                    self.found(&message)?;
                },
                Some((sample, failure)) = self.failed.recv() => self.not_unpacked(&sample, &failure),
                () = tokio::time::sleep_until(overdue.into()) => {
                    let late = self.open.iter().find(|(_, open)| open.since.elapsed() >= PATIENCE);
                    if let Some(sample) = late.map(|(sample, _)| sample.clone()) {
                        self.once_more(&sample);
                    }
                }
            }
        }
    }

    /// Has a sample unpacked. The other stages follow by themselves.
    fn begin(&mut self, path: PathBuf) {
        let sample = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let request = ModuleRequest::new("unpack").payload(json!({ "path": path }));
        let unpacked = self.unpack.run(request).finish();
        let (again, name) = (self.again.clone(), sample.clone());
        self.ctx.service(async move {
            if let Err(failure) = unpacked.await {
                // Nothing takes it any more where the host stops.
                drop(again.send((name, failure)).await);
            }
            Ok(())
        });
        let (since, verdict, bits) = (Instant::now(), None, None);
        let open = Open {
            path,
            since,
            verdict,
            bits,
        };
        self.open.insert(sample, open);
    }

    /// A module that was lost too often is no reason to lose the sample; a sample that cannot be read is one.
    fn not_unpacked(&mut self, sample: &str, failure: &Failure) {
        if failure.outcome.is_retryable() && !self.ctx.host().is_stopping() {
            self.once_more(sample);
        } else if self.open.remove(sample).is_some() {
            self.bars.print(&format!("{sample}: not analyzed: {failure}"));
        }
    }

    fn once_more(&mut self, sample: &str) {
        if let Some(open) = self.open.remove(sample) {
            eprintln!("{sample}: once more");
            self.todo.push(open.path);
        }
    }

    fn found(&mut self, message: &Message) -> Result<(), BoxError> {
        let result = ResultRef::of(message).ok_or("a message that announces no result")?;
        let value = self.results.read(&result)?.to_json()?;
        // A stage that was begun again has found the same again, perhaps for a sample that is done.
        let sample = if result.source.name() == "verdict" {
            let verdict = Verdict::deserialize(value)?;
            let sample = verdict.sample.clone();
            if let Some(open) = self.open.get_mut(&sample) {
                open.verdict = Some(verdict);
            }
            sample
        } else {
            let Entropy { sample, bits } = Entropy::deserialize(value)?;
            if let Some(open) = self.open.get_mut(&sample) {
                open.bits = Some(bits);
            }
            sample
        };
        if let Some(Open {
            verdict: Some(verdict),
            bits,
            ..
        }) = self.open.get(&sample)
            && bits.is_some() == self.entropy
        {
            let bits = bits.map(|bits| format!(", {bits} bits a byte")).unwrap_or_default();
            let judged = if verdict.found > 0 { "bad" } else { "good" };
            self.bars.print(&format!(
                "{sample}: {judged}, {} of {} strings{bits}",
                verdict.found, verdict.strings
            ));
            self.open.remove(&sample);
        }
        Ok(())
    }
}
