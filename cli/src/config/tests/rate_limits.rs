use super::*;

/// A wrangler file with these keys beside its main module.
fn wrangler(keys: &str) -> Project {
    let text = format!("name = 'x'\nmain = 'a.ts'\n{keys}");
    Project::new(&[("wrangler.toml", &text), ("a.ts", "")])
}

/// The names and forms of the worker's bindings.
fn bindings(project: &Project) -> Vec<String> {
    let config = project.config();
    let worker = config.workers.values().next().expect("a worker");
    let shown = |bound: &Bound| format!("{} ({}) {:?}", bound.name, bound.binding.kind(), bound.binding);
    worker.bindings.iter().map(shown).collect()
}

#[test]
fn they_are_read_from_isopod_toml() {
    let text = "main = 'a.ts'\n[[rate_limits]]\nbinding = 'L'\nlimit = 5\nperiod = '10s'\n\
                [[rate_limits]]\nbinding = 'M'\nlimit = 6\nperiod = '60s'\nkeys_max = 9\nnamespace_id = '1002'";
    let expected = [
        "L (rate limit) Section { binding: \"L\", limit: 5, period: TenSeconds, namespace_id: None, keys_max: 65536 }",
        "M (rate limit) Section { binding: \"M\", limit: 6, period: Minute, namespace_id: Some(\"1002\"), keys_max: 9 }",
    ];
    assert_eq!(bindings(&Project::isopod(text)), expected);
}

#[test]
fn both_wrangler_forms_have_the_same_effect() {
    let now = "[[ratelimits]]\nname = 'L'\nnamespace_id = '1001'\nsimple = { limit = 5, period = 10 }\n";
    let before = "[[unsafe.bindings]]\nname = 'L'\ntype = 'ratelimit'\nnamespace_id = '1001'\nsimple = { limit = 5, period = 10 }\n";
    let expected = "L (rate limit) Section { binding: \"L\", limit: 5, period: TenSeconds, namespace_id: Some(\"1001\"), keys_max: 65536 }";
    assert_eq!(bindings(&wrangler(now)), [expected]);
    assert_eq!(bindings(&wrangler(before)), [expected]);
    let both = format!("{now}{}", before.replace("'L'", "'M'"));
    assert_eq!(bindings(&wrangler(&both)).len(), 2);
}

#[test]
fn mistakes_are_reported_with_their_place() {
    for (project, parts) in [
        (
            Project::isopod("main = 'a.ts'\n[[rate_limits]]\nbinding = 'L'\nlimit = 5\nperiod = '30s'"),
            ["isopod.toml:5:10", "should be \"10s\" or \"60s\""],
        ),
        (
            Project::isopod("main = 'a.ts'\nrate_limits = [{ binding = 'L', limit = 0, period = '10s' }]"),
            ["`rate_limits[0].limit` = 0", "at least 1"],
        ),
        (
            Project::isopod(
                "main = 'a.ts'\nvars = { L = 1 }\nrate_limits = [{ binding = 'L', limit = 1, period = '10s' }]",
            ),
            [
                "`rate_limits[0].binding`: `env.L` is defined twice",
                "rate_limits, secrets_store_secrets, services, version_metadata share one `env`",
            ],
        ),
        (
            wrangler("ratelimits = [{ name = 'L', simple = { limit = 5, period = 30 } }]"),
            ["`ratelimits[0].simple.period` = 30: should be 10 or 60", "seconds"],
        ),
        (
            wrangler("[[unsafe.bindings]]\nname = 'L'\ntype = 'other'"),
            [
                "`unsafe.bindings[0]`: this build has no unsafe bindings but rate limits",
                "wrangler.toml:3",
            ],
        ),
    ] {
        let error = project.error();
        for part in parts {
            assert!(error.contains(part), "{part} in\n{error}");
        }
    }
}
