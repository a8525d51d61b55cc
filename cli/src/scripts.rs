//! Builds scripts and options from a worker's configuration.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use isopod::host::bus::Bus;
use isopod::host::workers::EventBridge;
use isopod::modules::{ImportMapText, JsxRuntime, LoaderOptions, ModuleKind, ModuleRule};
use isopod::websocket::SocketLimits;
use isopod::{
    FetchConfig, Isolation, Limits, NetPolicy, Options, OwnServers, Policy, Quotas, Recycle, Script, SessionLimits,
};
use url::Url;

use crate::config::{self, Bound, Config, Materials, Mode, Network, NetworkRule, Var, Worker};
use crate::inspector::{self, InFront};

/// Builds the script and options of a worker.
pub(crate) fn script(
    config: &Config,
    name: &str,
    worker: &Worker,
    from: &Materials<'_>,
    servers: &OwnServers,
) -> Result<(Script, Options)> {
    with_main(config, name, worker, from, servers, None)
}

/// Builds the same with the [`inspector`](crate::inspector) in front of the main module.
pub(crate) fn inspected(
    config: &Config,
    name: &str,
    worker: &Worker,
    from: &Materials<'_>,
) -> Result<(Script, Options)> {
    let front = inspector::in_front_of(&worker.main)?;
    with_main(config, name, worker, from, &OwnServers::default(), Some(front))
}

/// Connects the worker to the bus.
pub(crate) fn bridge(bus: &Bus, name: &str, worker: &Worker) -> Result<EventBridge> {
    let publishes = worker.events.publish.iter();
    let publishes: Vec<_> = publishes.map(|topic| topic.pattern().as_str()).collect();
    Ok(EventBridge::new(bus, name, &publishes)?)
}

fn with_main(
    config: &Config,
    name: &str,
    worker: &Worker,
    from: &Materials<'_>,
    servers: &OwnServers,
    front: Option<InFront>,
) -> Result<(Script, Options)> {
    let main = front.as_ref().map_or(&worker.main, |front| &front.path);
    let mut builder = Script::builder(name).file(main).limits(limits(worker)).fetch(
        FetchConfig::default()
            .policy(Arc::new(policy(&worker.network)))
            .servers(servers.clone()),
    );
    builder = builder.compatibility(worker.compatibility).cache(from.cache.clone());
    builder = builder.isolation(match worker.isolation {
        config::Isolation::Thread => Isolation::Thread,
        config::Isolation::Process => Isolation::Process,
        config::Isolation::Sandbox => Isolation::Sandbox,
    });
    builder = builder.withhold(config.withheld());
    if let Some(root) = &worker.root {
        builder = builder.root(root);
    }
    for (name, var) in &worker.vars {
        builder = match var {
            Var::Text(text) => builder.text(name, text),
            Var::Json(value) => builder.json(name, value.clone()),
        };
    }
    for (name, secret) in &worker.secrets {
        builder = builder.secret(name, secret.reveal());
    }
    for Bound { name, binding } in &worker.bindings {
        builder = builder.binding(name, binding.make(from)?);
    }
    let import_map = worker.import_map.as_deref().map(import_map).transpose()?;
    let (jsx, modules) = (worker.jsx.clone(), worker.modules.clone());
    let node_env = match config.mode {
        Mode::Development => "development",
        Mode::Production => "production",
    };
    builder = builder.modules(move |mut options| {
        options.node_env = node_env.to_owned();
        options.limits.module_bytes_max = modules.module_bytes_max;
        options.limits.compiler_bytes_max = modules.compiler_bytes_max;
        options.limits.transpiled_bytes_max = modules.transpiled_bytes_max;
        options.limits.modules_max = modules.modules_max;
        options.limits.commonjs_bytes_max = usize::try_from(modules.commonjs_bytes_max).unwrap_or(usize::MAX);
        options.import_map = import_map;
        if let Some(front) = front {
            options.memory.extend(front.memory);
            options.main = Some(front.main);
        }
        build(options, modules, jsx)
    });
    Ok((builder.build()?, options(worker)))
}

/// Sets which modules there are and how they are compiled.
pub(crate) fn build(mut options: LoaderOptions, modules: config::Modules, jsx: config::Jsx) -> LoaderOptions {
    options.reach.data_extensions = modules.data_extensions;
    options.reach.computed_data = modules.computed_data;
    options.reach.hard_links = modules.hard_links;
    options.alias = modules.alias;
    options.define = modules.define;
    let rules = modules.rules.into_iter().map(|rule| {
        let kind = match rule.kind {
            config::ModuleType::Text => ModuleKind::Text,
            config::ModuleType::Bytes => ModuleKind::Bytes,
            config::ModuleType::Wasm => ModuleKind::Wasm,
            config::ModuleType::Json => ModuleKind::Json,
            config::ModuleType::JavaScript => ModuleKind::JavaScript,
        };
        ModuleRule::new(kind, rule.globs)
    });
    options.rules = rules.collect();
    options.jsx.import_source = jsx.import_source;
    if jsx.factory.is_some() || jsx.fragment.is_some() {
        options.jsx.runtime = JsxRuntime::Classic;
    }
    options.jsx.factory = jsx.factory.unwrap_or(options.jsx.factory);
    options.jsx.fragment = jsx.fragment.unwrap_or(options.jsx.fragment);
    options
}

fn limits(worker: &Worker) -> Limits {
    Limits::default()
        .cpu(worker.limits.cpu)
        .cpu_soft(worker.limits.cpu_soft)
        .boot_cpu(worker.limits.boot)
        .memory_bytes(usize::try_from(worker.limits.memory).unwrap_or(usize::MAX))
        .quotas(quotas(&worker.limits))
}

fn quotas(limits: &config::Limits) -> Quotas {
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    Quotas::default()
        .timers(limits.timers)
        .pending_ops(limits.pending_ops)
        .subrequests(limits.subrequests)
        .storage_operations(limits.storage_operations)
        .rpc_stubs(limits.rpc_stubs)
        .rpc_path(limits.rpc_path)
        .rpc_depth(limits.rpc_depth)
        .log_lines(limits.log_lines)
        .log_bytes(size(limits.log_bytes))
        .reports(limits.reports)
        .message_bytes(size(limits.message))
        .wait_until_promises(limits.wait_until_promises)
        .handles(limits.handles)
        .native_bytes(size(limits.native))
        .wasm_types(limits.wasm_types)
        .stream_idle(limits.stream_idle)
        .pbkdf2_iterations(limits.pbkdf2_iterations)
        .rsa_bits(limits.rsa_bits)
        .sockets(limits.sockets)
        .socket(
            SocketLimits::default()
                .message_bytes_max(size(limits.socket_message))
                .buffered_bytes_max(size(limits.socket_buffer))
                .messages_per_second(limits.socket_rate)
                .idle_timeout(limits.socket_idle)
                .lifetime(limits.socket_lifetime),
        )
        .connections(limits.connections)
        .event_connections(limits.event_connections)
        .connection_idle(limits.connection_idle)
}

fn policy(network: &Network) -> NetPolicy {
    let rules = |rules: &[NetworkRule]| rules.iter().map(|rule| rule.rule().clone()).collect();
    NetPolicy::default()
        .allow_private(network.allow_private)
        .allow(rules(&network.allow))
        .deny(rules(&network.deny))
        .only(network.only.as_deref().map(rules))
}

/// Reads an import map.
pub(crate) fn import_map(path: &Path) -> Result<ImportMapText> {
    let cannot = || format!("cannot read {}", path.display());
    let json = std::fs::read_to_string(path).with_context(cannot)?;
    // A `..` in the path would be a part of every address that is relative to it.
    let mut full = std::path::absolute(path)?;
    if let (Some(folder), Some(name)) = (full.parent(), full.file_name()) {
        full = folder.canonicalize().with_context(cannot)?.join(name);
    }
    let base =
        Url::from_file_path(&full).map_err(|()| anyhow::anyhow!("{} is not an absolute path", full.display()))?;
    Ok(ImportMapText { base, json })
}

fn options(worker: &Worker) -> Options {
    Options::default()
        .policy(match worker.policy {
            config::Policy::PerWorker => Policy::PerWorker,
            config::Policy::PerRequest => Policy::PerRequest,
            config::Policy::Oneshot => Policy::Oneshot,
        })
        .concurrency(worker.concurrency)
        .adapts(worker.adapts)
        .workers_min(worker.workers_min)
        .workers_max(worker.workers_max)
        .weight(worker.weight)
        .recycle(
            Recycle::default()
                .events(worker.recycle.events)
                .age(worker.recycle.age)
                .memory_bytes(worker.recycle.memory.and_then(|bytes| usize::try_from(bytes).ok())),
        )
        .sessions(
            SessionLimits::default()
                .max(worker.sessions.max)
                .per_worker(worker.sessions.per_worker)
                .events(worker.sessions.events)
                .events_per_worker(worker.sessions.events_per_worker)
                .grace(worker.sessions.grace),
        )
        .boot_timeout(worker.limits.boot)
        .wall_timeout(worker.limits.wall)
        .stream_timeout(worker.limits.stream)
        .wait_until_timeout(worker.limits.wait_until)
        .queue_len_max(worker.limits.queue)
}
