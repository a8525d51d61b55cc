//! Detection of a worker's handlers: its main module is started behind a module of ours, which examines its exports and the
//! listeners it adds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use isopod::modules::MemoryModule;
use isopod::{Failure, Pool};
use serde::Deserialize;
use url::Url;

/// File names that no project uses. They are next to the main module, so that its imports resolve as usual.
const INSPECTOR: &str = ".isopod-inspector.js";
const LISTENERS: &str = ".isopod-listeners.js";

/// Exports and handlers of a main module.
#[derive(Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Found {
    /// The worker has a handler for an event.
    handles: bool,
    /// Exported names.
    exports: Vec<String>,
}

/// The module to start instead of another one.
pub(crate) struct InFront {
    pub(crate) path: PathBuf,
    /// The modules that it needs.
    pub(crate) memory: BTreeMap<Url, MemoryModule>,
    /// The canonical path of the other one.
    pub(crate) main: PathBuf,
}

/// Returns the module to start instead of `main`.
pub(crate) fn in_front_of(main: &Path) -> Result<InFront> {
    // The path behind links, because its imports are relative to that.
    let main = std::fs::canonicalize(main).or_else(|_| std::path::absolute(main))?;
    let url =
        |path: &Path| Url::from_file_path(path).map_err(|()| anyhow!("{} is not an absolute path", path.display()));
    let name = url(&main)?;
    let name = name
        .path_segments()
        .and_then(Iterator::last)
        .context("a script has a name")?;
    let source = include_str!("inspector.js")
        .replace("LISTENERS", LISTENERS)
        .replace("MAIN", name);
    let inspector = main.with_file_name(INSPECTOR);
    let listeners = include_str!("listeners.js");
    let modules = [
        (url(&inspector)?, MemoryModule::from(source)),
        (url(&main.with_file_name(LISTENERS))?, MemoryModule::from(listeners)),
    ];
    Ok(InFront {
        path: inspector,
        memory: modules.into(),
        main,
    })
}

/// Queries a script that was deployed with the inspector.
pub(crate) async fn ask(pool: &Pool, name: &str) -> Result<Found, Failure> {
    pool.call(name, "found", &()).await
}

impl Found {
    /// The names that the script exports.
    pub(crate) fn exports(&self) -> &[String] {
        &self.exports
    }

    /// Returns the error for a worker without handlers.
    pub(crate) fn problem(&self) -> Option<String> {
        if self.handles {
            return None;
        }
        let exports = match self.exports.join(", ") {
            none if none.is_empty() => "nothing".to_owned(),
            some => some,
        };
        Some(format!(
            "it handles no event: its default export has no fetch(), scheduled() or queue(), and there is no listener for \
             one of them (it exports {exports}); add `export default {{ fetch(request) {{ … }} }}`, or check a script \
             that is meant for `isopod run` with `isopod check --script`"
        ))
    }
}
