//! Determines the upper end of a script's project: the folder of its `package.json`, or the root of the workspace that
//! the package is a member of.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Maximum size of a `package.json` in bytes.
const PACKAGE_JSON_BYTES_MAX: u64 = 1 << 20;

/// The topmost folder whose `node_modules` serves the modules of `folder`: the project's folder, or its workspace's
/// root; `folder` itself without a `package.json`.
pub(crate) fn project_root(folder: &Path) -> PathBuf {
    let with_package = || folder.ancestors().filter(|above| above.join("package.json").is_file());
    // A `package.json` that contains only `"type": "module"` marks a folder within a project.
    let project = with_package().find(|above| is_project(above)).or(with_package().next());
    let Some(project) = project else {
        return folder.to_owned();
    };
    project
        .ancestors()
        .skip(1)
        .find(|above| is_workspace_of(above, project))
        .unwrap_or(project)
        .to_owned()
}

fn is_project(folder: &Path) -> bool {
    const MARKS: [&str; 4] = ["name", "dependencies", "devDependencies", "workspaces"];
    let package = package_json(folder);
    MARKS.iter().any(|mark| package.get(mark).is_some()) || folder.join("node_modules").is_dir()
}

/// Returns true if `folder` is the root of a workspace with `project` as a member.
fn is_workspace_of(folder: &Path, project: &Path) -> bool {
    // For pnpm, the nearest such file above determines the workspace, even if it does not list the package.
    if folder.join("pnpm-workspace.yaml").is_file() {
        return true;
    }
    let package = package_json(folder);
    let workspaces = &package["workspaces"];
    // Yarn's long form lists them under `packages`.
    let Some(patterns) = workspaces.as_array().or_else(|| workspaces["packages"].as_array()) else {
        return false;
    };
    let Some(member) = project.strip_prefix(folder).ok().and_then(Path::to_str) else {
        return false;
    };
    let member = member.replace('\\', "/");
    let mut is_member = false;
    for pattern in patterns.iter().filter_map(Value::as_str) {
        let (pattern, includes) = match pattern.strip_prefix('!') {
            Some(pattern) => (pattern, false),
            None => (pattern, true),
        };
        let pattern = pattern.trim_start_matches("./").trim_end_matches('/');
        if fast_glob::glob_match(pattern, &member) {
            is_member = includes;
        }
    }
    is_member
}

/// A `package.json`; null if it does not exist or is invalid, which the resolver reports.
pub(super) fn package_json(folder: &Path) -> Value {
    let Ok(file) = fs::File::open(folder.join("package.json")) else {
        return Value::Null;
    };
    let mut text = Vec::new();
    match file.take(PACKAGE_JSON_BYTES_MAX).read_to_end(&mut text) {
        Ok(_) => serde_json::from_slice(&text).unwrap_or_default(),
        Err(_) => Value::Null,
    }
}
