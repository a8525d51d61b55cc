//! What a worker handles, asked of the worker itself: its main module is started behind one of ours, which looks at its
//! exports and at the listeners it adds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use isopod_pool::Failure;
use isopod_pool::js::Pool;
use isopod_pool::js::modules::MemoryModule;
use serde::Deserialize;
use url::Url;

/// Names that no file of a project has. They stand beside the main module, so that it finds what it always finds.
const INSPECTOR: &str = ".isopod-inspector.js";
const LISTENERS: &str = ".isopod-listeners.js";

/// What a main module has to offer.
#[derive(Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Found {
    /// Whether any event finds a handler.
    handles: bool,
    /// The names it exports.
    exports: Vec<String>,
}

/// The path of the module to start instead of `main`, and the modules in memory that this takes.
pub(crate) fn in_front_of(main: &Path) -> Result<(PathBuf, BTreeMap<Url, MemoryModule>)> {
    // Where it is, not where a link to it is: what it imports lies there.
    let main = std::fs::canonicalize(main).or_else(|_| std::path::absolute(main))?;
    let url = |path: &Path| Url::from_file_path(path).map_err(|()| anyhow!("{} is no full path", path.display()));
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
    Ok((inspector, modules.into()))
}

/// Asks a script that was deployed with the inspector in front.
pub(crate) async fn ask(pool: &Pool, name: &str) -> Result<Found, Failure> {
    pool.call(name, "found", &()).await
}

impl Found {
    /// What is wrong with a worker that has nothing to handle an event with.
    pub(crate) fn problem(&self) -> Option<String> {
        if self.handles {
            return None;
        }
        let exports = match self.exports.join(", ") {
            none if none.is_empty() => "nothing".to_owned(),
            some => some,
        };
        Some(format!(
            "it handles no event: there is no fetch(), scheduled() or queue() in its default export, and no listener for \
             one of them (it exports {exports}); add `export default {{ fetch(request) {{ … }} }}`, or check a script \
             that is meant for `isopod run` with `isopod check --script`"
        ))
    }
}
