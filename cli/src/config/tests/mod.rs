//! Tests of the configuration, through [`load`] on files in temporary folders.

mod assets;
mod docs;
mod isopod_toml;
mod kv_namespaces;
mod places;
mod queues;
mod r2_buckets;
mod rate_limits;
mod services;
mod storage;
mod wrangler_files;

use std::collections::BTreeMap;
use std::path::Path;

use isopod::{Compatibility, NodeCompat, SqlConfig};
use tempfile::TempDir;

use super::*;

/// The database that a worker has under this name.
fn database<'a>(worker: &'a Worker, name: &str) -> &'a SqlConfig {
    let bound = worker.bindings.iter().find(|bound| bound.name == name);
    let binding: &dyn std::any::Any = &*bound.expect("a binding of this name").binding;
    let database: &SqlDatabase = binding.downcast_ref().expect("a database");
    &database.config
}

/// A folder with files in it, and the variables and overrides it is loaded with.
struct Project {
    folder: TempDir,
    environment: BTreeMap<String, String>,
    overrides: Overrides,
}

impl Project {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        }
        Self {
            folder,
            environment: BTreeMap::new(),
            overrides: Overrides::default(),
        }
    }

    /// An isopod.toml beside an `a.ts`.
    fn isopod(text: &str) -> Self {
        Self::new(&[("isopod.toml", text), ("a.ts", ""), ("b.ts", "")])
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    fn in_environment(mut self, name: &str) -> Self {
        self.overrides.environment = Some(name.to_owned());
        self
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn load(&self) -> Result<Config, ConfigError> {
        load(&discover(self.path())?, &self.overrides, &self.environment)
    }

    fn config(&self) -> Config {
        self.load().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The error's text, with the folder's own path taken out.
    fn error(&self) -> String {
        let error = self.load().expect_err("an error").to_string();
        error.replace(&format!("{}/", self.path().display()), "")
    }
}
