//! `[[secrets_store_secrets]]`, also of wrangler's files: secrets that are read with `get()`.

use std::fmt;
use std::sync::Arc;

use anyhow::Result;
use isopod::bindings::{Binding, StoreSecret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Configure, Configured, Env, Materials, Wrangler, WranglerKey};
use crate::config::document::KeyPath;
use crate::config::reading::Reading;
use crate::config::values::Secret;

pub(super) struct StoreSecrets;

impl Configure for StoreSecrets {
    const KEY: &'static str = "secrets_store_secrets";
    const ABOUT: &'static str = "Secrets in `env` that are read with `await env.NAME.get()`.";
    type Section = Vec<Section>;
    const WRANGLER: &'static [WranglerKey] = &[WranglerKey::of::<Vec<Section>>()];

    fn resolve(section: Vec<Section>, at: &KeyPath, reading: &mut Reading<'_>, env: &mut Env) {
        for (index, section) in section.into_iter().enumerate() {
            let at = at.index(index);
            env.claim(&section.binding, &at.key("binding"), reading);
            let value = reading.lookup.get(&section.secret_name);
            if value.is_none() {
                let message = format!(
                    "`{}`: the variable {} is not set; `env.{}.get()` will fail",
                    at.key("secret_name"),
                    section.secret_name,
                    section.binding
                );
                reading.note(&at.key("secret_name"), message);
            }
            let secret = Found {
                name: section.secret_name,
                value,
            };
            env.bind(section.binding, secret);
        }
    }
}

/// A secret of a store. Its value is that of a variable of the environment or of an env file.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Section {
    /// Name in `env`.
    binding: String,
    /// The variable with its value.
    secret_name: String,
    /// The id of the store. It has no effect: there is one store, the variables.
    #[serde(default)]
    store_id: Option<String>,
}

struct Found {
    name: String,
    value: Option<Secret>,
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoreSecret").field(&self.name).finish()
    }
}

impl Configured for Found {
    fn kind(&self) -> &'static str {
        "secrets store"
    }

    fn typescript(&self) -> String {
        "SecretsStoreSecret".to_owned()
    }

    fn make(&self, _from: &Materials<'_>) -> Result<Arc<dyn Binding>> {
        let value = self.value.as_ref().map(|value| value.reveal().to_owned());
        Ok(Arc::new(StoreSecret::new(&self.name, value)))
    }
}

impl Wrangler for Vec<Section> {
    const KEY: &'static str = "secrets_store_secrets";
    type Section = Self;

    fn translate(self, _at: &KeyPath, _reading: &mut Reading<'_>) -> Self {
        self
    }
}
