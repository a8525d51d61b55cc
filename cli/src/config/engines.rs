//! Lookup of the engines that a configuration names.

use isopod::storage::PostgresServer;

use super::document::KeyPath;
use super::problem::Fault;
use super::reading::Reading;
use super::storage::{Engine, Storage, StorageOverrides};
use super::values::StorageUrl;

impl Reading<'_> {
    /// Looks up the engines of the section and of the overrides.
    pub(super) fn storage(&mut self, section: Storage, overrides: &StorageOverrides) {
        self.engines.limits = section.clone();
        let at = KeyPath::of("storage");
        let mut default = |own: &Option<StorageUrl>, section: StorageUrl, key: &str| {
            let url = own.clone().unwrap_or(section);
            self.engine(url, &at.key(key)).unwrap_or_default()
        };
        let kv = default(&overrides.kv, section.kv, "kv");
        let queues = default(&overrides.queues, section.queues, "queues");
        let crons = default(&overrides.crons, section.crons, "crons");
        (self.engines.kv, self.engines.queues, self.engines.crons) = (kv, queues, crons);
    }

    /// The engine at a URL, which stands `at` this place. One that cannot be looked up is a problem.
    pub(super) fn engine(&mut self, url: StorageUrl, at: &KeyPath) -> Option<Engine> {
        let url = match url {
            StorageUrl::Local => return Some(Engine::Local),
            StorageUrl::Postgres(url) => url,
            StorageUrl::Variable(name) => {
                let Some(text) = self.lookup.get(&name) else {
                    self.unset(at, &name);
                    return None;
                };
                match text.reveal().parse() {
                    Ok(StorageUrl::Local) => return Some(Engine::Local),
                    Ok(StorageUrl::Postgres(url)) => url,
                    Ok(StorageUrl::Variable(_)) => return self.wrong(&name, "names another variable", at),
                    Err(reason) => return self.wrong(&name, &reason, at),
                }
            }
        };
        if let Some(server) = self.engines.servers.get(url.reveal()) {
            return Some(Engine::Postgres(server.clone()));
        }
        let limits = &self.engines.limits;
        match PostgresServer::new(url.reveal()) {
            Ok(server) => {
                let server = server.max_connections(limits.max_connections).timeout(limits.timeout);
                let server = server.queue_len_max(limits.queue_len_max);
                self.engines.servers.insert(url.reveal().to_owned(), server.clone());
                Some(Engine::Postgres(server))
            }
            Err(error) => self.wrong(&at.to_string(), &error.to_string(), at),
        }
    }

    fn wrong(&mut self, key: &str, reason: &str, at: &KeyPath) -> Option<Engine> {
        let fault = Fault::BadValue {
            key: key.to_owned(),
            value: "(not shown)".to_owned(),
            reason: reason.to_owned(),
        };
        self.tell(at, fault, "change the value");
        None
    }
}
