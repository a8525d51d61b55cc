//! Each test creates its own project in a temporary folder.

mod deep;
mod errors;
mod frames;
mod reach;
mod resolution;
mod transpiling;

use std::fs;
use std::path::PathBuf;

use url::Url;

use super::{Loader, LoaderOptions, Module, ModuleCode, ModuleError, RequestedType};

struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    fn new(files: &[(&str, &str)]) -> Self {
        let project = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        for (path, content) in files {
            let path = project.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        project
    }

    fn path(&self, path: &str) -> PathBuf {
        // The temporary folder's path may contain a link; the loader returns canonical paths.
        fs::canonicalize(self.folder.path()).unwrap().join(path)
    }

    fn url(&self, path: &str) -> Url {
        Url::from_file_path(self.path(path)).unwrap()
    }

    fn loader(&self) -> Loader {
        Loader::new(LoaderOptions::folder(self.folder.path())).unwrap()
    }

    /// Resolves `specifier` from a file; returns a path relative to the project's folder.
    fn resolve(&self, specifier: &str, from: &str) -> Result<String, ModuleError> {
        let url = self.loader().resolve(specifier, &self.url(from))?;
        let root = self.url("");
        Ok(url
            .as_str()
            .strip_prefix(root.as_str())
            .unwrap_or(url.as_str())
            .trim_start_matches('/')
            .to_owned())
    }

    fn load(&self, path: &str) -> Result<Module, ModuleError> {
        self.loader().load(&self.url(path), RequestedType::Unspecified, None)
    }

    fn code(&self, path: &str) -> String {
        text(&self.load(path).unwrap())
    }
}

fn text(module: &Module) -> String {
    match &module.code {
        ModuleCode::Text(text) => text.to_string(),
        ModuleCode::Bytes(_) => panic!("a module of bytes"),
    }
}
