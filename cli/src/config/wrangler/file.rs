//! The contents of a wrangler file that Isopod supports.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::bindings::Sections;
use crate::config::cron::Cron;
use crate::config::file::Var;
use crate::config::values::{RoutePattern, WorkerName};

/// The file: the top-level section and the environments.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct WranglerFile {
    #[serde(rename = "$schema")]
    pub(super) schema: Option<String>,
    #[serde(flatten)]
    pub(super) top: Section,
    pub(super) dev: Option<Dev>,
    pub(super) env: BTreeMap<String, Section>,
}

/// Keys of the top level and of environments.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Section {
    #[schemars(extend("format" = WorkerName::FORMAT))]
    pub(super) name: Option<String>,
    pub(super) main: Option<PathBuf>,
    pub(super) base_dir: Option<PathBuf>,
    pub(super) compatibility_date: Option<String>,
    pub(super) compatibility_flags: Option<Vec<String>>,
    pub(super) vars: Option<BTreeMap<String, Var>>,
    pub(super) secrets: Option<Secrets>,
    pub(super) route: Option<WranglerRoute>,
    pub(super) routes: Option<Vec<WranglerRoute>>,
    #[serde(flatten)]
    #[schemars(schema_with = "Sections::wrangler_schema")]
    pub(super) bindings: Sections,
    pub(super) limits: Option<WranglerLimits>,
    pub(super) triggers: Option<Triggers>,
    pub(super) rules: Option<Vec<Rule>>,
    pub(super) alias: Option<BTreeMap<String, String>>,
    pub(super) define: Option<BTreeMap<String, String>>,
    pub(super) jsx_factory: Option<String>,
    pub(super) jsx_fragment: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum WranglerRoute {
    Pattern(RoutePattern),
    Full(RouteOnZone),
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct RouteOnZone {
    pub(super) pattern: RoutePattern,
    #[serde(default)]
    pub(super) zone_name: Option<String>,
    #[serde(default)]
    pub(super) zone_id: Option<String>,
    #[serde(default)]
    pub(super) custom_domain: bool,
    #[serde(default)]
    pub(super) enabled: Option<bool>,
    #[serde(default)]
    pub(super) previews_enabled: Option<bool>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct WranglerLimits {
    #[schemars(range(min = 1))]
    pub(super) cpu_ms: Option<u64>,
    pub(super) subrequests: Option<usize>,
}

/// Names of secrets, whose values are in the env files.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Secrets {
    pub(super) required: Vec<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Triggers {
    pub(super) crons: Option<Vec<Cron>>,
    pub(super) events: Option<Vec<serde_json::Value>>,
}

/// A rule for module types. Those by extension follow whether or not it falls through.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Rule {
    #[serde(rename = "type")]
    pub(super) kind: RuleKind,
    pub(super) globs: Vec<String>,
    #[serde(default)]
    pub(super) fallthrough: Option<bool>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) enum RuleKind {
    Text,
    Data,
    CompiledWasm,
    ESModule,
    CommonJS,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Dev {
    pub(super) ip: Option<String>,
    #[schemars(range(max = 65535))]
    pub(super) port: Option<u16>,
    pub(super) local_protocol: Option<String>,
    pub(super) upstream_protocol: Option<String>,
    pub(super) host: Option<String>,
    pub(super) inspector_ip: Option<String>,
    pub(super) inspector_port: Option<u16>,
    pub(super) enable_containers: Option<bool>,
    pub(super) container_engine: Option<serde_json::Value>,
    pub(super) generate_types: Option<bool>,
}
