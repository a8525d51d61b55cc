//! What is deployed, and how it follows the configuration.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context, Result};
use isopod_pool::Failure;
use isopod_pool::js::Pool;
use isopod_server::Running;

use super::watch::Changes;
use super::{Source, http};
use crate::config::{self, Config};
use crate::scripts;

/// The workers of a configuration in a pool.
pub(super) struct Site {
    pool: Pool,
    deployed: BTreeSet<String>,
}

/// What kept workers from starting, each with its worker's name.
#[derive(Default)]
pub(super) struct Mistakes(Vec<anyhow::Error>);

impl Mistakes {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_error(self) -> anyhow::Error {
        anyhow::anyhow!("{}", self.to_string().trim_end())
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|error| writeln!(f, "{error:#}"))
    }
}

impl Site {
    pub(super) fn new(pool: Pool) -> Self {
        Self {
            pool,
            deployed: BTreeSet::new(),
        }
    }

    /// Deploys every worker, and waits until each has started once or failed to. One that cannot start answers with its
    /// error; it does not keep the others from being deployed.
    pub(super) async fn deploy(&mut self, config: &Config) -> Mistakes {
        let mut mistakes = Mistakes::default();
        for (name, worker) in &config.workers {
            let started = start(&self.pool, config, name, worker).await;
            if let Err(error) = started.with_context(|| format!("worker {name:?} cannot start")) {
                mistakes.0.push(error);
            }
            self.deployed.insert(name.clone());
        }
        mistakes
    }

    /// Deploys anew whenever files change, until there is nothing more to watch. A configuration that cannot be read
    /// changes nothing until it is mended.
    pub(super) async fn follow(&mut self, mut changes: Changes, source: &Source<'_>, first: &Config, server: &Running) {
        while let Some(path) = changes.next().await {
            let config = match source.read() {
                Ok(config) => config,
                Err(error) => {
                    eprintln!("{error:#}");
                    continue;
                }
            };
            match self.apply(&config, server).await {
                Ok(mistakes) if mistakes.is_empty() => eprintln!("deployed anew: {} changed", path.display()),
                Ok(mistakes) => eprint!("{mistakes}"),
                Err(error) => eprintln!("{error:#}"),
            }
            let fixed = fixed_settings(first, &config);
            if !fixed.is_empty() {
                eprintln!("changed, and taken up by the next start only: {}", fixed.join(", "));
            }
        }
    }

    /// First what is new, then the routes to it, then what no route leads to any more: no request meets a worker that is
    /// not there.
    async fn apply(&mut self, config: &Config, server: &Running) -> Result<Mistakes> {
        let mistakes = self.deploy(config).await;
        server.set_routes(http::routes(config)?);
        for gone in self.deployed.extract_if(.., |name| !config.workers.contains_key(name)) {
            self.pool.undeploy(&gone);
            eprintln!("worker {gone:?} is no longer configured: its requests under way finish");
        }
        Ok(mistakes)
    }
}

/// Deploys one worker, and waits until it has started once.
async fn start(pool: &Pool, config: &Config, name: &str, worker: &config::Worker) -> Result<()> {
    let (script, options) = scripts::script(config, name, worker)?;
    pool.deploy(name, script, &options)?;
    pool.warm(name).await.map_err(|failure| told(&failure))
}

/// A failure as the terminal shows it: with the code frame where there is one.
pub(crate) fn told(failure: &Failure) -> anyhow::Error {
    anyhow::anyhow!("{}", failure.detail.as_ref().unwrap_or(&failure.message))
}

/// The settings that differ and that a running process cannot take up.
fn fixed_settings(now: &Config, new: &Config) -> Vec<&'static str> {
    [
        ("threads", now.threads != new.threads),
        ("listen", now.listen != new.listen),
        ("tls", now.tls != new.tls),
        ("admin", now.admin != new.admin),
        ("mode", now.mode != new.mode),
        ("log", now.log != new.log),
        ("ingress", now.ingress != new.ingress),
        ("shutdown", now.shutdown != new.shutdown),
    ]
    .into_iter()
    .filter_map(|(key, differs)| differs.then_some(key))
    .collect()
}
