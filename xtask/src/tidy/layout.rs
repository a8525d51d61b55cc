//! Rules about crates, folders and links.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::files::File;

/// The crates from top to bottom. Each may depend only on those below it.
const LAYERS: &[&str] = &[
    "isopod-cli",
    "isopod",
    "isopod-server",
    "isopod-host",
    "isopod-module",
    "isopod-pool",
    "isopod-runtime",
    "isopod-node",
    "isopod-ext",
    "isopod-assets",
    "isopod-websocket",
    "isopod-outcome",
];

/// Applies every rule of this module to all files.
pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let paths: BTreeSet<_> = files.iter().map(|file| file.path.as_str()).collect();
    let pages = files.iter().filter(|file| file.is(&["md"]));
    let anchors: BTreeMap<_, _> = pages.map(|page| (page.path.as_str(), anchors(page))).collect();
    let mut findings = Vec::new();
    for file in files {
        if file.name() == "Cargo.toml" {
            findings.extend(manifest(file));
        }
        if file.is(&["md"]) {
            findings.extend(links(file, &paths, &anchors));
        }
    }
    findings.extend(examples(&paths));
    findings
}

fn finding(file: &File, rule: &'static str, message: String) -> Finding {
    Finding {
        path: file.path.clone(),
        line: 0,
        rule,
        message,
    }
}

/// Checks that lints come from the workspace and that dependencies point down.
fn manifest(file: &File) -> Vec<Finding> {
    let manifest: toml::Table = match file.text.parse() {
        Ok(manifest) => manifest,
        Err(error) => return vec![finding(file, "manifest", format!("is not valid TOML: {error}"))],
    };
    let Some(name) = manifest
        .get("package")
        .and_then(|package| package.get("name")?.as_str())
    else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    let shared = manifest
        .get("lints")
        .and_then(|lints| lints.get("workspace")?.as_bool())
        .unwrap_or(false);
    // The runtime and the C interface override `unsafe_code`, and a crate inherits either all lints or none. Examples
    // are manifests as users write them.
    if !shared && !matches!(name, "isopod-runtime" | "isopod-capi") && file.top() != "examples" {
        findings.push(finding(file, "lints", "lacks `[lints] workspace = true`".into()));
    }
    // Development dependencies are exempt.
    let tables = ["dependencies", "build-dependencies"]
        .iter()
        .filter_map(|table| manifest.get(*table)?.as_table());
    for dependency in tables.flat_map(toml::Table::keys) {
        if let Some(message) = wrong_way(name, dependency) {
            findings.push(finding(file, "direction", message));
        }
    }
    findings
}

fn wrong_way(from: &str, to: &str) -> Option<String> {
    let layer = |name: &str| LAYERS.iter().position(|layer| *layer == name);
    match (layer(from), layer(to)) {
        (Some(upper), Some(lower)) if upper >= lower => Some(format!(
            "{from} depends on {to}; dependencies must point down: {}",
            LAYERS.join(" → ")
        )),
        (None, Some(_)) if from == "xtask" => Some(format!("xtask depends on {to}; it has to build without V8")),
        (None, None) if from == "xtask" && (to == "v8" || to.starts_with("deno_")) => {
            Some(format!("xtask depends on {to}; it has to build without V8"))
        }
        _ => None,
    }
}

/// Checks that each example has a README.
fn examples(paths: &BTreeSet<&str>) -> Vec<Finding> {
    let folders: BTreeSet<_> = paths
        .iter()
        .filter_map(|path| {
            path.strip_prefix("examples/")?
                .split_once('/')
                .map(|(example, _)| format!("examples/{example}"))
        })
        .collect();
    let message = || "the example has no README.md: say what it shows and how to run it".to_owned();
    let unexplained = folders
        .into_iter()
        .filter(|folder| !paths.contains(format!("{folder}/README.md").as_str()));
    unexplained
        .map(|path| Finding {
            path,
            line: 0,
            rule: "example-readme",
            message: message(),
        })
        .collect()
}

/// The anchors of a page's headings, as GitHub derives them.
fn anchors(page: &File) -> BTreeSet<String> {
    let mut in_code = false;
    let mut anchors = BTreeSet::new();
    for line in page.lines() {
        if line.text.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        let heading = line.text.trim_start_matches('#');
        if !in_code && heading.len() < line.text.len() && heading.starts_with(' ') {
            let kept = heading
                .trim()
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            let name: String = kept.collect::<String>().to_lowercase().replace(' ', "-");
            let same = (1..).map(|number| format!("{name}-{number}"));
            let free = std::iter::once(name.clone())
                .chain(same)
                .find(|name| !anchors.contains(name));
            anchors.extend(free);
        }
    }
    anchors
}

/// Checks that links to files of the repository, and to headings in them, have a target.
fn links(file: &File, paths: &BTreeSet<&str>, anchors: &BTreeMap<&str, BTreeSet<String>>) -> Vec<Finding> {
    let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut findings = Vec::new();
    let mut in_code = false;
    for line in file.lines() {
        if line.text.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for target in link_targets(line.text) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            if path.contains(':') {
                continue;
            }
            let path = match path {
                "" => file.path.clone(),
                path => resolve(folder, path),
            };
            let has_anchor = || {
                anchors
                    .get(path.as_str())
                    .is_none_or(|anchors| anchors.contains(anchor))
            };
            if exists(&path, paths) && (anchor.is_empty() || has_anchor()) {
                continue;
            }
            let message = format!("the link to `{target}` has no target");
            findings.push(Finding {
                path: file.path.clone(),
                line: line.number,
                rule: "link",
                message,
            });
        }
    }
    findings
}

fn link_targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', ' ']).next())
}

fn resolve(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = if path.starts_with('/') {
        Vec::new()
    } else {
        folder.split('/').collect()
    };
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts.join("/")
}

fn exists(path: &str, paths: &BTreeSet<&str>) -> bool {
    let folder = format!("{path}/");
    path.is_empty()
        || paths.contains(path)
        || paths
            .range(folder.as_str()..)
            .next()
            .is_some_and(|next| next.starts_with(&folder))
}

#[cfg(test)]
mod tests {
    use super::super::files::file;
    use super::*;

    fn messages(files: &[File]) -> Vec<String> {
        check(files).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn a_crate_without_the_workspaces_lints_is_found() {
        let text = "[package]\nname = \"isopod-ext\"\n";
        assert_eq!(
            messages(&[file("ext/Cargo.toml", text)]),
            ["lacks `[lints] workspace = true`"]
        );
        assert!(messages(&[file("ext/Cargo.toml", &format!("{text}[lints]\nworkspace = true\n"))]).is_empty());
    }

    #[test]
    fn dependencies_point_down() {
        assert!(wrong_way("isopod-cli", "isopod-pool").is_none());
        assert!(wrong_way("isopod-pool", "isopod-server").is_some());
        assert!(wrong_way("xtask", "deno_core").is_some());
        assert!(wrong_way("isopod-runtime", "deno_core").is_none());
        let text = "[package]\nname = \"isopod-ext\"\n[lints]\nworkspace = true\n[dependencies]\nisopod-pool = \"1\"\n";
        assert_eq!(messages(&[file("ext/Cargo.toml", text)]).len(), 1);
    }

    #[test]
    fn an_example_without_a_readme_is_found() {
        let files = [
            file("examples/a/README.md", ""),
            file("examples/a/x.js", ""),
            file("examples/b/x.js", ""),
        ];
        let findings = check(&files);
        assert_eq!(
            findings.iter().map(|finding| finding.path.as_str()).collect::<Vec<_>>(),
            ["examples/b"]
        );
    }

    #[test]
    fn links_lead_to_files_and_folders_that_are_there() {
        let text =
            "[a](b.md) [c](../server) [d](https://example.org) [e](c.rs#L1)\n```\n[f](none)\n```\n[g](gone.md)\n";
        let files = [
            file("docs/a.md", text),
            file("docs/b.md", ""),
            file("docs/c.rs", "//! Docs.\n"),
            file("server/src/lib.rs", "//! Docs.\n"),
        ];
        assert_eq!(messages(&files), ["the link to `gone.md` has no target"]);
    }

    #[test]
    fn links_to_headings() {
        let text = "# One `a.b` & two\n\n[a](#one-ab--two) [b](#one) [c](b.md#x-1) [d](b.md#x-2)\n";
        let files = [
            file("docs/a.md", text),
            file("docs/b.md", "## X\n\n```\n# X\n```\n\n### X\n"),
        ];
        assert_eq!(
            messages(&files),
            [
                "the link to `#one` has no target",
                "the link to `b.md#x-2` has no target"
            ]
        );
    }
}
