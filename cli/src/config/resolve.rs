//! Turns the parsed file into the [`Config`], and checks what the schema cannot express.

mod build;
mod compatibility;
mod routes;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use isopod::Limits;

use super::bindings::{Assets, Env};
use super::check::nearest;
use super::document::KeyPath;
use super::file::{AdminFile, File, NamedWorkerFile, WorkerFile};
use super::overrides::Overrides;
use super::pool::Pool;
use super::problem::{Fault, Problem};
use super::reading::Reading;
use super::sections::{Isolation, Network, Policy, WorkerNetwork};
use super::settings::{Admin, Config, Worker};
use super::values::{Listen, Secret};

/// Default number of events that a `per_worker` worker interleaves.
const CONCURRENCY: usize = 64;

impl Reading<'_> {
    /// Returns the configuration or all problems.
    pub(super) fn resolve(mut self, file: File, overrides: &Overrides) -> Result<Config, Vec<Problem>> {
        self.storage(file.storage.clone(), &overrides.storage);
        let isolation = overrides.isolation.unwrap_or(file.pool.isolation);
        let mut workers = BTreeMap::new();
        for (name, (path, worker)) in self.workers(&file) {
            let worker = self.worker(&path, worker, &file.network, isolation);
            workers.insert(name, (path, worker));
        }
        let assets = self.assets_alone(&file);
        self.services(&workers);
        let routes = self.routes(&file, &workers);
        let workers = workers.into_iter().map(|(name, (_, worker))| (name, worker)).collect();
        let threads = overrides.threads.unwrap_or(file.threads);
        self.pool(&file.pool, threads);
        let listen = if overrides.listen.is_empty() {
            file.listen.into_iter().map(|listen| self.listen_here(listen)).collect()
        } else {
            overrides.listen.clone()
        };
        let admin = self.admin(file.admin, overrides.admin.clone());
        self.listeners(&listen, admin.as_ref().map(|admin| &admin.listen));
        let tls = file.tls.map(|mut tls| {
            let path = KeyPath::of("tls");
            tls.cert = self.existing(&path.key("cert"), tls.cert);
            tls.key = self.existing(&path.key("key"), tls.key);
            tls
        });
        let mut log = file.log;
        log.level = overrides.log_level.unwrap_or(log.level);
        log.format = overrides.log_format.unwrap_or(log.format);
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        Ok(Config {
            root: self.source.folder().to_owned(),
            threads: (threads > 0).then_some(threads),
            listen,
            tls,
            admin,
            mode: overrides.mode.unwrap_or(file.mode),
            log,
            workers,
            assets,
            routes,
            pool: file.pool,
            ticks: self.engines.crons,
            events: self.engines.events,
            ingress: file.ingress,
            shutdown: file.shutdown,
            notes: self.notes,
            files: Vec::new(),
            object_storage: self.object_storage,
        })
    }

    /// Returns every worker of the file by name, with the path of its settings.
    fn workers(&mut self, file: &File) -> BTreeMap<String, (KeyPath, NamedWorkerFile)> {
        let table = KeyPath::of("workers");
        let mut workers: BTreeMap<String, (KeyPath, NamedWorkerFile)> = file
            .workers
            .iter()
            .map(|(name, worker)| (name.clone(), (table.key(name), worker.clone())))
            .collect();
        let top = file.name.clone().unwrap_or_else(|| "main".to_owned());
        if file.worker.main.is_some() {
            let worker = NamedWorkerFile {
                worker: file.worker.clone(),
                network: WorkerNetwork::default(),
            };
            let clash = workers.insert(top.clone(), (KeyPath::default(), worker));
            if clash.is_some() {
                let message = format!("two workers are named `{top}`: the top-level one and `workers.{top}`");
                self.tell(&table.key(&top), Fault::Conflict { message }, "rename one of them");
            }
        } else if workers.is_empty() && (file.assets.is_some() || file.worker.bindings.have_assets()) {
            // A configuration with only assets has no worker.
        } else if workers.is_empty() {
            let remedy = "add `main = \"src/index.ts\"`, or several workers as `[workers.NAME]` with a `main` each";
            self.tell(&KeyPath::default(), Fault::Missing { key: "main".to_owned() }, remedy);
        } else {
            self.stray_settings();
        }
        for (name, (path, _)) in &workers {
            if self.together.earlier.contains(name) {
                let message = format!("two of the configurations have a worker named `{name}`");
                let remedy = "rename one of them; a script without a configuration is named `main`";
                let is_top = *path == KeyPath::default();
                let at = if is_top { &KeyPath::of("name") } else { path };
                self.tell(at, Fault::Conflict { message }, remedy);
            }
        }
        workers
    }

    /// Returns the assets of a file that has no worker.
    fn assets_alone(&mut self, file: &File) -> Option<Assets> {
        if file.assets.is_some() || file.worker.main.is_some() || !file.workers.is_empty() {
            return file.assets.clone();
        }
        let mut env = Env::default();
        let bindings = file.worker.bindings.clone();
        bindings.resolve(&KeyPath::default(), self, &mut env);
        env.assets
    }

    /// Reports service bindings whose worker does not exist.
    fn services(&mut self, workers: &BTreeMap<String, (KeyPath, Worker)>) {
        let services = std::mem::take(&mut self.services);
        for (path, service) in services
            .into_iter()
            .filter(|(_, service)| !workers.contains_key(service) && !self.together.others.may_have(service))
            .collect::<Vec<_>>()
        {
            let others = self.together.others.names().filter(|name| !workers.contains_key(*name));
            let known: Vec<&str> = workers.keys().map(String::as_str).chain(others).collect();
            let remedy = match nearest(&service, known.iter().copied()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => {
                    let known = known.join(", ");
                    format!(
                        "the workers here: {known}; workers that call each other are in one isopod.toml, each as \
                         `[workers.NAME]` with a `main`, or in configurations that are named together: `isopod serve . ../{service}`"
                    )
                }
            };
            let fault = Fault::BadValue {
                key: path.to_string(),
                value: format!("{service:?}"),
                reason: "no worker has this name".to_owned(),
            };
            self.tell(&path, fault, remedy);
        }
    }

    /// Reports top-level settings that apply to no worker.
    fn stray_settings(&mut self) {
        let schema = super::schema::schema_of::<WorkerFile>();
        let is_worker_key = |key: &str| schema["properties"].get(key).is_some();
        let stray: Vec<String> = self
            .node
            .entries()
            .iter()
            .map(|e| e.key.clone())
            .filter(|key| is_worker_key(key) || key == "name")
            .collect();
        for key in stray {
            let message = format!("`{key}` at the top level belongs to no worker, because there is no `main`");
            self.tell(
                &KeyPath::of(&key),
                Fault::Conflict { message },
                "move it into a `[workers.NAME]` table",
            );
        }
    }

    fn worker(&mut self, path: &KeyPath, file: NamedWorkerFile, network: &Network, isolation: Isolation) -> Worker {
        let network = file.network.over(network);
        let file = file.worker;
        let main = match file.main.clone() {
            Some(main) => self.existing(&path.key("main"), main),
            None => {
                let remedy = "add the worker's entry file, for example `main = \"src/index.ts\"`";
                self.tell(
                    path,
                    Fault::Missing {
                        key: path.key("main").to_string(),
                    },
                    remedy,
                );
                PathBuf::new()
            }
        };
        let compatibility = self.compatibility(path, file.compatibility_date.as_deref(), &file.compatibility_flags);
        let mut env = Env::default();
        for name in file.vars.keys() {
            env.claim(name, &path.key("vars").key(name), self);
        }
        for (index, name) in file.secrets.iter().enumerate() {
            env.claim(name, &path.key("secrets").index(index), self);
        }
        file.bindings.resolve(path, self, &mut env);
        if let Some(assets) = &mut env.assets {
            assets.options.navigations = compatibility.asset_navigations;
        }
        if file.policy != Policy::PerWorker && file.concurrency.is_some_and(|concurrency| concurrency > 1) {
            let message = format!(
                "`{}` is above 1, but the policy gives each event its own worker",
                path.key("concurrency")
            );
            let remedy = "remove `concurrency`, or use `policy = \"per_worker\"`";
            self.tell(&path.key("concurrency"), Fault::Conflict { message }, remedy);
        }
        if file.limits.memory < Limits::MEMORY_BYTES_MIN as u64 {
            let path = path.key("limits").key("memory");
            let message = format!("`{path}` is too little for a worker to start");
            let remedy = format!("set {} MiB or more", Limits::MEMORY_BYTES_MIN >> 20);
            self.tell(&path, Fault::Conflict { message }, remedy);
        }
        if file.workers_max.is_some_and(|most| most < file.workers_min) {
            let message = format!("`{}` is above `workers_max`", path.key("workers_min"));
            self.tell(
                &path.key("workers_min"),
                Fault::Conflict { message },
                "lower one or raise the other",
            );
        }
        let mut secrets = file.env_values;
        // A binding of the secrets store may have the same name as its variable.
        secrets.retain(|name, _| !env.bindings.iter().any(|bound| &bound.name == name));
        for (index, name) in file.secrets.iter().enumerate() {
            match self.lookup.get(name) {
                Some(value) => drop(secrets.insert(name.clone(), value)),
                None => self.unset(&path.key("secrets").index(index), name),
            }
        }
        let modules = self.modules(&path.key("modules"), file.modules);
        let import_map = file.import_map.map(|map| self.existing(&path.key("import_map"), map));
        let root = file.root.map(|root| self.root(&path.key("root"), &root, &main));
        let interleaved = if file.policy == Policy::PerWorker {
            CONCURRENCY
        } else {
            1
        };
        Worker {
            main,
            vars: file.vars,
            secrets,
            bindings: env.bindings,
            policy: file.policy,
            isolation: file.isolation.unwrap_or(isolation),
            concurrency: file.concurrency.unwrap_or(interleaved),
            adapts: file.adapts,
            workers_min: file.workers_min,
            weight: file.weight.unwrap_or(1),
            workers_max: file.workers_max,
            limits: file.limits,
            recycle: file.recycle,
            sessions: file.sessions,
            root,
            modules,
            import_map,
            jsx: file.jsx,
            crons: file.crons,
            assets: env.assets,
            events: env.events,
            consumers: env.consumers,
            network,
            compatibility,
        }
    }

    /// Resolves the admin listener. An override sets its address, not its access rules.
    fn admin(&mut self, file: Option<AdminFile>, listen: Option<Listen>) -> Option<Admin> {
        let path = KeyPath::of("admin");
        let Some(file) = file else {
            let (hosts, token) = (Vec::new(), None);
            return listen.map(|listen| Admin { listen, hosts, token });
        };
        let token = match (file.token, file.token_from) {
            (None, None) => None,
            (Some(token), None) => Some(Secret::new(token)),
            (None, Some(name)) => {
                let token = self.lookup.get(&name);
                if token.is_none() {
                    self.unset(&path.key("token_from"), &name);
                }
                token
            }
            (Some(_), Some(_)) => {
                let message = "`admin` has both `token` and `token_from`".to_owned();
                self.tell(&path, Fault::Conflict { message }, "keep one of them");
                None
            }
        };
        if token.as_ref().is_some_and(|token| token.reveal().is_empty()) {
            let message = "the token of `admin` is empty".to_owned();
            self.tell(&path, Fault::Conflict { message }, "set a token, or remove the key");
        }
        Some(Admin {
            listen: listen.unwrap_or_else(|| self.listen_here(file.listen)),
            hosts: file.hosts,
            token,
        })
    }

    /// Resolves a path relative to this file's folder and checks that the file exists.
    fn existing(&mut self, path: &KeyPath, file: PathBuf) -> PathBuf {
        let full = self.source.folder().join(&file);
        if !full.is_file() {
            let (key, value) = (path.to_string(), format!("{:?}", file.display().to_string()));
            let reason = format!("no such file: {}", full.display());
            let remedy = "paths are relative to the configuration's folder";
            self.tell(path, Fault::BadValue { key, value, reason }, remedy);
        }
        full
    }

    /// Resolves a folder relative to this file's folder and checks that it contains `main`.
    fn root(&mut self, path: &KeyPath, folder: &Path, main: &Path) -> PathBuf {
        let full = self.source.folder().join(folder);
        let real = |path: &Path| std::fs::canonicalize(path).ok();
        let reason = match real(&full) {
            Some(root) if real(main).is_none_or(|main| main.starts_with(&root)) => return full,
            Some(_) => format!("it does not contain {}", main.display()),
            None => format!("no such folder: {}", full.display()),
        };
        let (key, value) = (path.to_string(), format!("{:?}", folder.display().to_string()));
        let remedy = "name a folder that contains `main`; paths are relative to the configuration's folder";
        self.tell(path, Fault::BadValue { key, value, reason }, remedy);
        full
    }

    fn pool(&mut self, pool: &Pool, threads: usize) {
        let path = KeyPath::of("pool");
        if let Some(workers_max) = pool.workers_max.filter(|max| threads > 0 && *max > threads) {
            let message = format!(
                "`pool.workers_max` ({workers_max}) is above `threads` ({threads}), and each worker has a thread of its own"
            );
            let remedy = "remove `threads`: they are started as workers need them";
            self.tell(&path.key("workers_max"), Fault::Conflict { message }, remedy);
        }
        if pool.cell_transit < Pool::CELL_TRANSIT_MIN {
            let path = path.key("cell_transit");
            let (key, value) = (path.to_string(), pool.cell_transit.to_string());
            let reason = "the minimum is 1 MiB".to_owned();
            self.tell(&path, Fault::BadValue { key, value, reason }, "set at least \"1 MiB\"");
        }
    }

    fn listen_here(&self, listen: Listen) -> Listen {
        match listen {
            Listen::Unix(path) => Listen::Unix(self.source.folder().join(path)),
            tcp => tcp,
        }
    }

    fn listeners(&mut self, listen: &[Listen], admin: Option<&Listen>) {
        if listen.is_empty() {
            let fault = Fault::Missing {
                key: "listen".to_owned(),
            };
            self.tell(
                &KeyPath::of("listen"),
                fault,
                "set at least one address, or remove `listen`",
            );
        }
        // Port 0 means a different port each time.
        let fixed = |listen: &&Listen| !matches!(listen, Listen::Tcp(address) if address.port() == 0);
        let all: Vec<&Listen> = listen.iter().chain(admin).filter(fixed).collect();
        for (index, one) in all.iter().enumerate() {
            if all[..index].contains(one) {
                let message = format!("duplicate listen address {one}");
                let remedy = "every entry of `listen`, and `admin.listen`, must be unique";
                self.tell(&KeyPath::of("listen"), Fault::Conflict { message }, remedy);
            }
        }
    }
}
