//! The `browser` map of packages, for the cases that the resolver does not handle: it looks at the nearest
//! `package.json`, which may contain only `"type": "module"`, and takes keys literally.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};

use super::project::package_json;

/// A replacement in a `browser` map.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Replacement {
    Nothing,
    /// A specifier to resolve from the package's folder.
    By(PathBuf, String),
}

/// The maps of the packages seen so far.
#[derive(Default)]
pub(super) struct BrowserMaps(Mutex<HashMap<PathBuf, Option<BrowserMap>>>);

type BrowserMap = Arc<Map<String, Value>>;

impl BrowserMaps {
    /// The replacement for a file of a package in `node_modules`; `None` if it is not replaced.
    pub(super) fn replacement(&self, file: &Path) -> Option<Replacement> {
        let package = package_folder(file)?;
        let map = self.map(&package)?;
        let below = file.strip_prefix(&package).ok()?.to_str()?.replace('\\', "/");
        let without_extension = below.rsplit_once('.').map_or(&*below, |(stem, _)| stem);
        let folder = without_extension.strip_suffix("/index");
        let value = [Some(&*below), Some(without_extension), folder]
            .into_iter()
            .flatten()
            .find_map(|name| map.get(&format!("./{name}")).or_else(|| map.get(name)))?;
        match value {
            Value::Bool(false) => Some(Replacement::Nothing),
            Value::String(other) if other.trim_start_matches("./") != below => {
                Some(Replacement::By(package, other.clone()))
            }
            _ => None,
        }
    }

    fn map(&self, package: &Path) -> Option<BrowserMap> {
        let mut maps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = maps.get(package) {
            return known.clone();
        }
        let map = match package_json(package) {
            Value::Object(mut package) => match package.remove("browser") {
                Some(Value::Object(map)) => Some(Arc::new(map)),
                _ => None,
            },
            _ => None,
        };
        maps.insert(package.to_owned(), map.clone());
        map
    }
}

/// The folder of the package that a file in `node_modules` belongs to.
fn package_folder(file: &Path) -> Option<PathBuf> {
    let parts: Vec<_> = file.iter().collect();
    let modules = parts.iter().rposition(|part| *part == "node_modules")?;
    let scoped = parts.get(modules + 1)?.as_encoded_bytes().starts_with(b"@");
    let end = modules + if scoped { 3 } else { 2 };
    (end < parts.len()).then(|| parts[..end].iter().collect())
}
