//! A host's builder, and checks before it runs.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Map;

use super::host::{Host, HostBus, Plan, Planned, Supervise};
use super::limits::PhaseLimits;
use super::shutdown::Shutdown;
use crate::bus::Bus;
use crate::config::{self, ConfigError, ConfigProvider};
use crate::context::InstanceId;
use crate::hub::{Hub, HubError};
use crate::module::{Module, Node, OrderError, Phase, discovered, order};
use crate::supervise::SupervisorBuilder;

/// The longest name of a module.
const NAME_LEN_MAX: usize = 64;

/// An error from building a host.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A module's name cannot be used for a section and a file.
    #[error("invalid module name `{0}`: use 1 to 64 ASCII letters, digits, `-`, `_` and `.`, not starting with `.`")]
    Name(String),
    /// The modules cannot be ordered.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// The configuration does not fit the modules.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Two clients have the same type.
    #[error(transparent)]
    Hub(#[from] HubError),
}

/// A builder for a [`Host`], created by [`Host::builder`]. Every setting has a default.
#[must_use = "a builder does nothing until `build`"]
pub struct HostBuilder {
    modules: Vec<Box<dyn Module>>,
    discover: bool,
    config: Box<dyn ConfigProvider>,
    hub: Hub,
    hub_error: Option<HubError>,
    shutdown: Shutdown,
    limits: PhaseLimits,
    instance: Option<InstanceId>,
    name: String,
    threads: usize,
    bus: HostBus,
    supervise: Supervise,
    #[cfg(feature = "sql")]
    db: crate::db::DbOptions,
}

impl Host {
    /// Creates a builder with default settings.
    pub fn builder() -> HostBuilder {
        HostBuilder::new()
    }
}

impl HostBuilder {
    fn new() -> Self {
        Self {
            modules: Vec::new(),
            discover: false,
            config: Box::new(Map::new()),
            hub: Hub::new(),
            hub_error: None,
            shutdown: Shutdown::default(),
            limits: PhaseLimits::default(),
            instance: None,
            name: "isopod-host".to_owned(),
            threads: 2,
            bus: HostBus::Own(Bus::new()),
            supervise: Box::new(|builder| builder),
            #[cfg(feature = "sql")]
            db: crate::db::DbOptions::None,
        }
    }

    /// Adds a module. Modules that do not depend on each other keep the order in which they are added.
    pub fn module(self, module: impl Module) -> Self {
        self.boxed_module(Box::new(module))
    }

    /// [`HostBuilder::module`] for a boxed module.
    pub fn boxed_module(mut self, module: Box<dyn Module>) -> Self {
        self.modules.push(module);
        self
    }

    /// Adds modules registered by [`register!`](crate::register), sorted by name, after those added in code.
    pub const fn discover(mut self) -> Self {
        self.discover = true;
        self
    }

    /// Sets the provider of the modules' configuration. Default: none.
    pub fn config(mut self, provider: impl ConfigProvider) -> Self {
        self.config = Box::new(provider);
        self
    }

    /// Sets the modules' databases. Default: none.
    #[cfg(feature = "sql")]
    pub fn db(mut self, db: crate::db::DbOptions) -> Self {
        self.db = db;
        self
    }

    /// Registers a client in the hub before any module is built.
    pub fn client<T: ?Sized + Send + Sync + 'static>(mut self, client: Arc<T>) -> Self {
        let taken = self.hub.register(client);
        self.hub_error = self.hub_error.or(taken.err());
        self
    }

    /// [`HostBuilder::client`] under a scope.
    pub fn client_scoped<T: ?Sized + Send + Sync + 'static>(mut self, scope: &str, client: Arc<T>) -> Self {
        let taken = self.hub.register_scoped(scope, client);
        self.hub_error = self.hub_error.or(taken.err());
        self
    }

    /// Sets the bus for the modules' contexts and module events. It stays open when the host has stopped. Default: the
    /// host's own bus with default limits, which is closed then.
    pub fn bus(mut self, bus: Bus) -> Self {
        self.bus = HostBus::Given(bus);
        self
    }

    /// Changes the settings of the supervisor in the modules' contexts, as by [`SupervisorBuilder::guard`]. Default: no
    /// changes; it uses the host's bus.
    pub fn supervise(mut self, change: impl FnOnce(SupervisorBuilder) -> SupervisorBuilder + Send + 'static) -> Self {
        self.supervise = Box::new(change);
        self
    }

    /// Adds a trigger that stops the host. May be called several times. Default: only modules and handles stop it.
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = self.shutdown.or(shutdown);
        self
    }

    /// Sets the time limit of a phase for each module. Default: see [`PhaseLimits`].
    pub const fn limit(mut self, phase: Phase, limit: Duration) -> Self {
        self.limits = self.limits.with(phase, limit);
        self
    }

    /// Sets the instance id. Default: a random one.
    pub fn instance(mut self, id: impl Into<InstanceId>) -> Self {
        self.instance = Some(id.into());
        self
    }

    /// Sets the name of the host's thread, and the prefix of its runtime's threads. Default: `isopod-host`.
    pub fn thread_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the number of threads of the modules' runtime; 0 counts as 1. Default: 2.
    pub const fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Checks the settings and builds the host. No module runs yet.
    ///
    /// # Errors
    /// Invalid names, dependencies or configuration sections, or two clients of one type.
    pub fn build(mut self) -> Result<Host, BuildError> {
        if let Some(error) = self.hub_error {
            return Err(error.into());
        }
        if self.discover {
            self.modules.extend(discovered());
        }
        let nodes: Vec<_> = self.modules.iter().map(|module| node(&**module)).collect();
        let names: Vec<_> = nodes.iter().map(|node| node.name.clone()).collect();
        if let Some(name) = names.iter().find(|name| !is_name(name)) {
            return Err(BuildError::Name(name.clone()));
        }
        let order = order(&nodes)?;
        self.config.check()?;
        config::check(&self.config.sections(), &names)?;
        let mut modules: Vec<_> = self.modules.into_iter().map(Some).collect();
        let ordered = order.into_iter().filter_map(|index| {
            Some(Planned {
                name: names[index].as_str().into(),
                module: modules[index].take()?,
                section: self.config.section(&names[index]),
            })
        });
        Ok(Host {
            plan: Plan {
                modules: ordered.collect(),
                hub: self.hub,
                shutdown: self.shutdown,
                limits: self.limits,
                instance: self.instance.unwrap_or_else(InstanceId::random),
                name: self.name,
                threads: self.threads.max(1),
                bus: self.bus,
                supervise: self.supervise,
                #[cfg(feature = "sql")]
                db: self.db,
            },
        })
    }
}

impl std::fmt::Debug for HostBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.modules.iter().map(|module| module.name().to_owned()).collect();
        f.debug_struct("HostBuilder")
            .field("modules", &names)
            .finish_non_exhaustive()
    }
}

fn node(module: &dyn Module) -> Node {
    Node {
        name: module.name().to_owned(),
        depends_on: module.depends_on(),
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=NAME_LEN_MAX).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(allowed)
}
