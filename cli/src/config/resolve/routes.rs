//! Resolution of routes.

use std::collections::BTreeMap;

use crate::config::check::nearest;
use crate::config::document::KeyPath;
use crate::config::file::{File, RouteFile, RouteTable};
use crate::config::problem::Fault;
use crate::config::reading::Reading;
use crate::config::settings::{Route, Worker};
use crate::config::values::RoutePattern;

impl Reading<'_> {
    pub(super) fn routes(&mut self, file: &File, workers: &BTreeMap<String, (KeyPath, Worker)>) -> Vec<Route> {
        let only = match workers.len() {
            1 => workers.keys().next().cloned(),
            _ => None,
        };
        let mut routes = Vec::new();
        for (index, route) in file.routes.iter().enumerate() {
            let path = KeyPath::of("routes").index(index);
            let table = match route {
                RouteFile::Pattern(pattern) => RouteTable {
                    pattern: Some(pattern.clone()),
                    ..RouteTable::default()
                },
                RouteFile::Full(table) => table.clone(),
            };
            let Some(pattern) = self.pattern(&path, &table) else {
                continue;
            };
            let known = workers.keys().map(String::as_str);
            match table.worker.or_else(|| only.clone()) {
                Some(worker) if workers.contains_key(&worker) => routes.push(Route { pattern, worker }),
                Some(worker) => {
                    let remedy = match nearest(&worker, known.clone()) {
                        Some(name) => format!("did you mean \"{name}\"?"),
                        None => format!("available workers: {}", known.collect::<Vec<_>>().join(", ")),
                    };
                    let key = path.key("worker");
                    let reason = "no worker has this name".to_owned();
                    let fault = Fault::BadValue {
                        key: key.to_string(),
                        value: format!("{worker:?}"),
                        reason,
                    };
                    self.tell(&key, fault, remedy);
                }
                None if workers.is_empty() => {}
                None => {
                    let remedy = format!("choose one of: {}", known.collect::<Vec<_>>().join(", "));
                    self.tell(
                        &path,
                        Fault::Missing {
                            key: path.key("worker").to_string(),
                        },
                        remedy,
                    );
                }
            }
        }
        match only {
            // Requests are those of the first configuration.
            _ if self.together.is_further() => {}
            Some(worker) if file.routes.is_empty() => routes.push(Route {
                pattern: RoutePattern::everything(),
                worker,
            }),
            None if file.routes.is_empty() && !workers.is_empty() => {
                let remedy = "add `[[routes]]` with `pattern = \"/*\"` and `worker = \"…\"` for each worker";
                self.tell(
                    &KeyPath::default(),
                    Fault::Missing {
                        key: "routes".to_owned(),
                    },
                    remedy,
                );
            }
            _ => {}
        }
        let bindings = || workers.values().flat_map(|(_, worker)| &worker.bindings);
        let is_service = |name: &str| {
            let mut services = bindings().filter_map(|bound| bound.binding.service());
            services.any(|service| service.service == *name)
        };
        for (name, (path, worker)) in workers {
            let by_itself = !worker.events.subscribe.is_empty()
                || !worker.crons.is_empty()
                || !worker.consumers.is_empty()
                || is_service(name)
                || self.together.is_further();
            if !by_itself && !routes.iter().any(|route| route.worker == *name) {
                self.note(path, format!("worker `{name}` has no route"));
            }
        }
        routes
    }

    fn pattern(&mut self, path: &KeyPath, table: &RouteTable) -> Option<RoutePattern> {
        match (&table.pattern, &table.host, &table.path) {
            (Some(pattern), None, None) => Some(pattern.clone()),
            (Some(_), ..) => {
                let message = format!("`{path}` has both `pattern` and `host` or `path`");
                self.tell(
                    path,
                    Fault::Conflict { message },
                    "use `pattern` alone, or `host` and `path`",
                );
                None
            }
            (None, None, None) => {
                let remedy = "add `pattern = \"example.com/api/*\"`, or `host` and `path`";
                self.tell(
                    path,
                    Fault::Missing {
                        key: path.key("pattern").to_string(),
                    },
                    remedy,
                );
                None
            }
            (None, host, at) => {
                let text = format!(
                    "{}{}",
                    host.as_deref().unwrap_or_default(),
                    at.as_deref().unwrap_or("/*")
                );
                match text.parse() {
                    Ok(pattern) => Some(pattern),
                    Err(reason) => {
                        let fault = Fault::BadValue {
                            key: path.to_string(),
                            value: format!("{text:?}"),
                            reason,
                        };
                        self.tell(path, fault, "`host` is only a host; `path` starts with `/`");
                        None
                    }
                }
            }
        }
    }
}
