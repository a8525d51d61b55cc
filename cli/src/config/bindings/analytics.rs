//! `[[analytics_engine_datasets]]`, also of wrangler's files: datasets of data points.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use isopod::bindings::Binding;
use isopod::bindings::analytics::{AnalyticsBinding, SqliteAnalytics};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::stored::default_file;
use super::{Configured, Materials, Row, WranglerKey, WranglerRow};
use crate::config::document::KeyPath;
use crate::config::reading::Reading;
use crate::config::text::Size;

impl Row for Section {
    const KEY: &'static str = "analytics_engine_datasets";
    const ABOUT: &'static str = "Analytics Engine datasets in `env`.";
    const WRANGLER: &'static [WranglerKey] = &[WranglerKey::of::<Vec<Written>>()];
    type Binding = Dataset;

    fn name(&self) -> &str {
        &self.binding
    }

    fn resolve(self, at: &KeyPath, reading: &mut Reading<'_>) -> Option<Dataset> {
        let name = self.dataset.unwrap_or(self.binding);
        let path = self.path;
        let path = path.or_else(|| default_file("analytics", &name, &at.key("dataset"), reading))?;
        Some(Dataset {
            name,
            path: reading.data_path(&path),
            limits: self.limits,
        })
    }
}

/// A dataset, and the file that keeps its data points.
#[derive(Clone, Debug)]
pub(super) struct Dataset {
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

impl WranglerRow for Written {
    const KEY: &'static str = "analytics_engine_datasets";
    type Row = Section;

    fn translate(self, _at: &KeyPath, _reading: &mut Reading<'_>) -> Option<Section> {
        Some(Section {
            binding: self.binding,
            dataset: self.dataset,
            path: None,
            limits: Limits::default(),
        })
    }
}
