//! The packages that links in `node_modules` refer to: the members of a workspace.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Number of entries of `node_modules` folders that are considered.
const ENTRIES_MAX: usize = 20_000;

/// The folders below `ceiling` that have a `package.json` and are the target of a link in the `node_modules` of `root` or of
/// a folder above it, and the same for the `node_modules` of these folders. A folder that contains the root is excluded: it
/// would give access to files that the choice of the root leaves out.
pub(super) fn packages(root: &Path, ceiling: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut entries_left = ENTRIES_MAX;
    let mut folders: Vec<PathBuf> = root
        .ancestors()
        .take_while(|folder| folder.starts_with(ceiling))
        .map(|folder| folder.join("node_modules"))
        .collect();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let Some(left) = entries_left.checked_sub(1) else {
                return found;
            };
            entries_left = left;
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() && entry.file_name().as_encoded_bytes().starts_with(b"@") {
                folders.push(entry.path());
            }
            if !kind.is_symlink() {
                continue;
            }
            let Ok(real) = fs::canonicalize(entry.path()) else {
                continue;
            };
            let is_member = real.strip_prefix(ceiling).is_ok_and(|below| {
                below.components().next().is_some() && below.iter().all(|part| part != "node_modules")
            });
            if is_member && !root.starts_with(&real) && real.join("package.json").is_file() && seen.insert(real.clone())
            {
                folders.push(real.join("node_modules"));
                found.push(real);
            }
        }
    }
    found
}
