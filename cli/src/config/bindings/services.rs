//! `[[services]]`, and `services` of wrangler's files: other workers.

use std::sync::Arc;

use anyhow::Result;
use isopod::FetcherBinding;
use isopod::bindings::Binding;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::{Configure, Configured, Env, Materials, Wrangler, WranglerKey};
use crate::config::check::nearest;
use crate::config::document::KeyPath;
use crate::config::reading::Reading;

pub(super) struct Services;

impl Configure for Services {
    const KEY: &'static str = "services";
    const ABOUT: &'static str = "Service bindings in `env`: other workers.";
    type Section = Vec<Service>;
    const WRANGLER: &'static [WranglerKey] = &[WranglerKey::of::<Vec<Written>>()];

    fn resolve(section: Vec<Service>, at: &KeyPath, reading: &mut Reading<'_>, env: &mut Env) {
        for (index, service) in section.into_iter().enumerate() {
            let at = at.index(index);
            env.claim(&service.binding, &at.key("binding"), reading);
            reading.services.push((at.key("service"), service.service.clone()));
            env.bind(service.binding.clone(), service);
        }
    }
}

/// A service binding: a worker of this configuration, itself included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Service {
    /// Name in `env`.
    pub binding: String,
    /// Name of the worker.
    pub service: String,
    /// The export that answers: a class or an object with a `fetch` method. Default: the default export.
    #[serde(default)]
    pub entrypoint: Option<String>,
    /// Properties that the entry point has as `ctx.props`. Default: none.
    #[serde(default)]
    pub props: Option<Map<String, Json>>,
}

impl Service {
    /// Returns the error for an entry point that is not among the exports of the worker.
    pub fn problem(&self, exports: &[String]) -> Option<String> {
        let entrypoint = self
            .entrypoint
            .as_ref()
            .filter(|entrypoint| !exports.contains(entrypoint))?;
        let Self { binding, service, .. } = self;
        let near = match nearest(entrypoint, exports.iter().map(String::as_str)) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("it exports {}", exports.join(", ")),
        };
        Some(format!(
            "its service binding `{binding}` has the entry point \"{entrypoint}\", which the worker \"{service}\" does not \
             export; {near}"
        ))
    }
}

impl Configured for Service {
    fn kind(&self) -> &'static str {
        "service"
    }

    /// Its methods are not known: they are in another worker's module.
    fn typescript(&self) -> String {
        "Fetcher".to_owned()
    }

    fn make(&self, from: &Materials<'_>) -> Result<Arc<dyn Binding>> {
        let name = match &self.entrypoint {
            Some(entrypoint) => format!("{}#{entrypoint}", self.service),
            None => self.service.clone(),
        };
        let binding = FetcherBinding::new(from.pool.fetcher(name));
        Ok(Arc::new(match &self.props {
            Some(props) => binding.props(Json::Object(props.clone())),
            None => binding,
        }))
    }

    fn service(&self) -> Option<&Service> {
        Some(self)
    }
}

/// A service binding in wrangler's files.
#[derive(Deserialize, JsonSchema)]
struct Written {
    binding: String,
    service: String,
    #[serde(default)]
    entrypoint: Option<String>,
    #[serde(default)]
    environment: Option<String>,
    #[serde(default)]
    remote: Option<bool>,
    #[serde(default)]
    props: Option<Map<String, Json>>,
}

impl Wrangler for Vec<Written> {
    const KEY: &'static str = "services";
    type Section = Vec<Service>;

    fn translate(self, at: &KeyPath, reading: &mut Reading<'_>) -> Vec<Service> {
        let mut services = Vec::new();
        for (index, written) in self.into_iter().enumerate() {
            let at = at.index(index);
            let unused = [
                ("environment", written.environment.is_some()),
                ("remote", written.remote == Some(true)),
            ];
            for (key, _) in unused.into_iter().filter(|(_, given)| *given) {
                let key = at.key(key);
                reading.note(&key, format!("`{key}` is accepted without effect"));
            }
            services.push(Service {
                binding: written.binding,
                service: written.service,
                entrypoint: written.entrypoint,
                props: written.props,
            });
        }
        services
    }
}
