//! Files in a script's folders that it cannot read.

use std::fs;

use super::super::{Loader, LoaderOptions, ModuleError, Refusal, RequestedType, project_root};
use super::Project;

/// The refusal of an import, when resolving or when reading it.
fn refusal(loader: &Loader, project: &Project, path: &str, requested: RequestedType<'_>) -> Option<Refusal> {
    let main = project.url("src/main.js");
    let outcome = loader
        .resolve(&format!("./{path}"), &main)
        .and_then(|url| loader.load(&url, requested, Some(&main)).map(drop))
        .and_then(|()| {
            loader
                .load(&project.url(&format!("src/{path}")), requested, None)
                .map(drop)
        });
    match outcome {
        Err(ModuleError::Refused { refusal, .. }) => Some(refusal),
        Err(other) => panic!("{path}: {other}"),
        Ok(()) => None,
    }
}

fn loader_of_src(project: &Project, change: impl FnOnce(&mut LoaderOptions)) -> Loader {
    let mut options = LoaderOptions::folder(project.path("src"));
    options.ceiling = Some(project.path(""));
    change(&mut options);
    Loader::new(options).unwrap()
}

#[test]
fn files_that_are_not_modules_are_refused_by_name() {
    let names = [
        (".env", Refusal::Environment),
        (".ENV", Refusal::Environment),
        (".env.production", Refusal::Environment),
        (".dev.vars", Refusal::Environment),
        ("prod.env", Refusal::Environment),
        ("prod.env.json", Refusal::Environment),
        (".npmrc", Refusal::Hidden),
        (".secret.js", Refusal::Hidden),
        (".git/config.json", Refusal::Hidden),
        ("isopod.toml", Refusal::Configuration),
        ("Isopod.TOML", Refusal::Configuration),
        ("wrangler.json", Refusal::Configuration),
        ("wrangler.staging.jsonc", Refusal::Configuration),
        ("shop.db", Refusal::Database),
        ("shop.db-wal", Refusal::Database),
        ("shop.SQLite3", Refusal::Database),
        ("shop-journal", Refusal::Database),
        ("tls.pem", Refusal::Key),
        ("tls.KEY", Refusal::Key),
        ("store.p12", Refusal::Key),
        ("id_ed25519", Refusal::Key),
        ("settings.yaml", Refusal::Kind("yaml".into())),
        ("passwd", Refusal::Kind(String::new())),
    ];
    let files: Vec<_> = names.iter().map(|(name, _)| format!("src/{name}")).collect();
    let files: Vec<_> = files.iter().map(|name| (name.as_str(), "TOKEN=1")).collect();
    let project = Project::new(&files);
    let loader = loader_of_src(&project, |_| {});
    for (name, expected) in &names {
        for requested in [RequestedType::Text, RequestedType::Bytes, RequestedType::Json] {
            assert_eq!(
                refusal(&loader, &project, name, requested).as_ref(),
                Some(expected),
                "{name}"
            );
        }
    }
}

#[test]
fn files_that_are_not_modules_are_refused_by_content() {
    let project = Project::new(&[
        ("src/a.bin", "SQLite format 3\0…"),
        ("src/a.txt", "-----BEGIN EC PRIVATE KEY-----\nMHc"),
        (
            "src/chain.txt",
            "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\nMIIE",
        ),
        (
            "src/a.json",
            "{\"private_key\": \"-----BEGIN PRIVATE KEY-----\\nMIIE\"}",
        ),
        ("src/a.md", "A key begins with `-----BEGIN PRIVATE KEY-----`.\n"),
    ]);
    fs::write(project.path("src/wal.bin"), b"\x37\x7f\x06\x82\x00\x2d\xe2\x18").unwrap();
    let loader = loader_of_src(&project, |_| {});
    let refused = |name, requested| refusal(&loader, &project, name, requested);
    assert_eq!(refused("a.bin", RequestedType::Unspecified), Some(Refusal::Database));
    assert_eq!(refused("wal.bin", RequestedType::Bytes), Some(Refusal::Database));
    assert_eq!(refused("a.txt", RequestedType::Text), Some(Refusal::Key));
    assert_eq!(refused("chain.txt", RequestedType::Text), Some(Refusal::Key));
    assert_eq!(refused("a.json", RequestedType::Unspecified), Some(Refusal::Key));
    assert_eq!(refused("a.md", RequestedType::Unspecified), None, "it is about keys");
}

#[cfg(unix)]
#[test]
fn files_of_the_configuration_are_refused_under_every_name() {
    let project = Project::new(&[
        ("shop.dat", "rows"),
        ("shop.dat-wal", "rows"),
        ("staging", "main = 'a.js'"),
        (".env", "API_KEY=k"),
        ("src/main.js", ""),
        ("src/map.json", "{}"),
    ]);
    std::os::unix::fs::symlink("map.json", project.path("src/other.json")).unwrap();
    for (file, link) in [
        ("shop.dat", "src/a.bin"),
        ("shop.dat-wal", "src/b.bin"),
        ("staging", "src/c.js"),
        (".env", "src/d.ts"),
    ] {
        fs::hard_link(project.path(file), project.path(link)).unwrap();
    }
    let loader = loader_of_src(&project, |options| {
        options.reach.hard_links = true;
        options.reach.withheld = ["shop.dat", "staging", "src/map.json"]
            .map(|name| project.path(name))
            .to_vec();
    });
    for name in ["a.bin", "b.bin", "c.js", "map.json", "other.json"] {
        let refused = refusal(&loader, &project, name, RequestedType::Unspecified);
        assert_eq!(refused, Some(Refusal::Named), "{name}");
    }
    let refused = refusal(&loader, &project, "d.ts", RequestedType::Unspecified);
    assert_eq!(
        refused,
        Some(Refusal::Environment),
        "another name of the same file tells"
    );
}

#[cfg(unix)]
#[test]
fn data_with_several_hard_links_needs_the_setting() {
    let project = Project::new(&[("elsewhere/notes.txt", "theirs"), ("src/main.js", "")]);
    fs::hard_link(project.path("elsewhere/notes.txt"), project.path("src/notes.txt")).unwrap();
    let closed = loader_of_src(&project, |_| {});
    let refused = |loader| refusal(loader, &project, "notes.txt", RequestedType::Unspecified);
    assert_eq!(refused(&closed), Some(Refusal::HardLink));
    let open = loader_of_src(&project, |options| options.reach.hard_links = true);
    assert_eq!(refused(&open), None);
}

#[cfg(unix)]
#[test]
fn a_link_is_refused_by_the_name_of_its_target() {
    let project = Project::new(&[("src/.env", "API_KEY=k"), ("src/main.js", ""), ("src/key.pem", "k")]);
    for (target, link) in [(".env", "src/a.txt"), (".env", "src/a.ts"), ("key.pem", "src/b.json")] {
        std::os::unix::fs::symlink(target, project.path(link)).unwrap();
    }
    let loader = loader_of_src(&project, |_| {});
    for name in ["a.txt", "a.ts", "b.json"] {
        assert!(
            refusal(&loader, &project, name, RequestedType::Unspecified).is_some(),
            "{name}"
        );
    }
}

#[test]
fn files_outside_of_the_root_cannot_be_probed() {
    let project = Project::new(&[
        ("src/main.js", ""),
        ("other/there.json", "{}"),
        ("src/.env", ""),
        ("src/.git/config.js", ""),
    ]);
    let loader = loader_of_src(&project, |_| {});
    let main = project.url("src/main.js");
    let error = |specifier: &str| loader.resolve(specifier, &main).unwrap_err().to_string();
    for [there, missing] in [
        ["../other/there.json", "../other/their.json"],
        ["/etc/passwd", "/etc/passwt"],
        ["./.git/config.js", "./.git/nothing.js"],
    ] {
        let missing_said = error(missing).replace(missing.trim_start_matches(['.', '/']), "X");
        assert_eq!(
            error(there).replace(there.trim_start_matches(['.', '/']), "X"),
            missing_said
        );
    }
    assert!(!error("./env").contains(".env"), "hints are names of modules");
    assert!(matches!(
        loader.resolve("lib/../../other/there.json", &main),
        Err(ModuleError::InvalidSpecifier { .. })
    ));
}

#[test]
fn a_package_gives_access_to_no_withheld_file_outside_of_it() {
    let project = Project::new(&[
        ("src/main.js", ""),
        ("other/secret.js", "export default 'theirs'"),
        (
            "src/node_modules/a/package.json",
            r#"{"main": "../../../other/secret.js"}"#,
        ),
        (
            "src/node_modules/b/package.json",
            r#"{"exports": "../../../other/secret.js"}"#,
        ),
        (
            "src/node_modules/c/package.json",
            r#"{"main": "x.js", "browser": {"./x.js": "../../../other/secret.js"}}"#,
        ),
        ("src/node_modules/c/x.js", ""),
        ("src/node_modules/d/package.json", r#"{"main": ".env"}"#),
        ("src/node_modules/d/.env", ""),
        ("src/package.json", r##"{"imports": {"#x": "../other/secret.js"}}"##),
        (
            "src/tsconfig.json",
            r#"{"compilerOptions": {"paths": {"@/*": ["../other/*"]}}}"#,
        ),
    ]);
    let loader = loader_of_src(&project, |_| {});
    for specifier in ["a", "b", "c", "d", "#x", "@/secret.js"] {
        let outcome = loader.resolve(specifier, &project.url("src/main.js"));
        assert!(outcome.is_err(), "{specifier}: {outcome:?}");
    }
}

#[test]
fn source_maps_are_read_only_from_files_named_as_such() {
    let map = r#"{"version":3,"sources":["in.ts"],"sourcesContent":["TOKEN"],"names":[],"mappings":";AAEI"}"#;
    let code = |name: &str| format!("//\nthrow 1\n//# sourceMappingURL={name}");
    let project = Project::new(&[
        ("src/a.js", &code("config.json")),
        ("src/config.json", map),
        ("src/b.js", &code("../outside.js.map")),
        ("outside.js.map", map),
        ("src/c.js", &code(".hidden.js.map")),
        ("src/.hidden.js.map", map),
        ("src/d.js", &code("d.js.map")),
        ("src/d.js.map", map),
    ]);
    let loader = loader_of_src(&project, |_| {});
    let position = |path| {
        let url = project.url(path);
        loader.load(&url, RequestedType::Unspecified, None).unwrap();
        loader.source_maps().map_of(&url)
    };
    for path in ["src/a.js", "src/b.js", "src/c.js"] {
        assert_eq!(position(path), None, "{path}");
    }
    assert!(position("src/d.js").is_some());
}

#[test]
fn folders_on_the_way_to_main_or_to_packages_are_accessible() {
    let project = Project::new(&[
        (".output/server/index.js", "import './chunks/a.js'"),
        (".output/server/chunks/a.js", ""),
        (".output/.cache/b.js", ""),
        (
            "node_modules/.pnpm/lib@1/node_modules/lib/package.json",
            r#"{"main": "i.js"}"#,
        ),
        ("node_modules/.pnpm/lib@1/node_modules/lib/i.js", ""),
        ("node_modules/.cache/tool/x.json", "{}"),
    ]);
    let loader = Loader::new(LoaderOptions::folder(project.path(""))).unwrap();
    let main = loader.resolve_entry(".output/server/index.js").unwrap();
    loader.resolve("./chunks/a.js", &main).unwrap();
    loader
        .resolve("../../node_modules/.pnpm/lib@1/node_modules/lib/i.js", &main)
        .unwrap();
    for specifier in ["../.cache/b.js", "../../node_modules/.cache/tool/x.json"] {
        let outcome = loader.resolve(specifier, &main);
        assert!(
            matches!(outcome, Err(ModuleError::Refused { .. })),
            "{specifier}: {outcome:?}"
        );
    }
}

#[cfg(unix)]
#[test]
fn members_of_a_workspace_are_packages() {
    use std::os::unix::fs::symlink;
    let project = Project::new(&[
        ("package.json", r#"{"workspaces": ["packages/*", "!packages/alone"]}"#),
        ("packages/app/package.json", r#"{"name": "app"}"#),
        ("packages/app/src/main.js", ""),
        ("packages/app/secret.js", ""),
        (
            "packages/shared/package.json",
            r#"{"name": "shared", "main": "src/index.ts"}"#,
        ),
        ("packages/shared/src/index.ts", "export * from './more.js';"),
        ("packages/shared/src/more.ts", ""),
        ("packages/shared/.env", "API_KEY=k"),
        ("packages/other/package.json", r#"{"name": "other"}"#),
        ("packages/other/index.js", ""),
        ("packages/alone/package.json", r#"{"name": "alone"}"#),
        ("node_modules/hoisted/index.js", ""),
    ]);
    symlink("../packages/shared", project.path("node_modules/shared")).unwrap();
    symlink("../packages/app", project.path("node_modules/app")).unwrap();
    assert_eq!(project_root(&project.path("packages/app/src")), project.path(""));
    assert_eq!(
        project_root(&project.path("packages/alone")),
        project.path("packages/alone")
    );
    let mut options = LoaderOptions::folder(project.path("packages/app/src"));
    options.ceiling = Some(project.path(""));
    let loader = Loader::new(options).unwrap();
    let main = project.url("packages/app/src/main.js");
    let shared = loader.resolve("shared", &main).unwrap();
    assert_eq!(shared, project.url("packages/shared/src/index.ts"));
    let more = loader.resolve("./more.js", &shared).unwrap();
    loader.load(&more, RequestedType::Unspecified, None).unwrap();
    loader.resolve("hoisted", &main).unwrap();
    for specifier in [
        "shared/.env",
        "app/secret.js",
        "../secret.js",
        "../../other/index.js",
        "../../shared/.env",
    ] {
        assert!(loader.resolve(specifier, &main).is_err(), "{specifier}");
    }
}

#[test]
fn a_package_json_with_only_a_type_is_not_a_project() {
    let project = Project::new(&[
        ("package.json", r#"{"name": "app"}"#),
        ("src/package.json", r#"{"type": "module"}"#),
        ("pnpm/pnpm-workspace.yaml", "packages: ['*']"),
        ("pnpm/one/package.json", r#"{"name": "one"}"#),
        ("pnpm/one/src/x.js", ""),
        ("src/deep/x.js", ""),
    ]);
    assert_eq!(project_root(&project.path("src/deep")), project.path(""));
    assert_eq!(project_root(&project.path("pnpm/one/src")), project.path("pnpm"));
}
