//! `isopod serve` and `isopod check`: a configuration becomes a pool with scripts in it, and a server in front.

mod dispatch;
mod watch;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use isopod_pool::Failure;
use isopod_pool::js::Pool;
use isopod_server::{Address, Limits, Listen, Routes, Server, ServerConfig, TlsFiles};

use self::dispatch::Workers;
use crate::config::{self, Config, Located, Mode, Overrides};
use crate::{logging, scripts};

type Environment = BTreeMap<String, String>;

/// Exit code of a process that was ended by a second Ctrl-C, as shells count it.
const INTERRUPTED: u8 = 130;

/// What `serve` and `watch` read the configuration with, each time.
struct Source<'a> {
    located: Located,
    overrides: Overrides,
    environment: &'a Environment,
}

impl<'a> Source<'a> {
    fn find(path: &Path, overrides: Overrides, environment: &'a Environment) -> Result<Self> {
        let located = config::discover(path)?;
        let overrides = overrides.or(Overrides::from_environment(environment)?);
        Ok(Self {
            located,
            overrides,
            environment,
        })
    }

    fn read(&self) -> Result<Config> {
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
        let pool = build_pool(&config)?;
        if let Err(error) = deploy(&pool, &config).await {
            // In development the mistake is about to be mended: the page shows it, and a change deploys anew.
            if !watch {
                pool.shutdown(Duration::ZERO).await;
                return Err(error);
            }
            eprintln!("{error:#}");
        }
        let server = Server::new(server_config(&config)?, Workers { pool: pool.clone() }).start()?;
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
                () = redeploy_on(changes, &pool, &source) => {}
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

/// Loads and starts every worker once, and says what is wrong with which.
pub(crate) fn check(path: &Path, overrides: Overrides, environment: &Environment, json: bool) -> Result<ExitCode> {
    let source = Source::find(path, overrides, environment)?;
    let config = source.read()?;
    logging::install(&config::Log {
        level: config::LogLevel::Warn,
        ..config.log.clone()
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let results = runtime.block_on(async {
        let pool = build_pool(&config)?;
        let mut results = BTreeMap::new();
        for (name, worker) in &config.workers {
            results.insert(name.clone(), start_one(&pool, &config, name, worker).await);
        }
        pool.shutdown(Duration::from_secs(1)).await;
        anyhow::Ok(results)
    })?;
    let failed = results.values().any(Result::is_err);
    if json {
        let shown = results.iter().map(|(name, result)| {
            let error = result.as_ref().err().map(|error| format!("{error:#}"));
            (name, serde_json::json!({ "ok": error.is_none(), "error": error }))
        });
        println!(
            "{:#}",
            serde_json::Value::from_iter(shown.map(|(name, value)| (name.clone(), value)))
        );
    } else {
        config.notes.iter().for_each(|note| eprintln!("note: {note}"));
        for (name, result) in &results {
            match result {
                Ok(()) => println!("{name}: ok"),
                Err(error) => println!("{name}: {error:#}"),
            }
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn build_pool(config: &Config) -> Result<Pool> {
    let builder = Pool::builder();
    let builder = match config.threads {
        Some(threads) => builder.threads(threads),
        None => builder,
    };
    Ok(builder.build()?)
}

/// Deploys every worker, and waits until each has started once.
async fn deploy(pool: &Pool, config: &Config) -> Result<()> {
    for (name, worker) in &config.workers {
        start_one(pool, config, name, worker)
            .await
            .with_context(|| format!("worker {name:?} cannot start"))?;
    }
    Ok(())
}

async fn start_one(pool: &Pool, config: &Config, name: &str, worker: &config::Worker) -> Result<()> {
    let (script, options) = scripts::script(config, name, worker)?;
    pool.deploy(name, script, &options)?;
    pool.warm(name)
        .await
        .map_err(|failure| anyhow::anyhow!(explain(&failure)))
}

fn explain(failure: &Failure) -> String {
    match &failure.detail {
        Some(detail) => detail.clone(),
        None => failure.message.clone(),
    }
}

async fn redeploy_on(mut changes: watch::Changes, pool: &Pool, source: &Source<'_>) {
    while let Some(path) = changes.next().await {
        let deployed = match source.read() {
            Ok(config) => deploy(pool, &config).await,
            Err(error) => Err(error),
        };
        match deployed {
            Ok(()) => eprintln!("deployed anew: {} changed", path.display()),
            // A script that cannot start answers with its error, and a configuration that cannot be read changes nothing,
            // until the mistake is mended.
            Err(error) => eprintln!("{error:#}"),
        }
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

fn server_config(config: &Config) -> Result<ServerConfig> {
    let listen = |listen: &config::Listen| {
        let listen = match listen {
            config::Listen::Tcp(address) => Listen::tcp(*address),
            config::Listen::Unix(path) => Listen::unix(path.clone()),
        };
        match &config.tls {
            Some(tls) => listen.with_tls(TlsFiles {
                certificates: tls.cert.clone(),
                key: tls.key.clone(),
            }),
            None => listen,
        }
    };
    let admin = match config.admin.as_ref().map(|admin| &admin.listen) {
        None => None,
        Some(config::Listen::Tcp(address)) => Some(*address),
        Some(config::Listen::Unix(_)) => {
            anyhow::bail!("admin.listen must be an address and a port: the admin listener has no Unix socket")
        }
    };
    let ingress = &config.ingress;
    Ok(ServerConfig {
        listeners: config.listen.iter().map(listen).collect(),
        admin,
        routes: routes(config)?,
        mode: match config.mode {
            Mode::Development => isopod_server::Mode::Development,
            Mode::Production => isopod_server::Mode::Production,
        },
        limits: Limits {
            connections_max: ingress.connections_max,
            header_bytes_max: usize::try_from(ingress.header_bytes_max).unwrap_or(usize::MAX),
            header_count_max: ingress.headers_max,
            header_timeout: ingress.header_timeout,
            idle_timeout: ingress.idle_timeout,
            body_bytes_max: ingress.body_bytes_max,
            body_timeout: ingress.body_timeout,
            h2_streams_max: ingress.streams_max,
            ..Limits::default()
        },
        ..ServerConfig::default()
    })
}

/// Routes as configured; one worker without routes answers everything.
fn routes(config: &Config) -> Result<Routes> {
    let mut routes = Routes::default();
    for route in &config.routes {
        let host = route.pattern.host.as_deref().unwrap_or("");
        routes = routes.route(&format!("{host}{}", route.pattern.path), route.worker.as_str())?;
    }
    let mut names = config.workers.keys();
    if let (true, Some(only), None) = (config.routes.is_empty(), names.next(), names.next()) {
        routes = routes.fallback(only.as_str());
    }
    Ok(routes)
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
