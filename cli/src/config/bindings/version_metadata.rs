//! `version_metadata`, also of wrangler's files: the version of a worker.

use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Result;
use isopod::bindings::{Binding, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{Configure, Configured, Env, Materials, Wrangler, WranglerKey};
use crate::config::document::KeyPath;
use crate::config::reading::Reading;

pub(super) struct VersionMetadata;

impl Configure for VersionMetadata {
    const KEY: &'static str = "version_metadata";
    const ABOUT: &'static str = "The worker's version in `env`: `id` (new for each deployment), `tag` and `timestamp`.";
    type Section = Option<Section>;
    const WRANGLER: &'static [WranglerKey] = &[WranglerKey::of::<Written>()];

    fn resolve(section: Option<Section>, at: &KeyPath, reading: &mut Reading<'_>, env: &mut Env) {
        if let Some(section) = section {
            env.claim(&section.binding, &at.key("binding"), reading);
            env.bind(section.binding.clone(), section);
        }
    }
}

/// The worker's version in `env`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Section {
    /// Name in `env`.
    binding: String,
    /// The tag of the version, such as a release's name.
    #[serde(default)]
    tag: String,
}

impl Configured for Section {
    fn kind(&self) -> &'static str {
        "version metadata"
    }

    fn typescript(&self) -> String {
        "WorkerVersionMetadata".to_owned()
    }

    fn make(&self, _from: &Materials<'_>) -> Result<Arc<dyn Binding>> {
        Ok(Arc::new(Json(json!({
            "id": Uuid::new_v4().to_string(),
            "tag": self.tag,
            "timestamp": humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
        }))))
    }
}

/// The same in wrangler's files.
#[derive(Deserialize, JsonSchema)]
struct Written {
    binding: String,
}

impl Wrangler for Written {
    const KEY: &'static str = "version_metadata";
    type Section = Section;

    fn translate(self, _at: &KeyPath, _reading: &mut Reading<'_>) -> Section {
        Section {
            binding: self.binding,
            tag: String::new(),
        }
    }
}
