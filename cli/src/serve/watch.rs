//! Host module that deploys the configuration again when files change (if enabled) and on SIGHUP.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use isopod::host::{Context, HostHandle, Module, PhaseResult, async_trait};
use isopod::server::ServerHandle;
use tokio::sync::Mutex;

use super::changes::{Burst, Changes, Interest, real};
use super::deployments::{Deployments, Mistakes, Scope};
use super::ingress::Ingress;
use super::scheduler::{Scheduler, Triggers};
use super::signals::{Hangup, Signals};
use super::{Source, http};
use crate::config::{Assets, Config};
use crate::logging;

pub(super) struct Watch {
    source: Arc<Source>,
    first: Arc<Config>,
    watches_files: bool,
    changes: Option<Changes>,
    signals: Option<Signals>,
}

impl Watch {
    pub(super) fn new(source: Source, first: Arc<Config>, watches_files: bool) -> Self {
        Self {
            source: Arc::new(source),
            first,
            watches_files,
            changes: None,
            signals: None,
        }
    }
}

#[async_trait]
impl Module for Watch {
    fn name(&self) -> &str {
        "watch"
    }

    fn depends_on(&self) -> Vec<String> {
        vec![Ingress::NAME.to_owned(), Scheduler::NAME.to_owned()]
    }

    /// Starts watching early, so that changes during startup are not missed.
    async fn build(&mut self, _ctx: &Context) -> PhaseResult {
        self.signals = Some(Signals::listen()?);
        if self.watches_files {
            let mut changes = Changes::below(&self.first.root)?;
            changes.follow(Interest {
                files: files_of(&self.first),
                is_broken: true,
            });
            self.changes = Some(changes);
        }
        Ok(())
    }

    async fn ready(&mut self, ctx: &Context) -> PhaseResult {
        let Some(signals) = self.signals.take() else {
            return Ok(());
        };
        let causes = Causes {
            changes: self.changes.take(),
            signals,
            host: ctx.host().clone(),
        };
        let follower = Follower {
            source: Arc::clone(&self.source),
            first: Arc::clone(&self.first),
            deployments: ctx.hub().get::<Mutex<Deployments>>()?,
            server: ctx.hub().get::<ServerHandle>()?,
            triggers: ctx.hub().get::<Triggers>()?,
        };
        let host = ctx.host().clone();
        ctx.service(async move {
            tokio::select! {
                () = follower.follow(causes) => {}
                // Later changes apply to the next start.
                () = host.stopping() => {}
            }
            Ok(())
        });
        Ok(())
    }
}

/// Causes for reading the configuration again.
struct Causes {
    changes: Option<Changes>,
    signals: Signals,
    host: HostHandle,
}

/// Cause for reading the configuration again.
enum Cause {
    Changed(Burst),
    Hangup,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed(burst) => write!(f, "{} changed", burst.last.display()),
            Self::Hangup => f.write_str("SIGHUP came"),
        }
    }
}

impl Causes {
    /// Waits for the next cause; `None` if there will be no more.
    async fn next(&mut self) -> Option<Cause> {
        let Self { changes, signals, host } = self;
        let changed = async {
            match changes {
                Some(changes) => changes.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            burst = changed => burst.map(Cause::Changed),
            hangup = signals.hangup() => match hangup {
                Hangup::Reload => Some(Cause::Hangup),
                Hangup::Stop => {
                    host.stop();
                    None
                }
            },
        }
    }
}

struct Follower {
    source: Arc<Source>,
    first: Arc<Config>,
    deployments: Arc<Mutex<Deployments>>,
    server: Arc<ServerHandle>,
    triggers: Arc<Triggers>,
}

impl Follower {
    /// Redeploys on every cause. A configuration that cannot be read changes nothing until it is fixed.
    async fn follow(self, mut causes: Causes) {
        let mut files = self.files(&self.first).await;
        let mut is_broken = self.deployments.lock().await.is_broken();
        loop {
            // Modules that are imported later are in the set only after the next deployment; until then, changes of
            // the files that import them count.
            if let Some(changes) = &mut causes.changes {
                changes.follow(Interest {
                    files: files.clone(),
                    is_broken,
                });
            }
            let Some(cause) = causes.next().await else { return };
            let config = match self.source.read() {
                Ok(config) => Arc::new(config),
                Err(error) => {
                    logging::tell(format_args!("{error:#}"));
                    is_broken = true;
                    continue;
                }
            };
            if matches!(cause, Cause::Hangup) && !self.can_start(&config).await {
                continue;
            }
            let applied = self.apply(&config, &cause).await;
            is_broken = applied.as_ref().map_or(true, |mistakes| !mistakes.is_empty());
            match applied {
                Ok(mistakes) if mistakes.is_empty() => {
                    logging::tell(format_args!("deployed again: {cause}"));
                }
                Ok(mistakes) => eprint!("{mistakes}"),
                Err(error) => logging::tell(format_args!("{error:#}")),
            }
            // Files of the earlier version stay in the set: the mistake may be in one of them.
            let read = self.files(&config).await;
            files = if is_broken { &files | &read } else { read };
            let fixed = fixed_settings(&self.first, &config);
            if !fixed.is_empty() {
                logging::tell(format_args!(
                    "changed, takes effect at the next start: {}",
                    fixed.join(", ")
                ));
            }
        }
    }

    /// Returns the files that a configuration and its workers were read from.
    async fn files(&self, config: &Config) -> BTreeSet<PathBuf> {
        let mut files = files_of(config);
        files.extend(self.deployments.lock().await.files());
        files
    }

    /// Checks that every worker can start: in production a working version is not replaced by a broken one.
    async fn can_start(&self, config: &Config) -> bool {
        let mistakes = self.deployments.lock().await.rehearse(config).await;
        if !mistakes.is_empty() {
            logging::tell(format_args!(
                "{mistakes}nothing was deployed; the previous version keeps serving"
            ));
        }
        mistakes.is_empty()
    }

    /// Applies a configuration: deploys new workers, then routes, then removes workers without routes, so that no request
    /// reaches a missing worker.
    async fn apply(&self, config: &Arc<Config>, cause: &Cause) -> anyhow::Result<Mistakes> {
        self.server.reload_certificates()?;
        let routes = http::routes(config)?;
        let mut deployments = self.deployments.lock().await;
        let scope = match cause {
            Cause::Changed(burst) => deployments.scope(burst, config, &shared(config)),
            Cause::Hangup => Scope::All,
        };
        let mistakes = deployments.deploy(config, &scope).await;
        self.server.set_routes(routes);
        self.triggers.send_replace(Arc::clone(config));
        deployments.retire_all_but(config);
        Ok(mistakes)
    }
}

/// Returns the files that a configuration was read from or names.
fn files_of(config: &Config) -> BTreeSet<PathBuf> {
    let mut files = named_by(config);
    files.extend(config.workers.values().map(|worker| worker.main.clone()));
    files
}

/// Returns the files whose changes concern all workers, as they are reported.
fn shared(config: &Config) -> BTreeSet<PathBuf> {
    named_by(config).iter().map(|file| real(file)).collect()
}

/// Returns the files that a configuration was read from or names, except the workers' own.
fn named_by(config: &Config) -> BTreeSet<PathBuf> {
    let mut files: BTreeSet<PathBuf> = config.files.iter().cloned().collect();
    files.extend(config.workers.values().filter_map(|worker| worker.import_map.clone()));
    let of_workers = config.workers.values().filter_map(|worker| worker.assets.as_ref());
    files.extend(config.assets.iter().chain(of_workers).flat_map(Assets::rules));
    files
}

/// Returns the changed settings that only take effect at the next start.
fn fixed_settings(now: &Config, new: &Config) -> Vec<&'static str> {
    [
        ("threads", now.threads != new.threads),
        ("listen", now.listen != new.listen),
        ("tls", now.tls != new.tls),
        ("admin", now.admin != new.admin),
        ("mode", now.mode != new.mode),
        ("log", now.log != new.log),
        ("pool", now.pool != new.pool),
        ("ingress", now.ingress != new.ingress),
        ("shutdown", now.shutdown != new.shutdown),
    ]
    .into_iter()
    .filter_map(|(key, differs)| differs.then_some(key))
    .collect()
}
