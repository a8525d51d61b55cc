//! That every crate is fit for the registry: it packs, and its package has what a user and a lawyer look for.

use anyhow::{Context, Result, bail};
use serde_json::Value as Json;

use crate::shell;
use crate::workspace::Workspace;

/// What each package must hold.
const FILES: &[&str] = &["LICENSE-APACHE", "LICENSE-MIT", "README.md"];
/// What each manifest must say, besides that.
const FIELDS: &[&str] = &["description", "license", "keywords", "categories", "readme"];

/// Packs every crate that is published, without compiling it.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let metadata =
        shell::capture(cargo(workspace).args(["metadata", "--no-deps", "--locked", "--format-version", "1"]))?;
    let metadata: Json = serde_json::from_str(&metadata)?;
    let packages = metadata["packages"].as_array().context("cargo lists packages")?;
    let mut pack = cargo(workspace);
    // Together, because none of them is on the registry before all are. They are compiled by the other steps.
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

/// The features of `isopod`, each with a crate that it alone brings.
const FEATURES: &[(&str, &str)] = &[
    ("databases", "sqlx-sqlite"),
    ("host", "isopod-host"),
    ("postgres", "sqlx-postgres"),
    ("server", "isopod-server"),
    ("sql", "rusqlite"),
    ("typescript", "oxc_transformer"),
];

/// That each feature adds what it is for, and that a build without features has none of it.
pub(crate) fn features(workspace: &Workspace) -> Result<()> {
    let bare = tree(workspace, &[])?;
    for (feature, brought) in FEATURES {
        if has(&bare, brought) {
            bail!("isopod without features depends on {brought}, which is for the feature `{feature}`");
        }
        if !has(&tree(workspace, &["--features", feature])?, brought) {
            bail!("isopod with the feature `{feature}` does not depend on {brought}");
        }
    }
    Ok(())
}

/// What `isopod` is built of, build scripts included, a crate a line.
fn tree(workspace: &Workspace, features: &[&str]) -> Result<String> {
    // In its own folder: with the workspace's resolver, `--no-default-features` heeds only the package of the current folder.
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

/// Whether a package goes to a registry. `publish = false` is an empty list.
fn is_published(package: &Json) -> bool {
    package["publish"]
        .as_array()
        .is_none_or(|registries| !registries.is_empty())
}

/// What is wrong with a manifest.
fn lacks(package: &Json) -> Option<String> {
    let is_empty = |value: &Json| match value {
        Json::Array(items) => items.is_empty(),
        value => value.as_str().is_none_or(str::is_empty),
    };
    if let Some(field) = FIELDS.iter().find(|field| is_empty(&package[**field])) {
        return Some(format!("has no `{field}`"));
    }
    // A dependency by path alone is none on a registry. Those of tests are left out of a package.
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
    fn what_is_not_published_is_left_alone() {
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
