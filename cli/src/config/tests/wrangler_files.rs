use std::time::Duration;

use super::*;

const JSONC: &str = r#"{
  // a project as wrangler's users have it
  "$schema": "node_modules/wrangler/config-schema.json",
  "name": "shop",
  "main": "src/index.ts",
  "compatibility_date": "2026-01-01", "compatibility_flags": ["nodejs_compat"],
  "observability": { "enabled": true },
  "vars": { "A": "top", "J": { "x": 1 } },
  "routes": ["shop.example/*", { "pattern": "www.shop.example", "custom_domain": true }],
  "d1_databases": [{ "binding": "DB", "database_name": "shop-db", "database_id": "xx" }],
  "limits": { "cpu_ms": 50 },
  "triggers": { "crons": ["0 * * * *"] },
  "dev": { "port": 3000 },
  "rules": [{ "type": "Text", "globs": ["**/*.md"] }],
  "env": {
    "staging": { "vars": { "A": "staging" }, "route": "staging.example/*", "minify": true },
    "live": { "name": "shop-live", "vectorize": [{ "binding": "V" }] },
  },
}"#;

fn shop() -> Project {
    Project::new(&[
        ("wrangler.jsonc", JSONC),
        ("src/index.ts", ""),
        (".dev.vars", "A=secret\nB='b'"),
    ])
}

fn notes(config: &Config) -> Vec<&str> {
    config.notes.iter().map(|note| note.message.as_str()).collect()
}

#[test]
fn a_wrangler_project_runs_as_it_is() {
    let project = shop();
    let config = project.config();
    let worker = &config.workers["shop"];
    assert_eq!(worker.main, project.path().join("src/index.ts"));
    assert_eq!(
        worker.vars.keys().collect::<Vec<_>>(),
        ["J"],
        ".dev.vars goes before vars"
    );
    assert_eq!(
        (worker.secrets["A"].reveal(), worker.secrets["B"].reveal()),
        ("secret", "b")
    );
    let file = project.path().join(".isopod/d1/shop-db.sqlite");
    assert_eq!(database(worker, "DB").url, format!("sqlite:{}", file.display()));
    assert_eq!(
        (worker.limits.cpu, worker.crons[0].to_string()),
        (Duration::from_millis(50), "0 * * * *".to_owned())
    );
    assert_eq!(config.listen, ["127.0.0.1:3000".parse().unwrap()]);
    assert_eq!(config.routes[0].pattern, RoutePattern::everything());
    assert_eq!(
        notes(&config),
        [
            "`observability` is accepted without effect",
            "routes hold in production mode; in development every request is the worker's",
        ]
    );
    let weights: Vec<_> = config.notes.iter().map(|note| note.weight).collect();
    assert_eq!(weights, [Weight::Detail, Weight::Warning]);
    assert_eq!(worker.compatibility.node, NodeCompat::Full);
    assert_eq!(worker.root.as_deref(), Some(project.path().join(".").as_path()));
}

/// Wrangler bundles what `main` imports, from whichever folder of the project.
#[test]
fn modules_come_from_the_whole_project_unless_main_may_be_outside_of_it() {
    let roots = [
        ("name = 'x'\nmain = 'src/a.ts'", Some(".")),
        ("name = 'x'\nmain = './src/a.ts'\nbase_dir = 'src'", Some("src")),
        ("name = 'x'\nmain = 'src/../src/a.ts'", None),
    ];
    for (text, root) in roots {
        let project = Project::new(&[("wrangler.toml", text), ("src/a.ts", "")]);
        let config = project.config();
        let expected = root.map(|root| project.path().join(root));
        assert_eq!(config.workers["x"].root, expected, "{text}");
    }
}

/// Newer versions of wrangler have flags that this build does not know.
#[test]
fn compatibility_flags_choose_behavior_and_unknown_ones_are_warnings() {
    let text = "name = 'x'\nmain = 'a.ts'\ncompatibility_date = '2024-09-22'\n\
                compatibility_flags = ['nodejs_compat', 'nodejs_compatt', 'url_original', 'brand_new']\n\
                [env.off]\ncompatibility_flags = []";
    let project = Project::new(&[("wrangler.toml", text), ("a.ts", "")]);
    let config = project.config();
    assert_eq!(config.workers["x"].compatibility.node, NodeCompat::Prefixed);
    let notes = notes(&config);
    assert_eq!(
        notes[..2],
        [
            "unknown compatibility flag `nodejs_compatt`, ignored; did you mean `nodejs_compat`?",
            "unknown compatibility flag `brand_new`, ignored; the flags with an effect: nodejs_compat, no_nodejs_compat, \
             nodejs_compat_v2, no_nodejs_compat_v2, nodejs_als, no_nodejs_als, nodejs_compat_populate_process_env, \
             nodejs_compat_do_not_populate_process_env, global_navigator, no_global_navigator, \
             assets_navigation_prefers_asset_serving, assets_navigation_has_no_effect",
        ]
    );
    assert_eq!(
        notes[2..],
        ["`url_original` has no effect: Isopod always has the behavior of the newest date"]
    );
    let config = project.in_environment("off").config();
    assert_eq!(config.workers["x-off"].compatibility.node, NodeCompat::Off);
}

#[test]
fn an_environment_inherits_everything_but_vars_and_bindings() {
    let mut project = shop().in_environment("staging");
    project.overrides.mode = Some(Mode::Production);
    let config = project.config();
    let worker = &config.workers["shop-staging"];
    assert!(worker.bindings.is_empty() && !worker.vars.contains_key("J"));
    assert_eq!(worker.limits.cpu, Duration::from_millis(50));
    assert_eq!(
        config.routes.iter().map(|r| r.pattern.to_string()).collect::<Vec<_>>(),
        ["staging.example/*"]
    );
    let notes = notes(&config);
    assert!(
        notes
            .iter()
            .any(|note| note.starts_with("`d1_databases` is not inherited")),
        "{notes:?}"
    );
    assert!(
        notes.contains(&"`env.staging.minify` is accepted without effect"),
        "{notes:?}"
    );
}

#[test]
fn the_dev_vars_of_an_environment_replace_the_common_ones() {
    let project = shop().in_environment("staging");
    std::fs::write(project.path().join(".dev.vars.staging"), "B=staged").unwrap();
    let config = project.config();
    let worker = &config.workers["shop-staging"];
    assert_eq!(worker.vars["A"], Var::Text("staging".into()));
    assert_eq!(worker.secrets["B"].reveal(), "staged");
}

#[test]
fn a_binding_missing_from_the_build_is_an_error() {
    let error = shop().in_environment("live").error();
    assert_eq!(
        error,
        r#"wrangler.jsonc:17:36: `env.live.vectorize`: this build has no Vectorize binding
    |
 17 |     "live": { "name": "shop-live", "vectorize": [{ "binding": "V" }] },
    |                                    ^^^^^^^^^^^
  = remove it if the worker runs without"#
    );
}

#[test]
fn a_missing_environment_is_reported_with_the_most_similar_one() {
    let error = shop().in_environment("stagng").error();
    assert!(
        error.contains("there is no environment `stagng`") && error.contains("did you mean `staging`?"),
        "{error}"
    );
}

#[test]
fn wrangler_toml_is_supported_and_its_mistakes_are_reported() {
    let text = "name = 'x'\nmain = 'a.ts'\n[[vectorize]]\n\
                index_name = 'i'\nbinding = 'V'\n[limits]\ncpu_ms = 'lots'\n";
    let error = Project::new(&[("wrangler.toml", text), ("a.ts", "")]).error();
    for part in [
        "`vectorize`: this build has no Vectorize binding",
        "`limits.cpu_ms` should be a whole number, at least 1, but is text",
    ] {
        assert!(error.contains(part), "{part} in\n{error}");
    }
}

/// Newer versions of wrangler have keys that this build has not heard of.
#[test]
fn an_unknown_key_is_a_warning_with_the_most_similar_one() {
    let text = "name = 'x'\nmain = 'a.ts'\nworker_dev = true\ncompatability_date = '2026-01-01'\nnew_thing = 1\n[limits]\nram = 1";
    let config = Project::new(&[("wrangler.toml", text), ("a.ts", "")]).config();
    let notes: Vec<_> = config.notes.iter().map(Note::to_string).collect();
    let expected = [
        "wrangler.toml:3: unknown key `worker_dev`, ignored; did you mean `workers_dev`?",
        "wrangler.toml:4: unknown key `compatability_date`, ignored; did you mean `compatibility_date`?",
        "wrangler.toml:5: unknown key `new_thing`, ignored",
        "wrangler.toml:7: unknown key `limits.ram`, ignored",
    ];
    let without_folder: Vec<_> = notes
        .iter()
        .map(|note| note.rsplit('/').next().unwrap_or(note))
        .collect();
    assert_eq!(without_folder, expected);
}

/// The source is the schema that wrangler itself publishes.
#[test]
fn every_key_of_wranglers_schema_is_known() {
    let keys = include_str!("wrangler-keys.txt")
        .lines()
        .filter(|line| !line.starts_with('#'));
    for key in keys {
        let document = match (key.split_once("[]."), key.split_once('.')) {
            (Some((list, key)), _) => serde_json::json!({ list: [{ key: {} }] }),
            (None, Some((table, key))) => serde_json::json!({ table: { key: {} } }),
            (None, None) => serde_json::json!({ key: {} }),
        };
        let project = Project::new(&[("wrangler.json", &document.to_string())]);
        let said = match project.load() {
            Ok(config) => notes(&config).join("\n"),
            Err(error) => error.to_string(),
        };
        assert!(!said.contains("unknown key"), "{key}: {said}");
    }
}

/// Tools write a list for each kind of binding, empty where there is none.
#[test]
fn an_empty_list_of_bindings_is_accepted() {
    let text = r#"{ "name": "x", "main": "a.ts", "kv_namespaces": [], "ai": {}, "durable_objects": { "bindings": [] },
        "queues": { "producers": [], "consumers": [] }, "define": {}, "migrations": [], "services": null }"#;
    let config = Project::new(&[("wrangler.json", text), ("a.ts", "")]).config();
    assert_eq!(config.notes, []);
}

#[test]
fn a_required_secret_is_looked_up_and_one_without_a_value_is_a_warning() {
    let text = "name = 'x'\nmain = 'a.ts'\nvars = { B = 'plain' }\nsecrets.required = ['A', 'B', 'C']";
    let mut project = Project::new(&[
        ("wrangler.toml", text),
        ("a.ts", ""),
        (".env", "A=a\nB=old"),
        (".env.local", "B=b"),
    ]);
    project.environment.insert("UNRELATED".into(), "x".into());
    let config = project.config();
    let worker = &config.workers["x"];
    let secrets: Vec<_> = worker
        .secrets
        .iter()
        .map(|(name, value)| (name.as_str(), value.reveal()))
        .collect();
    assert_eq!(secrets, [("A", "a"), ("B", "b")]);
    assert!(worker.vars.is_empty());
    assert_eq!(
        notes(&config),
        ["the secret `C` has no value: add it to `.dev.vars` or to the environment"]
    );
}

#[test]
fn a_database_name_cannot_leave_its_folder() {
    let text = "name = 'x'\nmain = 'a.ts'\n[[d1_databases]]\nbinding = 'DB'\ndatabase_name = '../../etc/x'";
    let error = Project::new(&[("wrangler.toml", text), ("a.ts", "")]).error();
    assert!(
        error.contains("`d1_databases[0].database_name` = \"../../etc/x\""),
        "{error}"
    );
}

#[test]
fn broken_json_and_duplicate_keys_are_reported_with_their_place() {
    let broken = Project::new(&[("wrangler.json", "{\n  \"name\": \"x\"\n  \"main\": \"a.ts\"\n}")]).error();
    assert!(broken.starts_with("wrangler.json:"), "{broken}");
    let twice = Project::new(&[("wrangler.json", "{\n  \"name\": \"x\",\n  \"name\": \"y\"\n}")]).error();
    assert!(twice.starts_with("wrangler.json:3:3: `name` is given twice"), "{twice}");
}
