//! The `"type"` of packages: whether Node.js treats their `.js` files as ES modules.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::project::package_json;

/// The folders seen so far, with true for those in which `.js` is an ES module.
#[derive(Default)]
pub(super) struct PackageTypes(Mutex<HashMap<PathBuf, bool>>);

impl PackageTypes {
    /// Returns true if the nearest `package.json` of a file says `"type": "module"`. No file above `ceiling` is read.
    pub(super) fn is_module(&self, file: &Path, ceiling: &Path) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut below = Vec::new();
        let mut found = false;
        for folder in file.ancestors().skip(1) {
            if let Some(is_module) = known.get(folder) {
                found = *is_module;
                break;
            }
            if !folder.starts_with(ceiling) || folder.file_name().is_some_and(|name| name == "node_modules") {
                break;
            }
            below.push(folder.to_owned());
            if folder.join("package.json").is_file() {
                found = package_json(folder)["type"] == "module";
                break;
            }
        }
        known.extend(below.into_iter().map(|folder| (folder, found)));
        found
    }
}
