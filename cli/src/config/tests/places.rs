//! Problems are reported with place, cause and remedy, all at once.

use super::*;

#[test]
fn all_mistakes_of_a_file_are_reported_at_once_with_their_places() {
    let error = Project::isopod(
        "mian = 'a.ts'\nthreads = 'four'\nmode = 'prod'\n\n[limits]\nwall = '30 parsecs'\n[ingress]\nheaders_max = 0\n\
         [[databases]]\nurl = 'mysql://u:pw@h/d'\n",
    )
    .error();
    assert_eq!(
        error,
        r#"isopod.toml:1:1: unknown key `mian`
   |
 1 | mian = 'a.ts'
   | ^^^^
  = did you mean `main`?

isopod.toml:2:11: `threads` should be a whole number from 0 to 10000, but is text
   |
 2 | threads = 'four'
   |           ^^^^^^

isopod.toml:3:8: `mode` = "prod": should be "development" or "production"
   |
 3 | mode = 'prod'
   |        ^^^^^^

isopod.toml:6:8: `limits.wall` = "30 parsecs": should be a duration above zero such as "30s", "150ms" or "1h 30m"
   |
 6 | wall = '30 parsecs'
   |        ^^^^^^^^^^^^

isopod.toml:8:15: `ingress.headers_max` = 0: should be a whole number, at least 1
   |
 8 | headers_max = 0
   |               ^

isopod.toml:9:1: `databases[0].binding` is missing
   |
 9 | [[databases]]
   | ^^^^^^^^^^^^^
  = add `binding`: text

isopod.toml:10:7: `databases[0].url` = (not shown): should be "sqlite:data/app.db", "sqlite::memory:" or "postgres://user@host/name""#
    );
}

#[test]
fn broken_toml_is_reported_with_its_line() {
    let error = Project::isopod("main = 'a.ts'\nthreads = = 2\n").error();
    assert!(error.starts_with("isopod.toml:2:"), "{error}");
    assert!(error.contains(" 2 | threads = = 2"), "{error}");
}

#[test]
fn places_after_wide_characters_and_tabs_are_underlined_correctly() {
    let error = Project::isopod("main = 'a.ts'\nvars = { \"名\" = 1 }\nlog = {\tlevle = 'info' }").error();
    assert_eq!(
        error,
        "isopod.toml:3:9: unknown key `log.levle`\n   |\n 3 | log = {\tlevle = 'info' }\n   |        \t^^^^^\n  = did you mean `level`?"
    );
}

/// Mistakes, each with the texts that its error must contain.
const WRONG: &[(&str, &[&str])] = &[
    ("threads = 2", &["`main` is missing", "[workers.NAME]"]),
    (
        "main = 'gone.ts'",
        &["`main` = \"gone.ts\": no such file: gone.ts", "configuration's folder"],
    ),
    (
        "main = 'a.ts'\nsecrets = ['KEY']",
        &["`secrets[0]`: `KEY` is neither in the environment", "add `KEY=…`"],
    ),
    (
        "main = 'a.ts'\nsecrets = ['K']\nvars = { K = 1 }",
        &["`secrets[0]`: `env.K` is defined twice"],
    ),
    (
        "main = 'a.ts'\n[workers.main]\nmain = 'b.ts'",
        &["two workers are named `main`"],
    ),
    (
        "[vars]\nA = 1\n[workers.w]\nmain = 'a.ts'",
        &["`vars` at the top level belongs to no worker"],
    ),
    (
        "[workers.a]\nmain = 'a.ts'\n[workers.b]\nmain = 'b.ts'",
        &["`routes` is missing"],
    ),
    (
        "main = 'a.ts'\nroutes = [{ pattern = '/', worker = 'mian' }]",
        &["no worker has this name", "did you mean \"main\"?"],
    ),
    (
        "main = 'a.ts'\nroutes = [{ pattern = '/', host = 'h' }]",
        &["both `pattern` and `host`"],
    ),
    (
        "main = 'a.ts'\nroutes = ['/a/*/b']",
        &["`routes[0]` = \"/a/*/b\": `*` is only allowed at the end"],
    ),
    (
        "main = 'a.ts'\nroutes = [7]",
        &["`routes[0]` should be a host and a path", "or a table, but is a number"],
    ),
    (
        "main = 'a.ts'\npolicy = 'oneshot'\nconcurrency = 2",
        &["`concurrency` is above 1"],
    ),
    (
        "main = 'a.ts'\nthreads = 2\n[pool]\nworkers_max = 3",
        &["`pool.workers_max` (3) is above `threads` (2)", "remove `threads`"],
    ),
    (
        "main = 'a.ts'\n[pool]\ncell_transit = '512 KiB'",
        &[
            "`pool.cell_transit` = 524288: the minimum is 1 MiB",
            "set at least \"1 MiB\"",
        ],
    ),
    (
        "main = 'a.ts'\nworkers_min = 3\nworkers_max = 2",
        &["`workers_min` is above `workers_max`"],
    ),
    ("main = 'a.ts'\nlisten = []", &["`listen` is missing"]),
    (
        "main = 'a.ts'\nlisten = ['[::]:1', '[::]:1']",
        &["duplicate listen address [::]:1"],
    ),
    (
        "main = 'a.ts'\nadmin.listen = '127.0.0.1:8787'",
        &["duplicate listen address 127.0.0.1:8787"],
    ),
    (
        "main = 'a.ts'\n[[databases]]\nbinding = 'D'",
        &["`databases[0].url` is missing", "url_from"],
    ),
    ("main = 'a.ts'\ntls = { cert = 'c.pem' }", &["`tls.key` is missing"]),
    (
        "main = 'a.ts'\nlimits.memory = '16 pounds'",
        &["`limits.memory` = \"16 pounds\": should be a size"],
    ),
    (
        "main = 'a.ts'\nlimits.memory = '1 KiB'",
        &[
            "`limits.memory` is too little for a worker to start",
            "set 16 MiB or more",
        ],
    ),
    (
        "main = 'a.ts'\nlimits.memory = -1",
        &["`limits.memory` = -1: should be a whole number, at least 0"],
    ),
    (
        "main = 'a.ts'\nlimits.wall = 30",
        &["`limits.wall` should be a duration above zero", "but is a number"],
    ),
    (
        "main = 'a.ts'\n[workers.'a b']\nmain = 'b.ts'",
        &["\"a b\": should be 1 to 63 letters"],
    ),
    (
        "main = 'a.ts'\npolicy = 'per_requests'",
        &["did you mean \"per_request\"?"],
    ),
    (
        "main = 'a.ts'\nnetwork.allow = ['10.0.0.0/40']",
        &["`network.allow[0]` = \"10.0.0.0/40\""],
    ),
];

#[test]
fn each_mistake_names_its_key_its_cause_and_its_remedy() {
    for (text, parts) in WRONG {
        let error = Project::isopod(text).error();
        for part in *parts {
            assert!(error.contains(part), "for\n{text}\nexpected {part:?} in\n{error}");
        }
        assert!(error.starts_with("isopod.toml:"), "for\n{text}\nno place in\n{error}");
    }
}

#[test]
fn a_wrong_database_url_from_a_variable_is_not_shown() {
    let text = "main = 'a.ts'\n[[databases]]\nbinding = 'D'\nurl_from = 'U'";
    let error = Project::isopod(text).set("U", "mysql://hunter2").error();
    assert!(
        error.contains("`U` = (not shown)") && !error.contains("hunter2"),
        "{error}"
    );
}

#[test]
fn a_line_with_a_password_is_never_shown() {
    let error = Project::isopod("databases = [{ bindin = 'D', url = 'postgres://u:hunter2@h/d' }]").error();
    assert!(
        error.contains("`databases[0].bindin`") && !error.contains("hunter2"),
        "{error}"
    );
}

#[test]
fn an_environment_is_refused_for_an_isopod_toml() {
    let error = Project::isopod("main = 'a.ts'").in_environment("staging").error();
    assert!(error.contains("only wrangler files have environments"), "{error}");
}

#[test]
fn an_empty_folder_is_an_error_that_lists_the_expected_files() {
    let project = Project::new(&[("package.json", r#"{ "main": "dist/gone.js" }"#)]);
    let error = project.error();
    for part in [
        "isopod.toml, wrangler.jsonc",
        "package.json with `main`",
        "src/index.{ts,",
        "isopod serve src/index.ts",
    ] {
        assert!(error.contains(part), "{part} in {error}");
    }
}

#[test]
fn a_folder_is_searched_in_a_fixed_order() {
    let files = [
        "worker.js",
        "src/index.ts",
        "index.mjs",
        "lib.js",
        "wrangler.toml",
        "wrangler.jsonc",
        "isopod.toml",
    ];
    let mut seen = Vec::new();
    let project = Project::new(&[]);
    for file in files {
        if file == "lib.js" {
            std::fs::write(project.path().join("package.json"), r#"{ "main": "lib.js" }"#).unwrap();
        }
        std::fs::create_dir_all(project.path().join("src")).unwrap();
        std::fs::write(project.path().join(file), "").unwrap();
        let found = match discover(project.path()).unwrap() {
            Located::Script(path) | Located::Isopod(path) | Located::Wrangler(path) | Located::Files(path) => path,
        };
        seen.push(found.strip_prefix(project.path()).unwrap().to_str().unwrap().to_owned());
    }
    assert_eq!(seen, files);
}

/// <https://developers.cloudflare.com/workers/wrangler/configuration/#generated-wrangler-configuration>
#[test]
fn a_build_s_configuration_replaces_that_of_its_folder() {
    let redirect = r#"{ "configPath": "../../dist/wrangler.json" }"#;
    let project = Project::new(&[
        ("wrangler.jsonc", r#"{ "name": "x", "main": "virtual.ts" }"#),
        (".wrangler/deploy/config.json", redirect),
    ]);
    let found = || discover(project.path()).unwrap();
    assert_eq!(found(), Located::Wrangler(project.path().join("wrangler.jsonc")));
    std::fs::create_dir(project.path().join("dist")).unwrap();
    let built = project.path().join("dist/wrangler.json");
    std::fs::write(&built, "{}").unwrap();
    let real = std::fs::canonicalize(&built).unwrap();
    assert_eq!(found(), Located::Wrangler(real));
    std::fs::write(project.path().join(".wrangler/deploy/config.json"), "{ broken").unwrap();
    assert_eq!(found(), Located::Wrangler(project.path().join("wrangler.jsonc")));
}

#[test]
fn a_path_that_is_neither_script_nor_configuration_is_refused() {
    let project = Project::new(&[("README.md", "")]);
    let error = discover(&project.path().join("README.md")).unwrap_err();
    assert!(matches!(error, ConfigError::UnknownFile { .. }), "{error}");
    assert!(matches!(
        discover(&project.path().join("gone")).unwrap_err(),
        ConfigError::Read { .. }
    ));
}

#[test]
fn files_of_the_configuration_are_withheld_from_every_worker() {
    let text = "env_files = ['.env']\n[tls]\ncert = 'tls.crt'\nkey = 'tls.txt'\n\
                [workers.one]\nmain = 'a.ts'\nimport_map = 'map.json'\n\
                [workers.two]\nmain = 'b.ts'\ndatabases = [{ binding = 'DB', url = 'sqlite:shop.dat?mode=rwc' }]\n\
                [[routes]]\npattern = '/*'\nworker = 'one'\n";
    let project = Project::isopod(text);
    for name in [".env", "tls.crt", "tls.txt", "map.json"] {
        std::fs::write(project.path().join(name), "").unwrap();
    }
    let withheld = project.config().withheld();
    for name in ["isopod.toml", ".env", "tls.crt", "tls.txt", "map.json", "shop.dat"] {
        assert!(withheld.contains(&project.path().join(name)), "{name}: {withheld:?}");
    }
    assert!(!withheld.contains(&project.path().join("a.ts")), "{withheld:?}");
}

#[test]
fn a_root_must_contain_main() {
    let project = Project::new(&[
        ("isopod.toml", "main = 'src/a.ts'\nroot = '.'"),
        ("src/a.ts", ""),
        ("lib/b.ts", ""),
    ]);
    assert!(project.config().workers["main"].root.is_some());
    for (root, reason) in [
        ("lib", "does not contain src/a.ts"),
        ("nowhere", "no such folder: nowhere"),
    ] {
        std::fs::write(
            project.path().join("isopod.toml"),
            format!("main = 'src/a.ts'\nroot = '{root}'"),
        )
        .unwrap();
        let error = project.error();
        assert!(error.contains(reason) && error.contains("contains `main`"), "{error}");
    }
}

#[test]
fn a_top_level_key_in_a_table_is_reported_with_its_right_place() {
    let error = Project::isopod("[workers.a]\nmain = 'a.ts'\nroutes = []\n").error();
    assert!(
        error.contains("3:1: unknown key `workers.a.routes`")
            && error.ends_with("= `routes` belongs at the top level of the file, before the first table"),
        "{error}"
    );
}
