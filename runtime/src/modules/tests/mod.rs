//! Each test creates its own project in a temporary folder.

mod deep;
mod errors;
mod frames;
mod reach;
mod resolution;
mod transpiling;

use std::fs;
use std::path::PathBuf;

use oxc_sourcemap::SourceMap;
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

/// The source, line and column, from 0, of a position in a module, by its source map.
fn original(loader: &Loader, url: &Url, line: u32, column: u32) -> Option<(String, u32, u32)> {
    let map = loader.source_maps().map_of(url)?;
    let map = SourceMap::from_json_string(std::str::from_utf8(&map).unwrap()).unwrap();
    let token = map
        .get_tokens()
        .filter(|token| token.get_dst_line() == line && token.get_dst_col() <= column)
        .last()?;
    let source = map.get_source(token.get_source_id()?)?.to_owned();
    Some((source, token.get_src_line(), token.get_src_col()))
}
