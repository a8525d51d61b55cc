//! The table of compatibility flags. The names, dates and implications are those of Workers.

use super::CompatibilityDate;

/// A behavior that date and flags choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    /// Node.js modules by their names with a prefix.
    Node,
    /// Node.js modules without the prefix, and globals.
    NodeBare,
    /// `node:async_hooks` without the rest.
    AsyncLocalStorage,
    /// Text bindings in `process.env`.
    ProcessEnv,
    /// The global `navigator`.
    Navigator,
    /// Static assets for navigations that no asset matches.
    AssetNavigations,
}

/// Flags that turn a behavior on and off, and its default.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) setting: Setting,
    pub(super) on: &'static str,
    pub(super) off: &'static str,
    pub(super) default: Default,
}

/// The condition under which a behavior is on without a flag.
#[derive(Debug, Clone, Copy)]
pub(super) enum Default {
    Never,
    /// From this date on.
    From(CompatibilityDate),
    /// From this date on, if another behavior is on, which an earlier rule decides.
    With(Setting, CompatibilityDate),
}

impl Default {
    pub(super) fn applies(self, date: CompatibilityDate, on: &[Setting]) -> bool {
        match self {
            Self::Never => false,
            Self::From(start) => date >= start,
            Self::With(other, start) => date >= start && on.contains(&other),
        }
    }
}

const fn date(year: u16, month: u8, day: u8) -> CompatibilityDate {
    CompatibilityDate::new(year, month, day)
}

/// Behaviors that Isopod implements both ways. A rule may depend on those before it.
pub(super) const RULES: &[Rule] = &[
    Rule {
        setting: Setting::Node,
        on: "nodejs_compat",
        off: "no_nodejs_compat",
        default: Default::From(date(2026, 8, 4)),
    },
    Rule {
        setting: Setting::NodeBare,
        on: "nodejs_compat_v2",
        off: "no_nodejs_compat_v2",
        default: Default::With(Setting::Node, date(2024, 9, 23)),
    },
    Rule {
        setting: Setting::AsyncLocalStorage,
        on: "nodejs_als",
        off: "no_nodejs_als",
        default: Default::Never,
    },
    Rule {
        setting: Setting::ProcessEnv,
        on: "nodejs_compat_populate_process_env",
        off: "nodejs_compat_do_not_populate_process_env",
        default: Default::With(Setting::Node, date(2025, 4, 1)),
    },
    Rule {
        setting: Setting::Navigator,
        on: "global_navigator",
        off: "no_global_navigator",
        default: Default::From(date(2022, 3, 21)),
    },
    Rule {
        setting: Setting::AssetNavigations,
        on: "assets_navigation_prefers_asset_serving",
        off: "assets_navigation_has_no_effect",
        default: Default::From(date(2025, 4, 1)),
    },
];

/// The effect of a known flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// The flag changes a behavior: one of [`RULES`].
    Changes,
    /// Isopod always behaves like this.
    Always,
    /// None, for this reason.
    Nothing(&'static str),
}

const FIXED: &str = "Isopod always has the behavior of the newest date";
const WITH_NODE: &str = "a Node.js module cannot be turned off by itself; use `no_nodejs_compat`";
const ELSEWHERE: &str = "it concerns what Isopod does not have, or does in its own way";

/// Behaviors that are always on, and the flags that would turn them off.
const STANDARD: &[(&str, &str)] = &[
    (
        "formdata_parser_supports_files",
        "formdata_parser_converts_files_to_strings",
    ),
    (
        "fetch_refuses_unknown_protocols",
        "fetch_treats_unknown_protocols_as_http",
    ),
    (
        "streams_byob_reader_detaches_buffer",
        "streams_byob_reader_does_not_detach_buffer",
    ),
    ("streams_enable_constructors", "streams_disable_constructors"),
    (
        "workers_api_getters_setters_on_prototype",
        "workers_api_getters_setters_on_instance",
    ),
    ("url_standard", "url_original"),
    ("capture_async_api_throws", "do_not_capture_async_api_throws"),
    ("dont_substitute_null_on_type_error", "substitute_null_on_type_error"),
    (
        "transformstream_enable_standard_constructor",
        "transformstream_disable_standard_constructor",
    ),
    ("export_commonjs_default", "export_commonjs_namespace"),
    ("response_redirect_url_standard", "response_redirect_url_original"),
    ("http_headers_getsetcookie", "no_http_headers_getsetcookie"),
    (
        "urlsearchparams_delete_has_value_arg",
        "no_urlsearchparams_delete_has_value_arg",
    ),
    ("strict_compression_checks", "no_strict_compression_checks"),
    ("brotli_content_encoding", "no_brotli_content_encoding"),
    ("strict_crypto_checks", "no_strict_crypto_checks"),
    ("crypto_preserve_public_exponent", "no_crypto_preserve_public_exponent"),
    ("no_global_importscripts", "global_importscripts"),
    ("fetcher_no_get_put_delete", "fetcher_has_get_put_delete"),
    ("unwrap_custom_thenables", "no_unwrap_custom_thenables"),
    (
        "internal_stream_byob_return_view",
        "internal_stream_byob_return_undefined",
    ),
    ("blob_standard_mime_type", "blob_legacy_mime_type"),
    ("fetch_standard_url", "fetch_legacy_url"),
    ("global_fetch_strictly_public", "global_fetch_private_origin"),
    ("allow_custom_ports", "ignore_custom_ports"),
    (
        "internal_writable_stream_abort_clears_queue",
        "internal_writable_stream_abort_does_not_clear_queue",
    ),
    ("set_tostring_tag", "do_not_set_tostring_tag"),
    ("upper_case_all_http_methods", "no_upper_case_all_http_methods"),
    (
        "fixup-transform-stream-backpressure",
        "original-transform-stream-backpressure",
    ),
    ("urlpattern_standard", "urlpattern_original"),
    ("enable_weak_ref", "disable_weak_ref"),
    ("enable_navigator_language", "disable_navigator_language"),
    ("allow_eval_during_startup", "disallow_eval_during_startup"),
    ("enable_request_signal", "disable_request_signal"),
    (
        "bind_asynclocalstorage_snapshot_to_request",
        "do_not_bind_asynclocalstorage_snapshot_to-request",
    ),
    (
        "throw_on_unrecognized_import_assertion",
        "ignore_unrecognized_import_assertion",
    ),
    ("set_event_target_this", "no_set_event_target_this"),
    ("expose_global_message_channel", "no_expose_global_message_channel"),
    (
        "enable_global_performance_classes",
        "disable_global_performance_classes",
    ),
    (
        "strip_authorization_on_cross_origin_redirect",
        "retain_authorization_on_cross_origin_redirect",
    ),
    (
        "handle_cross_request_promise_resolution",
        "no_handle_cross_request_promise_resolution",
    ),
    ("allow_importable_env", "disallow_importable_env"),
];

/// Parts of Node.js compatibility that are on whenever it is, and the flags that would turn them off.
const PARTS_OF_NODE: &[(&str, &str)] = &[
    ("nodejs_zlib", "no_nodejs_zlib"),
    ("enable_nodejs_process_v2", "disable_nodejs_process_v2"),
    ("enable_nodejs_http_modules", "disable_nodejs_http_modules"),
    (
        "enable_nodejs_http_server_modules",
        "disable_nodejs_http_server_modules",
    ),
    ("enable_nodejs_fs_module", "disable_nodejs_fs_module"),
    ("enable_nodejs_os_module", "disable_nodejs_os_module"),
    ("enable_nodejs_http2_module", "disable_nodejs_http2_module"),
    ("enable_nodejs_console_module", "disable_nodejs_console_module"),
    ("enable_nodejs_vm_module", "disable_nodejs_vm_module"),
    ("enable_nodejs_perf_hooks_module", "disable_nodejs_perf_hooks_module"),
    ("enable_nodejs_domain_module", "disable_nodejs_domain_module"),
    ("enable_nodejs_v8_module", "disable_nodejs_v8_module"),
    ("enable_nodejs_tty_module", "disable_nodejs_tty_module"),
    ("enable_nodejs_punycode_module", "disable_nodejs_punycode_module"),
    ("enable_nodejs_cluster_module", "disable_nodejs_cluster_module"),
    (
        "enable_nodejs_child_process_module",
        "disable_nodejs_child_process_module",
    ),
    (
        "enable_nodejs_worker_threads_module",
        "disable_nodejs_worker_threads_module",
    ),
    ("enable_nodejs_wasi_module", "disable_nodejs_wasi_module"),
    ("enable_nodejs_dgram_module", "disable_nodejs_dgram_module"),
    ("enable_nodejs_inspector_module", "disable_nodejs_inspector_module"),
    (
        "enable_nodejs_trace_events_module",
        "disable_nodejs_trace_events_module",
    ),
    ("remove_nodejs_compat_eol", "add_nodejs_compat_eol"),
];

/// Flags without a meaning in Isopod.
const OTHERS: &[&str] = &[
    "minimal_subrequests",
    "no_minimal_subrequests",
    "no_cots_on_external_fetch",
    "cots_on_external_fetch",
    "html_rewriter_treats_esi_include_as_void_tag",
    "durable_object_fetch_requires_full_url",
    "durable_object_fetch_allows_relative_url",
    "r2_public_beta_bindings",
    "r2_internal_beta_bindings",
    "r2_list_honor_include",
    "durable_object_alarms",
    "web_socket_compression",
    "no_web_socket_compression",
    "tcp_sockets_support",
    "experimental",
    "dynamic_dispatch_tunnel_exceptions",
    "dynamic_dispatch_treat_exceptions_as_500",
    "no_cf_botmanagement_default",
    "cf_botmanagement_default",
    "vectorize_query_metadata_optional",
    "vectorize_query_original",
    "js_rpc",
    "rpc",
    "no_rpc",
    "queues_json_messages",
    "no_queues_json_messages",
    "python_workers",
    "cache_option_enabled",
    "cache_option_disabled",
    "cache_no_cache_enabled",
    "cache_no_cache_disabled",
    "request_cf_overrides_cache_rules",
    "no_request_cf_overrides_cache_rules",
    "cache_api_request_cf_overrides_cache_rules",
    "no_cache_api_request_cf_overrides_cache_rules",
    "cache_api_compat_flags",
    "no_cache_api_compat_flags",
    "queue_consumer_no_wait_for_wait_until",
    "queue_consumer_wait_for_wait_until",
    "request_signal_passthrough",
    "no_request_signal_passthrough",
    "disable_top_level_await_in_require",
    "enable_top_level_await_in_require",
    "unique_ctx_per_invocation",
    "nonclass_entrypoint_reuses_ctx_across_invocations",
    "set_forwardable_email_full_headers",
    "set_forwardable_email_single_headers",
    "enable_validate_workflow_entrypoint",
    "disable_validate_workflow_entrypoint",
    "pedantic_wpt",
    "non_pedantic_wpt",
    "new_module_registry",
    "legacy_module_registry",
];

/// Returns the effect of a flag, or `None` if it is not known.
pub(super) fn effect(flag: &str) -> Option<Effect> {
    if RULES.iter().any(|rule| rule.on == flag || rule.off == flag) {
        return Some(Effect::Changes);
    }
    for (pairs, reason) in [(STANDARD, FIXED), (PARTS_OF_NODE, WITH_NODE)] {
        for (on, off) in pairs {
            if *on == flag {
                return Some(Effect::Always);
            }
            if *off == flag {
                return Some(Effect::Nothing(reason));
            }
        }
    }
    OTHERS.contains(&flag).then_some(Effect::Nothing(ELSEWHERE))
}

/// Returns all known flags.
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    let rules = RULES.iter().map(|rule| (rule.on, rule.off));
    let pairs = STANDARD.iter().chain(PARTS_OF_NODE).copied();
    let both = rules.chain(pairs).flat_map(|(on, off)| [on, off]);
    both.chain(OTHERS.iter().copied())
}
