//! Host module that checks the servers of bindings: PostgreSQL, NATS, S3.
//!
//! The same rule applies to all of them: a server that refuses at the start (credentials, version) ends the start, and one that does
//! not answer is retried. Meanwhile `/readyz` names it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use isopod::host::{CancellationToken, Context, Module, PhaseResult, async_trait};
use isopod::server::{Metric, MetricKind};
use isopod::storage::StorageError;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::scheduler::Triggers;
use crate::config::{Config, Shown as _, UsedServer};

/// Time that the start waits for an answer.
pub(super) const START_WAIT: Duration = Duration::from_secs(3);
/// Time between two attempts to reach a server.
const AGAIN: Duration = Duration::from_secs(1);
/// Time between two looks at a server that answers.
const LOOK: Duration = Duration::from_secs(5);

/// The servers of the configuration, as they are known. A client of the hub.
#[derive(Debug, Default)]
pub(super) struct Servers(Mutex<Vec<Known>>);

#[derive(Clone, Debug)]
struct Known {
    used: UsedServer,
    contact: Contact,
}

/// The contact with a server, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Contact {
    /// It has not answered yet.
    None(String),
    Reached,
    /// It does not answer any more.
    Lost(String),
}

impl Contact {
    /// The contact after another attempt.
    fn after(&self, error: Option<String>) -> Self {
        match (self, error) {
            (_, None) => Self::Reached,
            (Self::None(_), Some(error)) => Self::None(error),
            (Self::Reached | Self::Lost(_), Some(error)) => Self::Lost(error),
        }
    }

    fn error(&self) -> Option<&str> {
        match self {
            Self::Reached => None,
            Self::None(error) | Self::Lost(error) => Some(error),
        }
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.used.server.url(), self.used.uses.join(", "))
    }
}

impl Servers {
    /// Sets the servers, of which those that were known before stay known.
    fn follow(&self, config: &Config) -> Vec<UsedServer> {
        let servers = config.servers();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::take(&mut *all);
        *all = servers
            .iter()
            .map(|used| {
                let same = before.iter().find(|known| known.used.server == used.server);
                let contact = same.map(|known| known.contact.clone());
                Known {
                    used: used.clone(),
                    contact: contact.unwrap_or_else(|| Contact::None("it was not asked yet".to_owned())),
                }
            })
            .collect();
        servers
    }

    /// Notes the result of an attempt, and logs a change.
    fn note(&self, used: &UsedServer, error: Option<&StorageError>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = all.iter_mut().find(|known| known.used.server == used.server) else {
            return;
        };
        let after = known.contact.after(error.map(ToString::to_string));
        match (&known.contact, &after) {
            (before, after) if before == after => {}
            (_, Contact::Reached) => tracing::info!(target: "isopod::storage", "{known} is reached"),
            (Contact::Lost(_), Contact::Lost(_)) => {}
            (_, Contact::None(error) | Contact::Lost(error)) => {
                tracing::warn!(target: "isopod::storage", "{known} is not reached and will be tried again: {error}");
            }
        }
        known.contact = after;
    }

    /// The reason why the process is not ready: a server that it has never reached. One that is lost later is lost for all processes,
    /// and is no reason to prefer another.
    pub(super) fn missing(&self) -> Option<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = all.iter().find(|known| matches!(known.contact, Contact::None(_)));
        missing.map(|known| format!("{known} is not reached"))
    }

    /// Lines for `/readyz`: the servers that do not answer.
    pub(super) fn details(&self) -> Vec<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let without = all.iter().filter_map(|known| Some((known, known.contact.error()?)));
        without
            .map(|(known, error)| format!("storage: {known} is not reached: {error}"))
            .collect()
    }

    /// A gauge for each server.
    pub(super) fn metric(&self) -> Option<Metric> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.is_empty() {
            return None;
        }
        let metric = Metric::new(
            "isopod_storage_reached",
            "Whether a server of bindings answers",
            MetricKind::Gauge,
        );
        Some(all.iter().fold(metric, |metric, known| {
            let value = if known.contact == Contact::Reached { 1.0 } else { 0.0 };
            metric.labelled("server", known.used.server.url(), value)
        }))
    }
}

/// Looks at the servers from the start on.
pub(super) struct Lookout {
    config: Arc<Config>,
    /// A server that refuses ends the start.
    is_strict: bool,
    servers: Arc<Servers>,
    stop: CancellationToken,
}

impl Lookout {
    pub(super) const NAME: &'static str = "servers";

    pub(super) fn new(config: Arc<Config>, is_strict: bool) -> Self {
        Self {
            config,
            is_strict,
            servers: Arc::default(),
            stop: CancellationToken::new(),
        }
    }
}

#[async_trait]
impl Module for Lookout {
    fn name(&self) -> &str {
        Self::NAME
    }

    async fn build(&mut self, ctx: &Context) -> PhaseResult {
        ctx.hub().register(Arc::clone(&self.servers))?;
        Ok(())
    }

    async fn start(&mut self, ctx: &Context) -> PhaseResult {
        let all = self.servers.follow(&self.config);
        let asked = all.iter().map(|used| async {
            // An attempt goes on if it is not waited for, and the next one joins it.
            let reached = tokio::time::timeout(START_WAIT, used.server.reach()).await;
            let late = || StorageError::Unreachable(format!("no answer within {START_WAIT:?}"));
            let error = reached.unwrap_or_else(|_| Err(late())).err();
            self.servers.note(used, error.as_ref());
            error.filter(|error| !matches!(error, StorageError::Unreachable(_)))
        });
        let refused = tokio::select! {
            refused = join_all(asked) => refused,
            () = ctx.host().stopping() => return Ok(()),
        };
        let refused = all.iter().zip(refused).filter_map(|(used, error)| Some((used, error?)));
        for (used, error) in refused {
            let uses = used.uses.join(", ");
            let told =
                format!("{error}; used for: {uses}. Correct the URL or its credentials, or what the server permits");
            if self.is_strict {
                return Err(told.into());
            }
            tracing::error!(target: "isopod::storage", "{told}");
        }
        Ok(())
    }

    async fn ready(&mut self, ctx: &Context) -> PhaseResult {
        let config = ctx.hub().get::<Triggers>()?.subscribe();
        let (servers, stop) = (Arc::clone(&self.servers), self.stop.clone());
        ctx.service(async move {
            stop.run_until_cancelled(look_on(config, servers)).await;
            Ok(())
        });
        Ok(())
    }

    async fn drain(&mut self, _ctx: &Context) -> PhaseResult {
        self.stop.cancel();
        Ok(())
    }
}

/// Looks at the servers of the configuration until it is dropped.
async fn look_on(mut config: watch::Receiver<Arc<Config>>, servers: Arc<Servers>) {
    loop {
        let now = Arc::clone(&config.borrow_and_update());
        let mut looks = JoinSet::new();
        for used in servers.follow(&now) {
            let servers = Arc::clone(&servers);
            looks.spawn(async move {
                loop {
                    let error = used.server.reach().await.err();
                    servers.note(&used, error.as_ref());
                    tokio::time::sleep(if error.is_none() { LOOK } else { AGAIN }).await;
                }
            });
        }
        if config.changed().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_was_reached_once_is_lost_and_not_missing() {
        let why = || Some("refused".to_owned());
        let never = Contact::None(String::new()).after(why());
        assert_eq!(never, Contact::None("refused".to_owned()));
        let reached = never.after(None);
        assert_eq!(reached, Contact::Reached);
        let lost = reached.after(why());
        assert_eq!(lost, Contact::Lost("refused".to_owned()));
        assert_eq!(lost.after(why()), lost);
        assert_eq!(lost.after(None), Contact::Reached);
    }
}
