//! `[[hyperdrive]]`, also of wrangler's files: databases that clients in scripts connect to.

use std::sync::Arc;

use anyhow::Result;
use isopod::bindings::{Binding, Hyperdrive};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::stored::{GivenUrl, given_url};
use super::{Configured, Materials, Row, WranglerKey, WranglerRow};
use crate::config::document::KeyPath;
use crate::config::problem::Fault;
use crate::config::reading::Reading;

/// Variables with the URL for a binding of wrangler's files, without its name at the end.
/// <https://developers.cloudflare.com/hyperdrive/configuration/local-development/>
const VARIABLES: [&str; 2] = [
    "CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_",
    "WRANGLER_HYPERDRIVE_LOCAL_CONNECTION_STRING_",
];

impl Row for Section {
    const KEY: &'static str = "hyperdrive";
    const ABOUT: &'static str = "Databases in `env` that a client in the script connects to.";
    const WRANGLER: &'static [WranglerKey] = &[WranglerKey::of::<Vec<Written>>()];
    type Binding = Hyperdrive;

    fn name(&self) -> &str {
        &self.binding
    }

    fn resolve(self, at: &KeyPath, reading: &mut Reading<'_>) -> Option<Hyperdrive> {
        let (key, url) = match given_url(self.url, self.url_from, "postgres://user@host/name", at, reading)? {
            GivenUrl::Here(url) => (at.key("url"), url),
            GivenUrl::Variable(_, value) => (at.key("url_from"), value.reveal().to_owned()),
        };
        let problem = |error: &dyn std::fmt::Display| Fault::BadValue {
            key: key.to_string(),
            value: "(not shown)".to_owned(),
            reason: error.to_string(),
        };
        Hyperdrive::new(&url)
            .map_err(|error| reading.tell(&key, problem(&error), "give the URL of a PostgreSQL or MySQL database"))
            .ok()
    }
}

/// A database that a client in the script connects to, such as `pg`, `postgres` or `mysql2`.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Section {
    /// Name in `env`.
    binding: String,
    /// URL of the database: `postgres://user@host/name` or `mysql://user@host/name`.
    #[serde(default)]
    url: Option<String>,
    /// Environment variable that contains the URL, to keep a password out of this file.
    #[serde(default)]
    url_from: Option<String>,
}

impl Configured for Hyperdrive {
    fn kind(&self) -> &'static str {
        Binding::kind(self)
    }

    fn typescript(&self) -> String {
        "Hyperdrive".to_owned()
    }

    fn make(&self, _from: &Materials<'_>) -> Result<Arc<dyn Binding>> {
        Ok(Arc::new(self.clone()))
    }
}

/// A database in wrangler's files. The URL is that for local development: from a variable, or else from the file.
#[derive(Deserialize, JsonSchema)]
struct Written {
    binding: String,
    #[serde(default, rename = "id")]
    _id: Option<String>,
    #[serde(default, rename = "localConnectionString")]
    local_connection_string: Option<String>,
}

impl WranglerRow for Written {
    const KEY: &'static str = "hyperdrive";
    type Row = Section;

    fn translate(self, at: &KeyPath, reading: &mut Reading<'_>) -> Option<Section> {
        let variables = VARIABLES.map(|start| format!("{start}{}", self.binding));
        let url_from = variables.iter().find(|name| reading.lookup.get(name).is_some());
        if url_from.is_none() && self.local_connection_string.is_none() {
            let key = at.key("localConnectionString").to_string();
            let remedy = format!("add it, or set the variable {}", variables[0]);
            reading.tell(at, Fault::Missing { key }, remedy);
            return None;
        }
        Some(Section {
            binding: self.binding,
            url: self.local_connection_string.filter(|_| url_from.is_none()),
            url_from: url_from.cloned(),
        })
    }
}
