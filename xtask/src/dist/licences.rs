//! The licenses of the crates linked into the program, as one text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value as Json;

use crate::shell;
use crate::workspace::Workspace;

/// Prefixes of the names of files with license texts and notices.
const NAMES: [&str; 5] = ["license", "licence", "copying", "notice", "unlicense"];

/// A crate from a registry that the program links.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Crate {
    name: String,
    version: String,
    /// The SPDX expression from the manifest.
    expression: String,
    folder: PathBuf,
}

/// Lists every crate with its license, then each distinct text with its crates.
pub(super) fn text(workspace: &Workspace) -> Result<String> {
    let metadata = shell::capture(shell::command("cargo", &workspace.root).args([
        "metadata",
        "--locked",
        "--format-version",
        "1",
    ]))?;
    let crates = linked(&serde_json::from_str(&metadata)?, "isopod-cli")?;
    let mut out = String::from("Third-party software in this program\n\n");
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for linked in &crates {
        let Crate {
            name,
            version,
            expression,
            ..
        } = linked;
        writeln!(out, "{name} {version}: {expression}")?;
        for text in texts_of(&linked.folder) {
            texts.entry(text).or_default().push(format!("{name} {version}"));
        }
    }
    // V8 is linked from a prebuilt library, and the crate with its sources omits the license texts.
    let v8 = workspace.read("third_party/v8/LICENSE.txt")?;
    texts.entry(v8.trim_end().to_owned()).or_default().push("V8".to_owned());
    for (text, users) in texts {
        writeln!(out, "\n{}\n{}\n\n{}", "-".repeat(80), users.join(", "), text.trim_end())?;
    }
    Ok(out)
}

/// The registry crates that `root` depends on at run time, without build and development dependencies.
fn linked(metadata: &Json, root: &str) -> Result<BTreeSet<Crate>> {
    let packages = list(&metadata["packages"]);
    let by_id: BTreeMap<&str, &Json> = packages.iter().filter_map(|p| Some((p["id"].as_str()?, p))).collect();
    let nodes = list(&metadata["resolve"]["nodes"]);
    let nodes: BTreeMap<&str, &Json> = nodes.iter().filter_map(|n| Some((n["id"].as_str()?, n))).collect();
    let first = packages.iter().find(|p| p["name"] == root && p["source"].is_null());
    let first = first
        .and_then(|p| p["id"].as_str())
        .context("the program is a package of the workspace")?;
    let mut seen = BTreeSet::from([first]);
    let mut waiting = vec![first];
    while let Some(id) = waiting.pop() {
        for dependency in nodes.get(id).map(|node| list(&node["deps"])).unwrap_or_default() {
            let is_normal = list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
            if let (true, Some(id)) = (is_normal, dependency["pkg"].as_str())
                && seen.insert(id)
            {
                waiting.push(id);
            }
        }
    }
    let found = seen.into_iter().filter_map(|id| by_id.get(id));
    Ok(found
        .filter(|package| package["source"].is_string())
        .map(|package| describe(package))
        .collect())
}

fn describe(package: &Json) -> Crate {
    let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
    let expression = match package["license"].as_str() {
        Some(expression) => expression.to_owned(),
        None => format!("see {}", text("license_file")),
    };
    let manifest = PathBuf::from(text("manifest_path"));
    Crate {
        name: text("name"),
        version: text("version"),
        expression,
        folder: manifest.parent().map(Path::to_owned).unwrap_or_default(),
    }
}

/// The license texts and notices in a crate's top folder, with Unix line endings.
fn texts_of(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_text = |name: &str| {
        let name = name.to_lowercase();
        NAMES.iter().any(|start| name.starts_with(start)) && !name.ends_with(".rs") && !name.ends_with(".toml")
    };
    entries
        .filter(|entry| entry.file_name().to_str().is_some_and(is_text))
        .filter_map(|entry| fs::read_to_string(entry.path()).ok())
        .map(|text| text.replace("\r\n", "\n").trim_end().to_owned())
        .collect()
}

fn list(value: &Json) -> &[Json] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn crates_that_only_build_or_test_are_left_out() {
        let package = |name: &str| {
            json!({ "id": name, "name": name, "version": "1.0.0", "license": "MIT", "source": "registry",
                    "manifest_path": format!("/{name}/Cargo.toml") })
        };
        let mut own = package("isopod-cli");
        own["source"] = Json::Null;
        let metadata = json!({
            "packages": [own, package("linked"), package("deep"), package("builder"), package("unused")],
            "resolve": { "nodes": [
                { "id": "isopod-cli", "deps": [
                    { "pkg": "linked", "dep_kinds": [{ "kind": null }, { "kind": "dev" }] },
                    { "pkg": "builder", "dep_kinds": [{ "kind": "build" }] },
                ] },
                { "id": "linked", "deps": [{ "pkg": "deep", "dep_kinds": [{ "kind": null }] }] },
                { "id": "builder", "deps": [{ "pkg": "unused", "dep_kinds": [{ "kind": null }] }] },
            ] },
        });
        let names: Vec<_> = linked(&metadata, "isopod-cli")
            .unwrap()
            .into_iter()
            .map(|linked| linked.name)
            .collect();
        assert_eq!(names, ["deep", "linked"]);
    }
}
