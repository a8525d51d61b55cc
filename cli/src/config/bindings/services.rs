//! `[[services]]`, and `services` of wrangler's files: other workers.

use std::sync::Arc;

use anyhow::Result;
use isopod::FetcherBinding;
use isopod::bindings::Binding;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::{Configured, Materials, Row, WranglerKey, WranglerRow};
use crate::config::check::nearest;
use crate::config::document::KeyPath;
use crate::config::reading::Reading;

impl Row for Service {
    const KEY: &'static str = "services";
    const ABOUT: &'static str = "Service bindings in `env`: other workers.";
    const WRANGLER: &'static [WranglerKey] = &[WranglerKey::of::<Vec<Written>>()];
    type Binding = Self;

    fn name(&self) -> &str {
        &self.binding
    }

    fn resolve(self, at: &KeyPath, reading: &mut Reading<'_>) -> Option<Self> {
        reading.services.push((at.key("service"), self.service.clone()));
        Some(self)
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

impl WranglerRow for Written {
    const KEY: &'static str = "services";
    type Row = Service;

    fn translate(self, at: &KeyPath, reading: &mut Reading<'_>) -> Option<Service> {
        let unused = [
            ("environment", self.environment.is_some()),
            ("remote", self.remote == Some(true)),
        ];
        for (key, _) in unused.into_iter().filter(|(_, given)| *given) {
            let key = at.key(key);
            reading.note(&key, format!("`{key}` is accepted without effect"));
        }
        Some(Service {
            binding: self.binding,
            service: self.service,
            entrypoint: self.entrypoint,
            props: self.props,
        })
    }
}
