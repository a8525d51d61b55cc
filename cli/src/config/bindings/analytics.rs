//! `[[analytics_engine_datasets]]`, also of wrangler's files: datasets of data points.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use isopod::bindings::Binding;
use isopod::bindings::analytics::{AnalyticsBinding, SqliteAnalytics};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::stored::default_file;
use super::{Configure, Configured, Env, Materials, Wrangler, WranglerKey};
use crate::config::document::KeyPath;
use crate::config::reading::Reading;
use crate::config::text::Size;

pub(super) struct Datasets;

impl Configure for Datasets {
    const KEY: &'static str = "analytics_engine_datasets";
    const ABOUT: &'static str = "Analytics Engine datasets in `env`.";
    type Section = Vec<Section>;
    const WRANGLER: &'static [WranglerKey] = &[WranglerKey::of::<Vec<Written>>()];

    fn resolve(section: Vec<Section>, at: &KeyPath, reading: &mut Reading<'_>, env: &mut Env) {
        for (index, section) in section.into_iter().enumerate() {
            let at = at.index(index);
            env.claim(&section.binding, &at.key("binding"), reading);
            let dataset = section.dataset.unwrap_or_else(|| section.binding.clone());
            let path = section
                .path
                .or_else(|| default_file("analytics", &dataset, &at.key("dataset"), reading));
            if let Some(path) = path {
                let dataset = Dataset {
                    name: dataset,
                    path: reading.source.folder().join(path),
                    limits: section.limits,
                };
                env.bind(section.binding, dataset);
            }
        }
    }
}

/// A dataset, and the file that keeps its data points.
#[derive(Clone, Debug)]
struct Dataset {
    name: String,
    path: PathBuf,
    limits: Limits,
}

impl Configured for Dataset {
    fn kind(&self) -> &'static str {
        "Analytics Engine"
    }

    fn typescript(&self) -> String {
        "AnalyticsEngineDataset".to_owned()
    }

    fn make(&self, _from: &Materials<'_>) -> Result<Arc<dyn Binding>> {
        let store = SqliteAnalytics::new(&self.path, &self.name)
            .bytes_max(self.limits.bytes_max)
            .queue_len_max(self.limits.queue_len_max);
        Ok(Arc::new(AnalyticsBinding::new(store)))
    }

    fn withheld(&self) -> Vec<PathBuf> {
        vec![self.path.clone()]
    }
}

/// An Analytics Engine dataset. Its data points are rows of the table `data_points` of a SQLite file.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Section {
    /// Name in `env`.
    binding: String,
    /// Name of the dataset. Default: the name in `env`.
    #[serde(default)]
    dataset: Option<String>,
    /// SQLite file, relative to this file's folder. Default: `.isopod/analytics/DATASET.sqlite`.
    #[serde(default)]
    path: Option<PathBuf>,
    #[serde(flatten)]
    limits: Limits,
}

/// Limits of a dataset.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct Limits {
    /// Maximum size of the file. Data points beyond it are dropped.
    #[serde(with = "Size")]
    bytes_max: u64,
    /// Maximum number of data points that wait to be written. Further ones are dropped.
    #[schemars(range(min = 1))]
    queue_len_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes_max: SqliteAnalytics::BYTES_MAX,
            queue_len_max: SqliteAnalytics::QUEUE_LEN_MAX,
        }
    }
}

/// A dataset in wrangler's files.
#[derive(Deserialize, JsonSchema)]
struct Written {
    binding: String,
    #[serde(default)]
    dataset: Option<String>,
}

impl Wrangler for Vec<Written> {
    const KEY: &'static str = "analytics_engine_datasets";
    type Section = Vec<Section>;

    fn translate(self, _at: &KeyPath, _reading: &mut Reading<'_>) -> Vec<Section> {
        let section = |written: Written| Section {
            binding: written.binding,
            dataset: written.dataset,
            path: None,
            limits: Limits::default(),
        };
        self.into_iter().map(section).collect()
    }
}
