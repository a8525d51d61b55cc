//! `isopod cron`: lists the cron triggers of a configuration, and runs one by hand.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use isopod::bindings::rate_limit::RateLimitNamespaces;
use isopod::host::bus::Bus;
use isopod::{OwnServers, Pool, ResponseCache};
use serde_json::{Value as Json, json};

use crate::config::{Config, Materials, OpenQueues, Worker};
use crate::output::{print, print_json, table};
use crate::project::ProjectArguments;
use crate::serve::{failure_error, pool_builder};
use crate::{logging, scripts};

/// Time limit for the handler's `waitUntil` promises.
const SHUTDOWN: Duration = Duration::from_secs(30);

/// Arguments of `isopod cron`.
#[derive(Args)]
pub(crate) struct CronArguments {
    #[command(subcommand)]
    command: CronCommand,
}

#[derive(Subcommand)]
enum CronCommand {
    /// List the triggers, with their next times
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        project: ProjectArguments,
    },
    /// Run a worker's `scheduled` handler now, in a process of its own, on the storage of the configuration
    Trigger {
        /// Expression passed to the handler. Default: the worker's first
        cron: Option<String>,
        /// Worker to run; needed if several have triggers
        #[arg(long, value_name = "NAME")]
        worker: Option<String>,
        /// Print an object with the worker, the expression, the scheduled time and the duration as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        project: ProjectArguments,
    },
}

/// Runs `isopod cron`.
pub(crate) fn cron(arguments: CronArguments, environment: &BTreeMap<String, String>) -> Result<ExitCode> {
    match arguments.command {
        CronCommand::List { json, project } => list(&project.read(environment)?, json)?,
        CronCommand::Trigger {
            cron,
            worker,
            json,
            project,
        } => trigger(&project.read(environment)?, worker, cron, json)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(config: &Config, json: bool) -> Result<()> {
    let now = SystemTime::now();
    let workers = config.workers.iter();
    let triggers = workers.flat_map(|(name, worker)| worker.crons.iter().map(move |cron| (name, cron)));
    let next = |next: Option<SystemTime>| next.map(|time| humantime::format_rfc3339_seconds(time).to_string());
    let rows = triggers.map(|(name, cron)| (name.clone(), cron.to_string(), next(cron.next_after(now))));
    let rows: Vec<_> = rows.collect();
    let text = match json {
        true => {
            let shown = |(worker, cron, next): &(String, String, Option<String>)| json!({ "worker": worker, "cron": cron, "next": next });
            return print_json(&rows.iter().map(shown).collect::<Json>());
        }
        false => {
            let mut cells = vec![["worker", "cron", "next"].map(str::to_owned).to_vec()];
            cells.extend(
                rows.into_iter()
                    .map(|(worker, cron, next)| vec![worker, cron, next.unwrap_or_else(|| "never".to_owned())]),
            );
            table(&cells)
        }
    };
    print(text.as_bytes())
}

fn trigger(config: &Config, worker: Option<String>, cron: Option<String>, json: bool) -> Result<()> {
    let (name, worker) = chosen(config, worker.as_deref())?;
    let cron = cron
        .or_else(|| worker.crons.first().map(ToString::to_string))
        .unwrap_or_default();
    logging::install(&config.log);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (at, began) = (SystemTime::now(), Instant::now());
    runtime.block_on(async {
        let pool = pool_builder(config).build()?;
        let ran = run(&pool, config, name, &cron, at).await;
        // Waits for `waitUntil` promises.
        pool.shutdown(SHUTDOWN).await;
        ran
    })?;
    let took = began.elapsed();
    match json {
        true => print_json(&json!({
            "worker": name,
            "cron": cron,
            "scheduledTime": humantime::format_rfc3339_millis(at).to_string(),
            "durationMs": took.as_millis() as u64,
        })),
        false => print(format!("{name}: scheduled({cron:?}) ran in {:.1} s\n", took.as_secs_f64()).as_bytes()),
    }
}

async fn run(pool: &Pool, config: &Config, name: &str, cron: &str, at: SystemTime) -> Result<()> {
    let (bus, queues) = (Bus::new(), OpenQueues::default());
    // All workers are deployed, because the one that runs may call them.
    for (name, worker) in &config.workers {
        let bridge = scripts::bridge(&bus, name, worker)?;
        let from = Materials {
            worker: name,
            pool,
            cache: &ResponseCache::default(),
            bridge: &bridge,
            queues: &queues,
            rate_limits: &RateLimitNamespaces::default(),
        };
        let (script, mut options) = scripts::script(config, name, worker, &from, &OwnServers::default())?;
        options.workers_min = 0;
        pool.deploy(name.as_str(), script, &options)?;
    }
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let ran = pool.scheduled(name, cron, since.as_secs_f64() * 1000.0).await;
    ran.map_err(|failure| failure_error(&failure))
        .with_context(|| format!("the `scheduled` handler of worker {name:?} failed"))
}

/// Returns the worker to run: the one with this name, or the only one with triggers, or the only one.
fn chosen<'a>(config: &'a Config, name: Option<&str>) -> Result<(&'a str, &'a Worker)> {
    let names = || config.workers.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    if let Some(name) = name {
        let found = config.workers.get_key_value(name);
        let (name, worker) =
            found.with_context(|| format!("there is no worker {name:?}; the configuration has {}", names()))?;
        return Ok((name, worker));
    }
    let with_crons: Vec<_> = config
        .workers
        .iter()
        .filter(|(_, worker)| !worker.crons.is_empty())
        .collect();
    let candidates = if with_crons.is_empty() {
        config.workers.iter().collect()
    } else {
        with_crons
    };
    match candidates.as_slice() {
        [(name, worker)] => Ok((name, worker)),
        [] => bail!("the configuration has no worker"),
        _ => bail!("there are several workers: {}; name one with --worker", names()),
    }
}
