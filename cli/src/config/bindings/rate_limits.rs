//! `[[rate_limits]]`, and `ratelimits` of wrangler's files (`unsafe.bindings` of older ones): rate limits.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use isopod::bindings::Binding;
use isopod::bindings::rate_limit::RateLimit;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{Configured, Materials, Row, Wrangler, WranglerKey, WranglerRow};
use crate::config::document::KeyPath;
use crate::config::problem::Fault;
use crate::config::reading::Reading;

impl Row for Section {
    const KEY: &'static str = "rate_limits";
    const ABOUT: &'static str = "Rate limits in `env`.";
    const WRANGLER: &'static [WranglerKey] = &[WranglerKey::of::<Vec<Written>>(), WranglerKey::of::<Unsafe>()];
    type Binding = Self;

    fn name(&self) -> &str {
        &self.binding
    }

    fn resolve(self, _at: &KeyPath, _reading: &mut Reading<'_>) -> Option<Self> {
        Some(self)
    }
}

/// A rate limit: a number of calls for each key in each window of time.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Section {
    /// Name in `env`.
    binding: String,
    /// Maximum number of calls for a key in a window.
    #[schemars(range(min = 1))]
    limit: u32,
    /// Length of a window.
    period: Period,
    /// Namespace of the counts. Rate limits of one namespace share them, also those of other workers, if their periods are the
    /// same; each has its own `limit`. Counts survive a redeployment. Default: a namespace of this worker and binding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    namespace_id: Option<String>,
    /// Maximum number of keys that are counted at a time. If there are more, the counts of keys with few calls are dropped.
    #[serde(default = "keys_max")]
    #[schemars(range(min = 1, max = 10_000_000))]
    keys_max: usize,
}

const fn keys_max() -> usize {
    RateLimit::KEYS_MAX
}

/// The windows that Workers have.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
enum Period {
    #[serde(rename = "10s")]
    TenSeconds,
    #[serde(rename = "60s")]
    Minute,
}

impl Configured for Section {
    fn kind(&self) -> &'static str {
        "rate limit"
    }

    fn typescript(&self) -> String {
        "RateLimit".to_owned()
    }

    fn make(&self, from: &Materials<'_>) -> Result<Arc<dyn Binding>> {
        let window = match self.period {
            Period::TenSeconds => Duration::from_secs(10),
            Period::Minute => Duration::from_secs(60),
        };
        let namespace = match &self.namespace_id {
            Some(id) => format!("namespace {id}"),
            None => format!("worker {}, binding {}", from.worker, self.binding),
        };
        let limit = from
            .rate_limits
            .rate_limit(&namespace, self.limit, window, self.keys_max);
        Ok(Arc::new(limit))
    }
}

/// A rate limit in wrangler's files.
#[derive(Deserialize, JsonSchema)]
struct Written {
    name: String,
    #[serde(default)]
    namespace_id: Option<String>,
    simple: Simple,
}

#[derive(Deserialize, JsonSchema)]
struct Simple {
    #[schemars(range(min = 1))]
    limit: u32,
    period: u32,
}

impl WranglerRow for Written {
    const KEY: &'static str = "ratelimits";
    type Row = Section;

    fn translate(self, at: &KeyPath, reading: &mut Reading<'_>) -> Option<Section> {
        section(self.name, self.namespace_id, &self.simple, at, reading)
    }
}

fn section(
    binding: String,
    namespace_id: Option<String>,
    simple: &Simple,
    at: &KeyPath,
    reading: &mut Reading<'_>,
) -> Option<Section> {
    let period = match simple.period {
        10 => Period::TenSeconds,
        60 => Period::Minute,
        other => {
            let key = at.key("simple").key("period");
            let fault = Fault::BadValue {
                key: key.to_string(),
                value: other.to_string(),
                reason: "should be 10 or 60".to_owned(),
            };
            reading.tell(&key, fault, "it is a number of seconds");
            return None;
        }
    };
    Some(Section {
        binding,
        limit: simple.limit,
        period,
        namespace_id,
        keys_max: keys_max(),
    })
}

/// The place of rate limits in older wrangler files. Other bindings in it are not supported.
#[derive(Deserialize, JsonSchema)]
struct Unsafe {
    #[serde(default)]
    bindings: Vec<UnsafeBinding>,
    #[serde(default)]
    metadata: Option<Json>,
    #[serde(default)]
    capnp: Option<Json>,
}

#[derive(Deserialize, JsonSchema)]
struct UnsafeBinding {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    #[serde(default)]
    namespace_id: Option<String>,
    #[serde(default)]
    simple: Option<Simple>,
}

impl Wrangler for Unsafe {
    const KEY: &'static str = "unsafe";
    type Section = Vec<Section>;

    fn translate(self, at: &KeyPath, reading: &mut Reading<'_>) -> Vec<Section> {
        let mut sections = Vec::new();
        let mut refused = Vec::new();
        for (index, written) in self.bindings.into_iter().enumerate() {
            let at = at.key("bindings").index(index);
            match written.simple.filter(|_| written.kind == "ratelimit") {
                Some(simple) => sections.extend(section(written.name, written.namespace_id, &simple, &at, reading)),
                None => refused.push(at),
            }
        }
        refused.extend(self.metadata.or(self.capnp).map(|_| at.clone()));
        for at in refused {
            let fault = Fault::NoSuchBinding {
                key: at.to_string(),
                capability: "unsafe bindings but rate limits".to_owned(),
            };
            reading.tell(&at, fault, "remove it if the worker runs without");
        }
        sections
    }
}
