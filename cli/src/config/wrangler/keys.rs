//! Keys of wrangler's files that Isopod knows and does not support.
//!
//! Together with `file` this covers every key of the schema that the npm package `wrangler` publishes
//! (`config-schema.json`); a test compares them.

/// Consequence of ignoring a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// None: the key is for deployment or tooling.
    None,
    /// The worker may behave differently; logged as a warning.
    Missed,
}

use Effect::{Missed, None};

/// Keys accepted without effect.
pub(super) const NO_EFFECT: &[(&str, Effect)] = &[
    ("access", Missed),
    ("account_id", None),
    ("addresses", Missed),
    ("build", Missed),
    ("cache", Missed),
    ("compliance_region", None),
    ("connect", Missed),
    ("dependencies_instrumentation", None),
    ("find_additional_modules", None),
    ("first_party_worker", None),
    ("keep_names", None),
    ("keep_vars", None),
    ("legacy_env", None),
    ("logpush", None),
    ("minify", None),
    ("no_bundle", None),
    ("node_compat", Missed),
    ("observability", None),
    ("placement", None),
    ("preserve_file_names", None),
    ("preview_urls", None),
    ("previews", None),
    ("python_modules", None),
    ("send_metrics", None),
    ("streaming_tail_consumers", Missed),
    ("tail_consumers", Missed),
    ("tsconfig", None),
    ("upload_source_maps", None),
    ("usage_model", None),
    ("workers_dev", None),
    ("zone_id", None),
];

/// Unsupported capabilities: a worker that needs one would fail at its first use, so the start fails instead. The second
/// column completes "this build has no …". An empty list or table is accepted.
pub(super) const MISSING: &[(&str, &str)] = &[
    ("agent_memory", "Agent Memory binding"),
    ("ai", "AI binding"),
    ("ai_search", "AI Search binding"),
    ("ai_search_namespaces", "AI Search binding"),
    ("analytics", "Analytics SQL binding"),
    ("artifacts", "Artifacts binding"),
    ("browser", "browser binding"),
    ("cloudchamber", "containers"),
    ("containers", "containers"),
    ("data_blobs", "data blobs; import the file instead"),
    ("dispatch_namespaces", "dispatch namespaces"),
    ("exports", "Durable Objects"),
    ("flagship", "Flagship binding"),
    ("images", "Images binding"),
    ("k2", "K2 binding"),
    ("logfwdr", "log forwarding"),
    ("media", "Media binding"),
    ("mtls_certificates", "mTLS binding"),
    (
        "pages_build_output_dir",
        "Pages projects; `isopod serve` of the folder itself serves its files",
    ),
    ("pipelines", "Pipelines binding"),
    ("send_email", "email binding"),
    ("site", "Workers Sites"),
    ("stream", "Stream binding"),
    ("text_blobs", "text blobs; import the file instead"),
    ("unsafe_hello_world", "unsafe bindings"),
    ("vectorize", "Vectorize binding"),
    ("vpc_networks", "VPC binding"),
    ("vpc_services", "VPC binding"),
    ("wasm_modules", "Wasm bindings; import the module instead"),
    ("worker_loaders", "worker loader binding"),
    ("workflows", "Workflows"),
];

/// Returns all known keys, for suggestions.
pub(super) fn all() -> Vec<&'static str> {
    NO_EFFECT
        .iter()
        .map(|(name, _)| *name)
        .chain(MISSING.iter().map(|(name, _)| *name))
        .collect()
}
