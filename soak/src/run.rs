//! Runs a soak from its start to its verdict.

use std::time::Duration;

use anyhow::{Result, bail};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::act::Scene;
use crate::books::{self, Metrics};
use crate::options::Options;
use crate::origin::Origin;
use crate::plan::Plan;
use crate::project::{Project, THREADS};
use crate::report::{Evidence, Report};
use crate::server::{Footprint, Server};
use crate::trend::Trend;
use crate::watch::{Watch, at_rest, back_at, mib};

/// Maximum number of concurrent actions; beyond it, the sequence waits.
const IN_FLIGHT_MAX: usize = 96;
/// Interval between progress reports.
const PROGRESS: Duration = Duration::from_secs(10);
/// Time for the server to become idle and release its resources.
const REST: Duration = Duration::from_secs(20);
const RECOVERY: Duration = Duration::from_secs(30);
/// Time for resources to be released: a worker's I/O runtime lives for a minute without use.
const RELEASE: Duration = Duration::from_secs(60 + 30);
/// Time for each thread to host every worker that keeps resources on it.
const SPREAD: Duration = Duration::from_secs(120);

type Stop = watch::Receiver<bool>;

/// Runs a soak. Ctrl-C ends it early with a verdict; a second one, without.
pub(crate) async fn soak(options: &Options) -> Result<Report> {
    let (stop, stopping) = watch::channel(false);
    let mut interrupts = signal(SignalKind::interrupt())?;
    let interrupted = async {
        interrupts.recv().await;
        eprintln!("ending early; press Ctrl-C again to end without a verdict");
        stop.send_replace(true);
        interrupts.recv().await;
    };
    tokio::select! {
        report = course(options, stopping) => report,
        () = interrupted => bail!("interrupted before there was a verdict"),
    }
}

/// Starts the server, applies the load, and writes the report.
async fn course(options: &Options, stop: Stop) -> Result<Report> {
    eprintln!(
        "soaking {} for {:?}, seed {}",
        options.program.display(),
        options.length,
        options.seed
    );
    let (project, origin) = (Project::new(options.mix.plain, options.cells)?, Origin::bind().await?);
    let mut server = Server::start(&options.program, project.path()).await?;
    let scene = Scene::new(server.address, origin.address, &project);
    let soaked = under_load(options, &server, &origin, &scene, stop).await;
    let evidence = match soaked {
        Ok(evidence) => evidence,
        // If the server has ended, that is a verdict as well.
        Err(error) => match server.ended()? {
            Some(ended) => Evidence::of_end(ended),
            None => return Err(error),
        },
    };
    let stopped = match &evidence.ended {
        Some(_) => None,
        None => server.stop().await?,
    };
    let panics = server.panics();
    Ok(Report::new(
        options,
        evidence,
        &mut scene.tally.borrow_mut(),
        stopped,
        panics,
    ))
}

async fn under_load(
    options: &Options,
    server: &Server,
    origin: &Origin,
    scene: &Scene<'_>,
    stop: Stop,
) -> Result<Evidence> {
    // A sixth of the time with good requests only: the baseline of latencies. It also creates every thread.
    let quiet = (options.length / 6).min(Duration::from_secs(60));
    let load = Load {
        scene,
        server,
        stop,
        watch: Watch::new(),
    };
    beside(origin, server, &load.watch, async {
        load.warm().await?;
        load.run(Plan::of_good(options.seed, options.mix), quiet).await;
        // A thread without a worker holds less than one with a worker: all of them have one when they are counted.
        load.warm().await
    })
    .await??;
    let alone = scene.tally.borrow_mut().take_latencies();
    scene.close_connections();
    let before = at_rest(server, REST).await?;
    let held = server.holdings()?;
    eprintln!("at rest: {}; now the load", shown(&before));

    let load = Load {
        watch: Watch::new(),
        ..load
    };
    let start = Instant::now();
    beside(
        origin,
        server,
        &load.watch,
        load.run(Plan::new(options.seed, options.mix), options.length - quiet),
    )
    .await?;
    let lasted = start.elapsed();

    scene.close_connections();
    let (metrics, quiet_at_last) = settled(server).await?;
    let after = back_at(server, &before, RELEASE).await?;
    let mut disagreements = books::disagreements(&scene.tally.borrow(), &metrics);
    if !quiet_at_last {
        disagreements.insert(
            0,
            format!("events are still under way {RECOVERY:?} after the last request"),
        );
    }
    // The heaps of many workers grow to their own sizes first.
    let warm = (lasted / 3).min(Duration::from_secs(300));
    Ok(Evidence {
        ended: None,
        lasted,
        before: Some(before),
        after: Some(after),
        more: server.holdings()?.more_than(&held),
        threads_max: load.watch.max(|footprint| footprint.threads as u64),
        descriptors_max: load.watch.max(|footprint| footprint.descriptors as u64),
        resident_max: load.watch.max(|footprint| footprint.resident_bytes),
        memory: Trend::of(&load.watch.memory_after(warm)),
        alone,
        disagreements,
        lost: metrics.get("isopod_threads_lost_total"),
        boots: metrics.sum("isopod_boots_total"),
        moves: metrics.get("isopod_http_connection_moves_total"),
        outcomes: outcomes(&metrics),
    })
}

fn outcomes(metrics: &Metrics) -> Vec<(String, u64)> {
    let all = metrics.by_label("isopod_events_total");
    all.into_iter()
        .map(|(outcome, count)| (outcome.to_owned(), count))
        .collect()
}

/// Runs this while serving as the origin and observing the process. If the process ends, that is an error.
async fn beside<T>(origin: &Origin, server: &Server, watch: &Watch, load: impl Future<Output = T>) -> Result<T> {
    tokio::select! {
        done = load => Ok(done),
        () = origin.serve() => bail!("the origin that scripts fetch from has ended"),
        gone = watch.run(server) => Err(gone),
    }
}

/// The metrics once no request is in flight, and whether that was reached.
async fn settled(server: &Server) -> Result<(Metrics, bool)> {
    let start = Instant::now();
    loop {
        let metrics = server.metrics().await?;
        if metrics.is_quiet() || start.elapsed() > RECOVERY {
            return Ok((metrics.clone(), metrics.is_quiet()));
        }
        sleep(Duration::from_millis(100)).await;
    }
}

fn shown(footprint: &Footprint) -> String {
    let Footprint {
        threads,
        descriptors,
        resident_bytes,
    } = footprint;
    format!(
        "{threads} threads, {descriptors} descriptors, {:.0} MiB",
        mib(*resident_bytes)
    )
}

/// A phase of the soak.
struct Load<'a> {
    scene: &'a Scene<'a>,
    server: &'a Server,
    stop: Stop,
    watch: Watch,
}

impl Load<'_> {
    /// Makes every thread hold what workers keep on it: a database connection has its own threads and descriptors.
    async fn warm(&self) -> Result<()> {
        let start = Instant::now();
        loop {
            self.scene.spread(THREADS).await.map_err(anyhow::Error::msg)?;
            let workers = self
                .server
                .metrics()
                .await?
                .by_label("isopod_workers")
                .get("sql")
                .copied();
            if workers >= Some(THREADS as u64) {
                return Ok(());
            }
            if start.elapsed() > SPREAD {
                bail!("after {SPREAD:?} there is not a worker on each of {THREADS} threads, but on {workers:?}");
            }
        }
    }

    /// Runs the planned actions until the time is over or interrupted, then waits for those in progress.
    async fn run(&self, mut plan: Plan, length: Duration) {
        let mut stop = self.stop.clone();
        let start = Instant::now();
        let end = start + length;
        let mut told = start + PROGRESS;
        let mut under_way = FuturesUnordered::new();
        let mut next = plan.next();
        let mut due = start;
        while let Some(step) = next {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                () = sleep_until(end) => break,
                () = sleep_until(told) => {
                    told += PROGRESS;
                    self.tell(start.elapsed(), under_way.len());
                }
                Some(()) = under_way.next(), if !under_way.is_empty() => {}
                () = sleep_until(due), if under_way.len() < IN_FLIGHT_MAX => {
                    under_way.push(self.scene.perform(step));
                    next = plan.next();
                    // Delays are not made up for, which would cause a burst.
                    due = Instant::now() + next.map_or(Duration::ZERO, |step| step.gap);
                }
            }
        }
        while under_way.next().await.is_some() {}
    }

    fn tell(&self, elapsed: Duration, under_way: usize) {
        let tally = self.scene.tally.borrow();
        let footprint = self.watch.last().as_ref().map(shown).unwrap_or_default();
        eprintln!(
            "{:>3}:{:02}  {} answered, {under_way} under way, {} faults; {footprint}",
            elapsed.as_secs() / 60,
            elapsed.as_secs() % 60,
            tally.answers(),
            tally.faults,
        );
    }
}
