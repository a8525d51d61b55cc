//! `[[hyperdrive]]`, also of wrangler's files: databases that clients in scripts connect to.

use std::sync::Arc;

use anyhow::Result;
use isopod::bindings::{Binding, Hyperdrive};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Configure, Configured, Env, Materials, Wrangler, WranglerKey};
use crate::config::document::KeyPath;
use crate::config::problem::Fault;
use crate::config::reading::Reading;

/// Variables with the URL for a binding of wrangler's files, without its name at the end.
/// <https://developers.cloudflare.com/hyperdrive/configuration/local-development/>
const VARIABLES: [&str; 2] = [
    "CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_",
    "WRANGLER_HYPERDRIVE_LOCAL_CONNECTION_STRING_",
];

pub(super) struct Hyperdrives;

impl Configure for Hyperdrives {
    const KEY: &'static str = "hyperdrive";
    const ABOUT: &'static str = "Databases in `env` that a client in the script connects to.";
    type Section = Vec<Section>;
    const WRANGLER: &'static [WranglerKey] = &[WranglerKey::of::<Vec<Written>>()];

    fn resolve(section: Vec<Section>, at: &KeyPath, reading: &mut Reading<'_>, env: &mut Env) {
        for (index, section) in section.into_iter().enumerate() {
            let at = at.index(index);
            env.claim(&section.binding, &at.key("binding"), reading);
            if let Some((url, key)) = url(section.url, section.url_from, &at, reading) {
                match Hyperdrive::new(&url) {
                    Ok(database) => env.bind(section.binding, database),
                    Err(error) => {
                        let fault = Fault::BadValue {
                            key: key.to_string(),
                            value: "(not shown)".to_owned(),
                            reason: error.to_string(),
                        };
                        reading.tell(&key, fault, "give the URL of a PostgreSQL or MySQL database");
                    }
                }
            }
        }
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

/// The one URL of a database, and the key that gives it.
fn url(
    url: Option<String>,
    from: Option<String>,
    at: &KeyPath,
    reading: &mut Reading<'_>,
) -> Option<(String, KeyPath)> {
    match (url, from) {
        (Some(url), None) => Some((url, at.key("url"))),
        (None, Some(name)) => {
            let key = at.key("url_from");
            let value = reading.lookup.get(&name);
            if value.is_none() {
                reading.unset(&key, &name);
            }
            Some((value?.reveal().to_owned(), key))
        }
        (Some(_), Some(_)) => {
            let message = format!("`{at}` has both `url` and `url_from`");
            reading.tell(at, Fault::Conflict { message }, "keep one of them");
            None
        }
        (None, None) => {
            let key = at.key("url").to_string();
            let remedy = "add `url = \"postgres://user@host/name\"`, or `url_from = \"DATABASE_URL\"`";
            reading.tell(at, Fault::Missing { key }, remedy);
            None
        }
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

impl Wrangler for Vec<Written> {
    const KEY: &'static str = "hyperdrive";
    type Section = Vec<Section>;

    fn translate(self, at: &KeyPath, reading: &mut Reading<'_>) -> Vec<Section> {
        let mut sections = Vec::new();
        for (index, written) in self.into_iter().enumerate() {
            let variables = VARIABLES.map(|start| format!("{start}{}", written.binding));
            let url_from = variables.iter().find(|name| reading.lookup.get(name).is_some());
            if url_from.is_none() && written.local_connection_string.is_none() {
                let at = at.index(index);
                let key = at.key("localConnectionString").to_string();
                let remedy = format!("add it, or set the variable {}", variables[0]);
                reading.tell(&at, Fault::Missing { key }, remedy);
                continue;
            }
            sections.push(Section {
                binding: written.binding,
                url: written.local_connection_string.filter(|_| url_from.is_none()),
                url_from: url_from.cloned(),
            });
        }
        sections
    }
}
