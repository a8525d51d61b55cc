//! How far up from a script its project goes: to the folder of its `package.json`, or to the root of the workspace that
//! the package is a member of.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Bytes of a `package.json` that is looked at.
const PACKAGE_JSON_BYTES_MAX: u64 = 1 << 20;

/// The topmost folder whose `node_modules` serve the modules of `folder`: the project's, or its workspace's root; `folder`
/// itself where there is no `package.json`.
pub(crate) fn project_root(folder: &Path) -> PathBuf {
    let with_package = || folder.ancestors().filter(|above| above.join("package.json").is_file());
    // A `package.json` that says `"type": "module"` and nothing else marks a folder within a project.
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

/// Whether `folder` is the root of a workspace that `project` is a member of.
fn is_workspace_of(folder: &Path, project: &Path) -> bool {
    // To pnpm the nearest such file above is the workspace's, whatever it lists.
    if folder.join("pnpm-workspace.yaml").is_file() {
        return true;
    }
    let package = package_json(folder);
    let workspaces = &package["workspaces"];
    // Yarn's long form has them under `packages`.
    let Some(patterns) = workspaces.as_array().or_else(|| workspaces["packages"].as_array()) else {
        return false;
    };
    let Some(member) = project.strip_prefix(folder).ok().and_then(Path::to_str) else {
        return false;
    };
    let member = member.replace('\\', "/");
    let mut is_member = false;
    for pattern in patterns.iter().filter_map(Value::as_str) {
        let (pattern, says) = match pattern.strip_prefix('!') {
            Some(pattern) => (pattern, false),
            None => (pattern, true),
        };
        let pattern = pattern.trim_start_matches("./").trim_end_matches('/');
        if fast_glob::glob_match(pattern, &member) {
            is_member = says;
        }
    }
    is_member
}

/// A `package.json`; null where there is none that can be read. The resolver tells what is wrong with it.
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
