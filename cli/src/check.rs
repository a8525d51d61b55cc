//! `isopod check`: starts every worker of a configuration once and reports errors.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use isopod::bindings::rate_limit::RateLimitNamespaces;
use isopod::host::bus::Bus;
use isopod::{OwnServers, Pool, ResponseCache};

use crate::config::{self, Config, Materials, OpenQueues, Overrides, Weight};
use crate::inspector::Found;
use crate::serve::{Source, failure_error, pool_builder};
use crate::{inspector, logging, scripts};

/// Requirement on a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// A handler, for a worker that is served.
    Handlers,
    /// No handler, for a script that is run by `isopod run`.
    Nothing,
}

/// Output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
}

/// Starts every worker once and prints errors.
pub(crate) fn check(
    paths: &[PathBuf],
    overrides: Overrides,
    environment: &BTreeMap<String, String>,
    expect: Expect,
    format: Format,
) -> Result<ExitCode> {
    let config = Source::find(paths, overrides, environment)?.read()?;
    logging::install(&config::Log {
        level: config::LogLevel::Warn,
        ..config.log.clone()
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let results = runtime.block_on(async {
        let pool = pool_builder(&config).build()?;
        let mut results = BTreeMap::new();
        for (name, worker) in &config.workers {
            results.insert(name.as_str(), start(&pool, &config, name, worker, expect).await);
        }
        check_entry_points(&config, &mut results);
        pool.shutdown(Duration::from_secs(1)).await;
        let started = results.into_iter().map(|(name, result)| (name, result.map(drop)));
        anyhow::Ok(started.collect::<BTreeMap<_, Result<()>>>())
    })?;
    match format {
        Format::Text => {
            let notes = config.notes.iter().filter(|note| note.weight == Weight::Warning);
            notes.for_each(|note| eprintln!("note: {note}"));
            for (name, result) in &results {
                match result {
                    Ok(()) => println!("{name}: ok"),
                    Err(error) => println!("{name}: {error:#}"),
                }
            }
        }
        Format::Json => {
            let shown: serde_json::Value = results
                .iter()
                .map(|(name, result)| {
                    let error = result.as_ref().err().map(|error| format!("{error:#}"));
                    (
                        (*name).to_owned(),
                        serde_json::json!({ "ok": error.is_none(), "error": error }),
                    )
                })
                .collect();
            println!("{shown:#}");
        }
    }
    let failed = results.values().any(Result::is_err);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Reports service bindings whose entry point their worker does not export, where that is known.
fn check_entry_points(config: &Config, results: &mut BTreeMap<&str, Result<Option<Found>>>) {
    for (name, worker) in &config.workers {
        for service in worker.bindings.iter().filter_map(|bound| bound.binding.service()) {
            let found = results.get(service.service.as_str());
            let found = found.and_then(|result| result.as_ref().ok()?.as_ref());
            let Some(problem) = found.and_then(|found| service.problem(found.exports())) else {
                continue;
            };
            if let Some(result) = results.get_mut(name.as_str()).filter(|result| result.is_ok()) {
                *result = Err(anyhow!(problem));
            }
        }
    }
}

/// Starts a worker. Returns its exports, if they were asked for.
async fn start(
    pool: &Pool,
    config: &Config,
    name: &str,
    worker: &config::Worker,
    expect: Expect,
) -> Result<Option<Found>> {
    // A bus without subscribers: messages that top-level code publishes reach no other worker.
    let bus = Bus::new();
    let bridge = scripts::bridge(&bus, name, worker)?;
    // Nothing is sent, so the queues' files are not opened.
    let queues = OpenQueues::default();
    let from = Materials {
        worker: name,
        pool,
        cache: &ResponseCache::default(),
        bridge: &bridge,
        queues: &queues,
        rate_limits: &RateLimitNamespaces::default(),
    };
    let (script, options) = match expect {
        Expect::Handlers => scripts::inspected(config, name, worker, &from)?,
        Expect::Nothing => scripts::script(config, name, worker, &from, &OwnServers::default())?,
    };
    pool.deploy(name, script, &options)?;
    pool.warm(name).await.map_err(|failure| failure_error(&failure))?;
    if expect == Expect::Nothing {
        return Ok(None);
    }
    let found = inspector::ask(pool, name)
        .await
        .map_err(|failure| failure_error(&failure))?;
    match found.problem() {
        Some(problem) => bail!(problem),
        None => Ok(Some(found)),
    }
}
