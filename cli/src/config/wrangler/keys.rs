//! Keys of wrangler's files that this build knows and does not act on.

/// Accepted, because a Worker does the same without what they ask for; each gets a note.
pub(super) const NO_EFFECT: &[&str] = &[
    "account_id",
    "base_dir",
    "build",
    "compliance_region",
    "first_party_worker",
    "find_additional_modules",
    "jsx_factory",
    "jsx_fragment",
    "keep_names",
    "keep_vars",
    "legacy_env",
    "logpush",
    "migrations",
    "minify",
    "no_bundle",
    "node_compat",
    "observability",
    "placement",
    "preserve_file_names",
    "preview_urls",
    "send_metrics",
    "tail_consumers",
    "tsconfig",
    "upload_source_maps",
    "usage_model",
    "workers_dev",
    "zone_id",
];

/// Capabilities that this build does not have: a Worker that asks for one would fail at its first use, so it is told
/// before. The second column completes "this build has no …".
pub(super) const MISSING: &[(&str, &str)] = &[
    ("ai", "AI binding"),
    ("ai_search", "AI search binding"),
    ("alias", "module aliases; use an import map"),
    ("analytics_engine_datasets", "Analytics Engine binding"),
    ("assets", "static assets"),
    ("browser", "browser binding"),
    ("cloudchamber", "containers"),
    ("containers", "containers"),
    ("data_blobs", "data blobs; import the file instead"),
    ("define", "build-time constants; use `vars`"),
    ("dispatch_namespaces", "dispatch namespaces"),
    ("durable_objects", "Durable Objects"),
    (
        "hyperdrive",
        "Hyperdrive binding; give the database as `[[databases]]` in isopod.toml",
    ),
    ("images", "Images binding"),
    ("kv_namespaces", "KV binding"),
    ("logfwdr", "log forwarding"),
    ("media", "Media binding"),
    ("mtls_certificates", "mTLS binding"),
    ("pipelines", "Pipelines binding"),
    ("queues", "queue binding"),
    ("r2_buckets", "R2 binding"),
    ("ratelimits", "rate limit binding"),
    (
        "secrets_store_secrets",
        "secrets store; put the values into `.dev.vars`",
    ),
    ("send_email", "email binding"),
    ("services", "service binding"),
    ("site", "Workers Sites"),
    ("text_blobs", "text blobs; import the file instead"),
    ("unsafe", "unsafe bindings"),
    ("vectorize", "Vectorize binding"),
    ("version_metadata", "version metadata binding"),
    ("vpc_services", "VPC binding"),
    ("wasm_modules", "Wasm bindings; import the module instead"),
    ("worker_loaders", "worker loader binding"),
    ("workflows", "Workflows"),
];

/// All of them, for suggestions.
pub(super) fn all() -> Vec<&'static str> {
    NO_EFFECT
        .iter()
        .copied()
        .chain(MISSING.iter().map(|(name, _)| *name))
        .collect()
}
