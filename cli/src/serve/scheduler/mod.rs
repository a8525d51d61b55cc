//! Host module that fires cron triggers: `cron_queue` tracks due times, `alarm` waits for them, and a
//! record of past ticks ensures that each tick runs in one process only.

mod alarm;
mod cron_queue;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use isopod::host::supervise::{RunError, RunOptions};
use isopod::host::{BoxError, CancellationToken, Context, Module, PhaseResult, async_trait};
use isopod::storage::ticks::{PostgresTicks, SqliteTicks, Tick, TickStore};
use isopod::{Failure, Pool};
use tokio::sync::watch;

use self::alarm::Alarm;
use self::cron_queue::{CronQueue, Due, Turn};
use super::deploy::Deploy;
use crate::config::{Config, Cron, Engine};

/// The record of the ticks that have run, in the project's folder.
const TICKS: &str = ".isopod/cron.sqlite";

/// Publishes configuration changes to the scheduler. A client of the hub.
pub(super) type Triggers = watch::Sender<Arc<Config>>;

pub(super) struct Scheduler {
    triggers: Arc<Triggers>,
    ticks: Arc<Ticks>,
    /// Stops firing before the runs end: accepted runs finish with the pool.
    stop: CancellationToken,
}

impl Scheduler {
    pub(super) const NAME: &'static str = "scheduler";

    pub(super) fn new(config: Arc<Config>) -> Self {
        Self {
            ticks: Arc::new(Ticks::of(&config)),
            triggers: Arc::new(watch::Sender::new(config)),
            stop: CancellationToken::new(),
        }
    }
}

#[async_trait]
impl Module for Scheduler {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn depends_on(&self) -> Vec<String> {
        vec![Deploy::NAME.to_owned()]
    }

    async fn build(&mut self, ctx: &Context) -> PhaseResult {
        ctx.hub().register(Arc::clone(&self.triggers))?;
        Ok(())
    }

    async fn ready(&mut self, ctx: &Context) -> PhaseResult {
        let clock = Clock {
            alarm: Alarm::new()?,
            pool: ctx.hub().get::<Pool>()?,
            ctx: ctx.clone(),
            config: self.triggers.subscribe(),
            ticks: Arc::clone(&self.ticks),
        };
        let stop = self.stop.clone();
        ctx.spawn(async move { stop.run_until_cancelled(clock.run()).await.unwrap_or(Ok(())) });
        Ok(())
    }

    async fn drain(&mut self, _ctx: &Context) -> PhaseResult {
        self.stop.cancel();
        Ok(())
    }
}

struct Clock {
    alarm: Alarm,
    pool: Arc<Pool>,
    ctx: Context,
    config: watch::Receiver<Arc<Config>>,
    ticks: Arc<Ticks>,
}

impl Clock {
    /// Sleeps until a trigger is due, the clock is set or the configuration changes, and checks the time after each.
    async fn run(mut self) -> Result<(), BoxError> {
        let mut queue = CronQueue::default();
        let config = self.config.borrow_and_update().clone();
        queue.follow(triggers(&config), SystemTime::now());
        loop {
            let next = queue.next_due();
            let alarm = async {
                match next {
                    Some(time) => self.alarm.until(time).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                rung = alarm => rung?,
                changed = self.config.changed() => {
                    changed?;
                    let config = self.config.borrow_and_update().clone();
                    queue.follow(triggers(&config), SystemTime::now());
                }
            }
            for due in queue.take_due(SystemTime::now()) {
                self.fire(due);
            }
        }
    }

    fn fire(&self, Due { trigger, time }: Due) {
        let Some(turn) = trigger.begin() else {
            let (worker, cron) = (&trigger.worker, &trigger.cron);
            tracing::warn!(target: "isopod::cron", %worker, %cron, "skipped: the previous run has not ended");
            return;
        };
        let (pool, supervisor) = (Arc::clone(&self.pool), self.ctx.supervisor().clone());
        let ticks = Arc::clone(&self.ticks);
        self.ctx.spawn(async move {
            if !ticks.is_ours(&turn, time).await {
                return Ok::<(), BoxError>(());
            }
            // The time is limited by the worker's own limits.
            let timeout = Duration::MAX;
            let name = format!("cron:{}", turn.trigger().worker);
            let ran = supervisor.run_with(
                RunOptions::default().timeout(timeout),
                &name,
                run_turn(pool, turn, time),
            );
            match ran.await {
                // The run itself has logged its error in detail.
                Ok(()) | Err(RunError::Crashed { .. }) => {}
                Err(error) => tracing::warn!(target: "isopod::cron", task = name, %error, "a run did not finish"),
            }
            Ok::<(), BoxError>(())
        });
    }
}

/// The record of the ticks that have run.
struct Ticks {
    store: Box<dyn TickStore>,
    /// The place where the record is kept, for messages.
    place: String,
    /// True if a tick runs even if it cannot be recorded: with a file on one machine, that is rare.
    runs_unrecorded: bool,
}

impl Ticks {
    fn of(config: &Config) -> Self {
        match &config.ticks {
            Engine::Local => Self {
                store: Box::new(SqliteTicks::new(config.root.join(TICKS))),
                place: TICKS.to_owned(),
                runs_unrecorded: true,
            },
            Engine::Server(server) => Self {
                store: Box::new(PostgresTicks::new(server)),
                place: format!("postgres://{}", server.address()),
                runs_unrecorded: false,
            },
        }
    }

    /// Claims a tick. `false`: another process runs it, or, with a server, that is unknown.
    async fn is_ours(&self, turn: &Turn, time: SystemTime) -> bool {
        let (worker, cron) = (turn.trigger().worker.clone(), turn.trigger().cron.to_string());
        match self.store.take(Tick::new(worker.as_str(), cron.as_str(), time)).await {
            Ok(true) => true,
            Ok(false) => {
                tracing::debug!(target: "isopod::cron", worker, cron, "another process runs it");
                false
            }
            Err(error) if self.runs_unrecorded => {
                let place = &self.place;
                tracing::warn!(target: "isopod::cron", worker, cron, %error, "cannot record the run in {place}: other processes may run it too");
                true
            }
            Err(error) => {
                let place = &self.place;
                tracing::error!(target: "isopod::cron", worker, cron, %error, "skipped: cannot record the run on {place}, and another process may run it");
                false
            }
        }
    }
}

/// Returns each cron expression with its worker.
fn triggers(config: &Config) -> impl Iterator<Item = (&str, &Cron)> {
    let workers = config.workers.iter();
    workers.flat_map(|(name, worker)| worker.crons.iter().map(move |cron| (name.as_str(), cron)))
}

async fn run_turn(pool: Arc<Pool>, turn: Turn, time: SystemTime) -> Result<(), Failure> {
    let trigger = turn.trigger();
    run(&pool, &trigger.worker, &trigger.cron.to_string(), time).await
}

/// Runs a trigger on a worker and reports the result.
pub(super) async fn run(pool: &Pool, worker: &str, cron: &str, time: SystemTime) -> Result<(), Failure> {
    let begun = Instant::now();
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    // Times in milliseconds are integers that a double represents exactly.
    let ran = pool.scheduled(worker, cron, since.as_secs_f64() * 1000.0).await;
    let took = begun.elapsed();
    match &ran {
        Ok(()) => tracing::info!(target: "isopod::cron", worker, cron, ?took, "ok"),
        Err(failure) => {
            let (outcome, text) = (
                failure.outcome.as_str(),
                failure.detail.as_ref().unwrap_or(&failure.message),
            );
            tracing::error!(target: "isopod::cron", worker, cron, outcome, ?took, "{text}");
        }
    }
    ran
}
