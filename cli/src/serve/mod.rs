//! `isopod serve`: a configuration becomes a pool with scripts in it, and a server in front.

mod boot_failures;
mod dispatch;
mod http;
mod site;
mod watch;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use isopod_pool::js::{Pool, PoolBuilder};
use isopod_server::{Address, Server};

use self::boot_failures::BootFailures;
use self::dispatch::Workers;
use self::site::Site;
pub(crate) use self::site::told;
use crate::config::{self, Config, Located, Overrides};
use crate::logging;

type Environment = BTreeMap<String, String>;

/// Exit code of a process that was ended by a second Ctrl-C, as shells count it.
const INTERRUPTED: u8 = 130;

/// What the configuration is read with, each time.
pub(crate) struct Source<'a> {
    located: Located,
    overrides: Overrides,
    environment: &'a Environment,
}

impl<'a> Source<'a> {
    pub(crate) fn find(path: &Path, overrides: Overrides, environment: &'a Environment) -> Result<Self> {
        let located = config::discover(path)?;
        let overrides = overrides.or(Overrides::from_environment(environment)?);
        Ok(Self {
            located,
            overrides,
            environment,
        })
    }

    pub(crate) fn read(&self) -> Result<Config> {
        Ok(config::load(&self.located, &self.overrides, self.environment)?)
    }
}

/// Serves until a signal says to stop.
pub(crate) fn serve(path: &Path, overrides: Overrides, environment: &Environment, watch: bool) -> Result<ExitCode> {
    let source = Source::find(path, overrides, environment)?;
    let config = source.read()?;
    logging::install(&config.log);
    config
        .notes
        .iter()
        .for_each(|note| tracing::warn!(target: "isopod", "{note}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let boot_failures = BootFailures::default();
        let pool = boot_failures.learn_from(pool_builder(&config)).build()?;
        let mut site = Site::new(pool.clone());
        let mistakes = site.deploy(&config).await;
        // In development a mistake is about to be mended: the page shows it, and a change deploys anew.
        if !watch && !mistakes.is_empty() {
            pool.shutdown(Duration::ZERO).await;
            return Err(mistakes.into_error());
        }
        eprint!("{mistakes}");
        let workers = Workers {
            pool: pool.clone(),
            boot_failures,
        };
        let server = Server::new(http::server_config(&config)?, workers).start()?;
        for address in server.local_addrs() {
            announce(address, config.tls.is_some());
        }
        if let Some(admin) = server.admin_addr() {
            eprintln!("admin on http://{admin} (/healthz /readyz /metrics /stats)");
        }
        let mut signals = Signals::listen()?;
        if watch {
            let changes = watch::Changes::of(&config.root)?;
            tokio::select! {
                () = site.follow(changes, &source, &config, &server) => {}
                () = signals.next() => {}
            }
        } else {
            signals.next().await;
        }
        eprintln!(
            "finishing accepted requests (at most {:?}); press Ctrl-C again to cut",
            config.shutdown.deadline
        );
        let finish = async {
            let server = server.shutdown(config.shutdown.deadline).await;
            let pool = pool.shutdown(Duration::from_secs(1)).await;
            (server, pool)
        };
        tokio::select! {
            (server, pool) = finish => {
                eprintln!(
                    "stopped: {} requests under way finished, {} cut; {} threads joined",
                    server.finished, server.cut, pool.threads_joined
                );
                Ok(ExitCode::SUCCESS)
            }
            () = signals.next() => {
                eprintln!("cut");
                Ok(ExitCode::from(INTERRUPTED))
            }
        }
    })
}

pub(crate) fn pool_builder(config: &Config) -> PoolBuilder {
    let builder = Pool::builder();
    match config.threads {
        Some(threads) => builder.threads(threads),
        None => builder,
    }
}

fn announce(address: &Address, tls: bool) {
    let scheme = if tls { "https" } else { "http" };
    let text = match address {
        Address::Tcp(address) => format!("{scheme}://{address}"),
        Address::Unix(path) => format!("unix:{}", path.display()),
    };
    let (on, off) = if std::io::stderr().is_terminal() {
        ("\x1b[1m", "\x1b[0m")
    } else {
        ("", "")
    };
    eprintln!("listening on {on}{text}{off}");
}

/// SIGTERM and Ctrl-C, as one.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
