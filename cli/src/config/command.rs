//! Settings of an `isopod.toml` for a script that is run as a command: module resolution and variables. Settings for serving
//! (listeners, limits, secrets) do not apply.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::document::Node;
use super::file::{File, Var, WorkerFile};
use super::modules::{Jsx, Modules};
use super::source::Source;
use super::{ConfigError, invalid, problems_of, typed};

/// Settings of a command: the defaults, if there is no `isopod.toml`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CommandSettings {
    /// The folder of the `isopod.toml`.
    pub root: Option<PathBuf>,
    /// Import map.
    pub import_map: Option<PathBuf>,
    /// Types and substitutes of modules, and constants.
    pub modules: Modules,
    /// JSX in .jsx and .tsx files.
    pub jsx: Jsx,
    /// Variables in `env`.
    pub vars: BTreeMap<String, Var>,
}

impl CommandSettings {
    /// Returns the settings of the nearest `isopod.toml` in the script's folder or above it: those of the worker whose
    /// `main` is this script, else those at the top level.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Read`] and [`ConfigError::Invalid`], as for a server.
    pub fn of(main: &Path) -> Result<Self, ConfigError> {
        match Self::file_for(main) {
            Some(file) => Self::read(&Source::read(&file)?, main),
            None => Ok(Self::default()),
        }
    }

    /// Returns the nearest `isopod.toml` in a script's folder or above it.
    pub fn file_for(main: &Path) -> Option<PathBuf> {
        let folders = main.ancestors().skip(1);
        let mut files = folders.map(|folder| folder.join("isopod.toml"));
        files.find(|file| file.is_file())
    }

    fn read(source: &Source, main: &Path) -> Result<Self, ConfigError> {
        let node = Node::from_toml(source).map_err(invalid)?;
        let file: File = typed(source, &node, problems_of::<File>(source, &node, &[]))?;
        let folder = source.folder();
        let is_it = |worker: &WorkerFile| {
            let path = worker.main.as_ref().map(|main| folder.join(main));
            path.and_then(|path| path.canonicalize().ok())
                .is_some_and(|path| main.canonicalize().is_ok_and(|main| main == path))
        };
        let named = file.workers.into_values().map(|named| named.worker).find(is_it);
        let worker = named.unwrap_or(file.worker);
        Ok(Self {
            root: Some(folder.to_owned()),
            import_map: worker.import_map.map(|map| folder.join(map)),
            modules: worker.modules.in_folder(folder),
            jsx: worker.jsx,
            vars: worker.vars,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_uses_the_settings_of_its_worker() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
        write("a.js", "");
        write("b.js", "");
        write(
            "isopod.toml",
            "import_map = 'top.json'\nsecrets = ['NOT_SET']\n[workers.a]\nmain = 'a.js'\nimport_map = 'a.json'\n",
        );
        let map = |name: &str| {
            CommandSettings::of(&folder.path().join(name))
                .expect("settings")
                .import_map
        };
        assert_eq!(map("a.js"), Some(folder.path().join("a.json")));
        assert_eq!(map("b.js"), Some(folder.path().join("top.json")));
    }
}
