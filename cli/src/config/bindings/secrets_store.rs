//! `[[secrets_store_secrets]]`, also of wrangler's files: secrets that are read with `get()`.

use std::fmt;
use std::sync::Arc;

use anyhow::Result;
use isopod::bindings::{Binding, StoreSecret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Configured, Materials, Row, WranglerKey, WranglerRow};
use crate::config::document::KeyPath;
use crate::config::reading::Reading;
use crate::config::values::Secret;

impl Row for Section {
    const KEY: &'static str = "secrets_store_secrets";
    const ABOUT: &'static str = "Secrets in `env` that are read with `await env.NAME.get()`.";
    const WRANGLER: &'static [WranglerKey] = &[WranglerKey::of::<Vec<Self>>()];
    type Binding = Found;

    fn name(&self) -> &str {
        &self.binding
    }

    fn resolve(self, at: &KeyPath, reading: &mut Reading<'_>) -> Option<Found> {
        let Self {
            binding, secret_name, ..
        } = self;
        let value = reading.lookup.get(&secret_name);
        if value.is_none() {
            let key = at.key("secret_name");
            let message = format!("`{key}`: the variable {secret_name} is not set; `env.{binding}.get()` will fail");
            reading.note(&key, message);
        }
        let name = secret_name;
        Some(Found { name, value })
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

/// A secret, with its value if the variable is set.
pub(super) struct Found {
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

impl WranglerRow for Section {
    const KEY: &'static str = "secrets_store_secrets";
    type Row = Self;

    fn translate(self, _at: &KeyPath, _reading: &mut Reading<'_>) -> Option<Self> {
        Some(self)
    }
}
