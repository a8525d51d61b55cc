//! Lookup of the engines that a configuration names.

use isopod::bindings::r2::S3R2;
use isopod::storage::{NatsServer, PostgresServer};

use super::document::KeyPath;
use super::problem::Fault;
use super::reading::Reading;
use super::storage::{Engine, QueueServer, Storage, StorageOverrides};
use super::values::{S3Url, Secret, StorageUrl};

/// The variables of a service with the interface of S3, as AWS names them.
const ACCESS_KEY: &str = "AWS_ACCESS_KEY_ID";
const SECRET_KEY: &str = "AWS_SECRET_ACCESS_KEY";
const SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";
const ENDPOINT: &str = "AWS_ENDPOINT_URL";
const REGIONS: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

impl Reading<'_> {
    /// Looks up the engines of the section and of the overrides.
    pub(super) fn storage(&mut self, section: Storage, overrides: &StorageOverrides) {
        self.engines.limits = section.clone();
        let at = KeyPath::of("storage");
        let of = |own: &Option<StorageUrl>, section: StorageUrl| own.clone().unwrap_or(section);
        let mut default = |url: StorageUrl, key: &str| self.engine(url, &at.key(key)).unwrap_or_default();
        let kv = default(of(&overrides.kv, section.kv), "kv");
        let crons = default(of(&overrides.crons, section.crons), "crons");
        (self.engines.kv, self.engines.crons) = (kv, crons);
        let queues = self.queue_engine(of(&overrides.queues, section.queues), &at.key("queues"));
        self.engines.queues = queues.unwrap_or_default();
        self.engines.events = self.events(of(&overrides.events, section.events), &at.key("events"));
        let r2 = self.bucket(of(&overrides.r2, section.r2), &at.key("r2"));
        self.engines.r2 = r2.flatten();
        let assets = self.bucket(of(&overrides.assets, section.assets), &at.key("assets"));
        self.engines.assets = assets.flatten();
    }

    /// The engine of a namespace or ticks at a URL, which stands `at` this place. One that cannot be used is a problem.
    pub(super) fn engine(&mut self, url: StorageUrl, at: &KeyPath) -> Option<Engine> {
        match self.looked_up(url, at)? {
            StorageUrl::Postgres(url) => self.server(&url, at).map(Engine::Server),
            StorageUrl::Nats(_) => self.wrong(&at.to_string(), "NATS keeps queues only", at),
            StorageUrl::S3(_) => self.wrong(&at.to_string(), "S3 keeps R2 buckets and static assets only", at),
            StorageUrl::Local | StorageUrl::Variable(_) => Some(Engine::Local),
        }
    }

    /// The engine of queues at a URL, which stands `at` this place. One that cannot be used is a problem.
    pub(super) fn queue_engine(&mut self, url: StorageUrl, at: &KeyPath) -> Option<Engine<QueueServer>> {
        match self.looked_up(url, at)? {
            StorageUrl::Nats(url) => {
                let server = self.nats(&url, at).map(QueueServer::Nats);
                server.map(Engine::Server)
            }
            url => Some(match self.engine(url, at)? {
                Engine::Local => Engine::Local,
                Engine::Server(server) => Engine::Server(QueueServer::Postgres(server)),
            }),
        }
    }

    /// The server for messages between processes at a URL, which stands `at` this place.
    fn events(&mut self, url: StorageUrl, at: &KeyPath) -> Option<NatsServer> {
        match self.looked_up(url, at)? {
            StorageUrl::Nats(url) => self.nats(&url, at),
            StorageUrl::Postgres(_) | StorageUrl::S3(_) => {
                self.wrong(&at.to_string(), "messages between processes go by NATS only", at)
            }
            StorageUrl::Local | StorageUrl::Variable(_) => None,
        }
    }

    /// The bucket at a URL, which stands `at` this place; `Some(None)` for folders of this machine.
    pub(super) fn bucket(&mut self, url: StorageUrl, at: &KeyPath) -> Option<Option<S3R2>> {
        match self.looked_up(url, at)? {
            StorageUrl::S3(url) => self.service(url, at).map(Some),
            StorageUrl::Postgres(_) => self.wrong(
                &at.to_string(),
                "PostgreSQL keeps neither R2 buckets nor static assets",
                at,
            ),
            StorageUrl::Nats(_) => self.wrong(&at.to_string(), "NATS keeps queues only", at),
            StorageUrl::Local | StorageUrl::Variable(_) => Some(None),
        }
    }

    /// Replaces the name of a variable by the URL in it.
    fn looked_up(&mut self, url: StorageUrl, at: &KeyPath) -> Option<StorageUrl> {
        let StorageUrl::Variable(name) = url else {
            return Some(url);
        };
        let Some(text) = self.lookup.get(&name) else {
            self.unset(at, &name);
            return None;
        };
        match text.reveal().parse() {
            Ok(StorageUrl::Variable(_)) => self.wrong(&name, "names another variable", at),
            Ok(url) => Some(url),
            Err(reason) => self.wrong(&name, &reason, at),
        }
    }

    fn server(&mut self, url: &Secret, at: &KeyPath) -> Option<PostgresServer> {
        if let Some(server) = self.engines.servers.get(url.reveal()) {
            return Some(server.clone());
        }
        let limits = &self.engines.limits;
        match PostgresServer::new(url.reveal()) {
            Ok(server) => {
                let server = server.max_connections(limits.max_connections).timeout(limits.timeout);
                let server = server.queue_len_max(limits.queue_len_max);
                self.engines.servers.insert(url.reveal().to_owned(), server.clone());
                Some(server)
            }
            Err(error) => self.wrong(&at.to_string(), &error.to_string(), at),
        }
    }

    fn nats(&mut self, url: &Secret, at: &KeyPath) -> Option<NatsServer> {
        if let Some(server) = self.engines.nats.get(url.reveal()) {
            return Some(server.clone());
        }
        let limits = &self.engines.limits;
        match NatsServer::new(url.reveal()) {
            Ok(server) => {
                let server = server.timeout(limits.timeout).queue_len_max(limits.queue_len_max);
                self.engines.nats.insert(url.reveal().to_owned(), server.clone());
                Some(server)
            }
            Err(error) => self.wrong(&at.to_string(), &error.to_string(), at),
        }
    }

    fn service(&mut self, url: S3Url, at: &KeyPath) -> Option<S3R2> {
        let get = |name: &str| self.lookup.get(name).map(|value| value.reveal().to_owned());
        let endpoint = url.endpoint.or_else(|| get(ENDPOINT));
        let region = url.region.or_else(|| REGIONS.into_iter().find_map(get));
        let (id, secret, token) = (get(ACCESS_KEY), get(SECRET_KEY), get(SESSION_TOKEN));
        let mut bucket = S3R2::new(url.bucket).prefix(url.prefix);
        match (id, secret) {
            (Some(id), Some(secret)) => bucket = bucket.credentials(id, secret),
            // Machines of AWS get credentials from their environment there.
            (None, None) if endpoint.is_none() => {}
            (None, _) => {
                self.unset(at, ACCESS_KEY);
                return None;
            }
            (Some(_), None) => {
                self.unset(at, SECRET_KEY);
                return None;
            }
        }
        if let Some(token) = token {
            bucket = bucket.session_token(token);
        }
        if let Some(endpoint) = endpoint {
            bucket = bucket.endpoint(endpoint);
        }
        if let Some(region) = region {
            bucket = bucket.region(region);
        }
        Some(bucket)
    }

    fn wrong<T>(&mut self, key: &str, reason: &str, at: &KeyPath) -> Option<T> {
        let fault = Fault::BadValue {
            key: key.to_owned(),
            value: "(not shown)".to_owned(),
            reason: reason.to_owned(),
        };
        self.tell(at, fault, "change the value");
        None
    }
}
