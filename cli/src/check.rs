//! `isopod check`: starts every worker of a configuration once and reports errors.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use isopod_host::bus::Bus;
use isopod_pool::js::Pool;
use isopod_pool::js::fetch::OwnServers;

use crate::config::{self, Config, Overrides, Weight};
use crate::serve::{Source, pool_builder, told};
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
    path: &Path,
    overrides: Overrides,
    environment: &BTreeMap<String, String>,
    expect: Expect,
    format: Format,
) -> Result<ExitCode> {
    let config = Source::find(path, overrides, environment)?.read()?;
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
        pool.shutdown(Duration::from_secs(1)).await;
        anyhow::Ok(results)
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

async fn start(pool: &Pool, config: &Config, name: &str, worker: &config::Worker, expect: Expect) -> Result<()> {
    // It is nobody's: what top-level code publishes reaches no other worker.
    let bus = Bus::new();
    let bridge = scripts::bridge(&bus, name, worker)?;
    let (script, options) = match expect {
        Expect::Handlers => scripts::inspected(config, name, worker, &bridge)?,
        Expect::Nothing => scripts::script(config, name, worker, &bridge, &OwnServers::default())?,
    };
    pool.deploy(name, script, &options)?;
    pool.warm(name).await.map_err(|failure| told(&failure))?;
    if expect == Expect::Handlers {
        let found = inspector::ask(pool, name).await.map_err(|failure| told(&failure))?;
        if let Some(problem) = found.problem() {
            bail!(problem);
        }
    }
    Ok(())
}
