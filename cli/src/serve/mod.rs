//! `isopod serve`: runs a host with a pool and a server.
//!
//! The host's modules in order: `events` logs the bus; `servers` looks at the servers of bindings; `admin` answers probes, before all others start and until all have
//! stopped; `pool` has the threads, and `deployments` the workers; `ingress` accepts requests; `scheduler` fires cron
//! triggers; `queues` gives messages to their consumers; `objects` keeps Durable Objects; `watch` deploys changes, also on SIGHUP. They find each other's
//! clients in the hub. `life` is the shared lifecycle state.

mod admin;
mod banner;
mod changes;
mod deploy;
mod deployments;
mod dispatch;
mod events;
mod http;
mod ingress;
mod life;
mod memory;
mod objects;
mod pool;
mod queues;
mod sandbox;
mod scheduler;
mod servers;
mod signals;
mod sites;
mod source;
mod watch;

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use isopod::OwnServers;
use isopod::host::{Host, HostError, ModuleError, Phase, Reason, Shutdown};
use isopod_runtime::run_in_short_slices;

use self::admin::Admin;
pub(crate) use self::changes::{Changes, Interest};
use self::deploy::{Deploy, Mistake};
pub(crate) use self::deployments::failure_error;
use self::events::{EventLink, EventLog};
use self::ingress::Ingress;
use self::life::Life;
use self::memory::Returns;
use self::objects::ObjectKeeper;
pub(crate) use self::pool::pool_builder;
use self::queues::Queues;
use self::scheduler::Scheduler;
use self::servers::{Lookout, START_WAIT};
use self::sites::Sites;
pub(crate) use self::source::{Environment, Source};
use self::watch::Watch;
use crate::config::{Config, OpenQueues, OsScheduling, Overrides, Weight};
use crate::logging;

/// Exit code after a second Ctrl-C, as in shells.
const INTERRUPTED: u8 = 130;

/// Extra time for the modules' own work in a phase.
const SLACK: Duration = Duration::from_secs(5);

/// Extra time for a worker's start besides its own limit: it may have to wait for a thread.
const BOOT_SLACK: Duration = Duration::from_secs(10);

/// Serves until a signal stops it.
pub(crate) fn serve(
    paths: &[PathBuf],
    overrides: Overrides,
    environment: &Environment,
    watch: bool,
) -> Result<ExitCode> {
    let source = Source::find(paths, overrides, environment)?;
    let config = Arc::new(source.read()?);
    if config.pool.os_scheduling == OsScheduling::Tuned {
        // Set for this thread, and inherited by all threads of the server.
        run_in_short_slices();
    }
    let _written = logging::install_beside(&config.log);
    for note in &config.notes {
        match note.weight {
            Weight::Warning => tracing::warn!(target: "isopod", "{note}"),
            Weight::Detail => tracing::debug!(target: "isopod", "{note}"),
        }
    }
    let life = Arc::new(Life::new(config.shutdown.deadline));
    run(host(source, &config, &life, watch)?, &life)
}

fn host(source: Source, config: &Arc<Config>, life: &Arc<Life>, watch: bool) -> Result<Host> {
    let server = http::server_config(config)?;
    let sites = Sites::default();
    let mistake = if watch { Mistake::Shown } else { Mistake::Fatal };
    let mut host = Host::builder()
        .shutdown(Shutdown::signals())
        .limit(Phase::Start, start_limit(config))
        .limit(Phase::Drain, life.deadline().saturating_add(SLACK))
        .module(EventLog)
        // Before those that use the servers.
        .module(Lookout::new(Arc::clone(config), mistake == Mistake::Fatal))
        .module(EventLink::new(config.events.clone()));
    // Before the pool, on which it does not depend for its order: it is there first, and goes last.
    if let Some((address, access)) = http::admin(config)? {
        host = host.module(Admin::new(address, access, Arc::clone(life)));
    }
    let servers = OwnServers::new(key()?);
    let returns = Returns::start()?;
    let queues = Arc::<OpenQueues>::default();
    host = host
        .module(pool::module(config, life, returns.observer()))
        .module(Deploy::new(
            Arc::clone(config),
            mistake,
            servers.clone(),
            sites.clone(),
            Arc::clone(&queues),
            Arc::clone(life),
            returns,
        ))
        .module(Ingress::new(server, servers, sites, Arc::clone(life)))
        .module(Scheduler::new(Arc::clone(config)))
        .module(ObjectKeeper::default())
        .module(Queues::new(queues, Arc::clone(life)));
    Ok(host.module(Watch::new(source, Arc::clone(config), watch)).build()?)
}

/// Generates a secret key of the process.
fn key() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("cannot get random bytes: {error}"))?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}

/// Returns the time limit for starting all workers: they start one after the other, each with its own limit.
fn start_limit(config: &Config) -> Duration {
    let workers = config.workers.values();
    workers.fold(SLACK.saturating_add(START_WAIT), |sum, worker| {
        sum.saturating_add(worker.limits.boot).saturating_add(BOOT_SLACK)
    })
}

fn run(host: Host, life: &Life) -> Result<ExitCode> {
    let running = match host.start_blocking() {
        Ok(running) => running,
        Err(HostError::Stopped { report }) => {
            logging::tell(format_args!("stopped before ready: {}", report.cause));
            return Ok(ExitCode::SUCCESS);
        }
        Err(error) => return Err(why(error)),
    };
    let handle = running.handle();
    futures::executor::block_on(handle.stopping());
    logging::tell(format_args!(
        "finishing accepted requests (at most {:?}); press Ctrl-C again to exit now",
        life.deadline()
    ));
    let ended = running.wait_blocking();
    if handle.is_cut() {
        logging::tell("cut");
        return Ok(ExitCode::from(INTERRUPTED));
    }
    let report = ended.map_err(why)?;
    tracing::debug!(target: "isopod", "{report}");
    logging::tell(life.summary());
    Ok(ExitCode::SUCCESS)
}

/// Returns the error to show to the user: on startup the module's own error, which already describes the configuration or
/// script.
fn why(error: HostError) -> anyhow::Error {
    match error {
        HostError::Module { failure, .. }
            if Phase::UP.contains(&failure.phase) && matches!(failure.reason, Reason::Error(_)) =>
        {
            Refused(failure).into()
        }
        error => error.into(),
    }
}

/// A module's error without context.
#[derive(Debug)]
struct Refused(Arc<ModuleError>);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.reason.fmt(f)
    }
}

impl Error for Refused {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // The source is skipped, because it is what is displayed.
        self.0.source().and_then(Error::source)
    }
}
