//! Checks that every published crate can be packaged, with license texts, a readme and complete metadata.

use anyhow::{Context, Result, bail};
use serde_json::Value as Json;

use crate::shell;
use crate::workspace::Workspace;

/// Files that each package must contain.
const FILES: &[&str] = &["LICENSE-APACHE", "LICENSE-MIT", "README.md"];
/// Fields that each manifest must have, besides `version`.
const FIELDS: &[&str] = &["description", "license", "keywords", "categories", "readme"];

/// Packages every published crate, without compiling it.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let metadata =
        shell::capture(cargo(workspace).args(["metadata", "--no-deps", "--locked", "--format-version", "1"]))?;
    let metadata: Json = serde_json::from_str(&metadata)?;
    let packages = metadata["packages"].as_array().context("cargo lists packages")?;
    let mut pack = cargo(workspace);
    // All in one command, because none of them is in the registry yet. Other steps compile them.
    pack.args(["package", "--no-verify", "--allow-dirty", "--quiet"]);
    for package in packages.iter().filter(|package| is_published(package)) {
        let name = package["name"].as_str().context("a package has a name")?;
        if let Some(problem) = lacks(package) {
            bail!("the manifest of {name} {problem}");
        }
        let list = shell::capture(cargo(workspace).args(["package", "--list", "--allow-dirty", "-p", name]))?;
        if let Some(file) = FILES.iter().find(|file| !list.lines().any(|line| line == **file)) {
            bail!("the package of {name} lacks {file}");
        }
        pack.args(["-p", name]);
    }
    shell::run(&mut pack)
}

/// The features of `isopod`, each with a crate that only it adds.
const FEATURES: &[(&str, &str)] = &[
    ("databases", "sqlx-sqlite"),
    ("host", "isopod-host"),
    ("module", "isopod-module"),
    ("nats", "async-nats"),
    ("node", "isopod-node"),
    ("postgres", "sqlx-postgres"),
    ("server", "isopod-server"),
    ("shared-memory", "iceoryx2"),
    ("sql", "rusqlite"),
    ("typescript", "oxc_transformer"),
];

/// Checks that each feature adds its dependency, and that a build without features has none of them.
pub(crate) fn features(workspace: &Workspace) -> Result<()> {
    let bare = tree(workspace, &[])?;
    for (feature, brought) in FEATURES {
        if has(&bare, brought) {
            bail!("isopod without features depends on {brought}, which belongs to the feature `{feature}`");
        }
        if !has(&tree(workspace, &["--features", feature])?, brought) {
            bail!("isopod with the feature `{feature}` does not depend on {brought}");
        }
    }
    Ok(())
}

/// The dependencies of `isopod`, including those of build scripts, one per line.
fn tree(workspace: &Workspace, features: &[&str]) -> Result<String> {
    // Run in the crate's folder: with resolver 1, `--no-default-features` applies only to the package of the current
    // folder.
    let mut tree = shell::command("cargo", &workspace.root.join("isopod"));
    tree.args([
        "tree",
        "--locked",
        "--prefix",
        "none",
        "--edges",
        "normal,build",
        "--no-default-features",
    ]);
    shell::capture(tree.args(features))
}

fn has(tree: &str, name: &str) -> bool {
    tree.lines()
        .any(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')))
}

fn cargo(workspace: &Workspace) -> std::process::Command {
    shell::command("cargo", &workspace.root)
}

/// Returns true unless the manifest says `publish = false`, which cargo reports as an empty list.
fn is_published(package: &Json) -> bool {
    package["publish"]
        .as_array()
        .is_none_or(|registries| !registries.is_empty())
}

/// Returns what a manifest lacks.
fn lacks(package: &Json) -> Option<String> {
    let is_empty = |value: &Json| match value {
        Json::Array(items) => items.is_empty(),
        value => value.as_str().is_none_or(str::is_empty),
    };
    if let Some(field) = FIELDS.iter().find(|field| is_empty(&package[**field])) {
        return Some(format!("has no `{field}`"));
    }
    // A registry ignores the path, so a version is required. Development dependencies are not published.
    let dependencies = package["dependencies"].as_array()?;
    let by_path = dependencies
        .iter()
        .find(|dependency| dependency["path"].is_string() && dependency["req"] == "*" && dependency["kind"] != "dev")?;
    Some(format!("depends on {} without a version", by_path["name"]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn package() -> Json {
        json!({ "publish": null, "description": "d", "license": "MIT", "keywords": ["k"], "categories": ["c"],
                "readme": "README.md", "dependencies": [{ "name": "a", "path": "a", "req": "^0.1.0", "kind": null }] })
    }

    #[test]
    fn unpublished_topics_are_ignored() {
        assert!(is_published(&package()));
        assert!(!is_published(&json!({ "publish": [] })));
    }

    #[test]
    fn a_crate_is_found_by_its_whole_name() {
        assert!(has("a v1.0.0\nsqlx-sqlite v0.9.0 (*)\n", "sqlx-sqlite"));
        assert!(!has("sqlx-sqlite-more v0.9.0\n", "sqlx-sqlite"));
    }

    #[test]
    fn a_manifest_without_a_field_or_with_a_path_alone_is_refused() {
        assert_eq!(lacks(&package()), None);
        let mut nameless = package();
        nameless["keywords"] = json!([]);
        assert_eq!(lacks(&nameless).unwrap(), "has no `keywords`");
        let mut by_path = package();
        by_path["dependencies"][0]["req"] = json!("*");
        assert_eq!(lacks(&by_path).unwrap(), "depends on \"a\" without a version");
        by_path["dependencies"][0]["kind"] = json!("dev");
        assert_eq!(lacks(&by_path), None);
    }
}
