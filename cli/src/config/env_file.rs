//! Env files, and lookup of names in them and in the environment.
//!
//! The format is Node's: `NAME=value`, quotes for multi-line values, `#` comments, an optional `export`. A `$` is literal:
//! nothing is substituted, because passwords may contain dollar signs.

use std::collections::BTreeMap;
use std::path::Path;

use super::ConfigError;
use super::source::Source;
use super::values::Secret;

/// Reads one env file.
///
/// # Errors
///
/// [`ConfigError::Read`] when the file cannot be read.
pub fn read_env_file(path: &Path) -> Result<BTreeMap<String, Secret>, ConfigError> {
    let source = Source::read(path)?;
    let mut values = BTreeMap::new();
    deno_dotenv::parse_env_content_hook(source.text(), &mut |name, value| {
        // `=` alone is a line without a name.
        if !name.is_empty() {
            values.insert(name.to_owned(), Secret::new(value));
        }
    });
    Ok(values)
}

/// Lookup of names in the environment, then in the env files, last file first.
pub(super) struct Lookup<'a> {
    environment: &'a BTreeMap<String, String>,
    files: BTreeMap<String, Secret>,
}

impl<'a> Lookup<'a> {
    pub(super) fn new<P: AsRef<Path>>(
        environment: &'a BTreeMap<String, String>,
        files: impl IntoIterator<Item = P>,
    ) -> Result<Self, ConfigError> {
        let mut values = BTreeMap::new();
        for file in files {
            values.extend(read_env_file(file.as_ref())?);
        }
        Ok(Self {
            environment,
            files: values,
        })
    }

    pub(super) fn get(&self, name: &str) -> Option<Secret> {
        self.environment
            .get(name)
            .map(Secret::new)
            .or_else(|| self.files.get(name).cloned())
    }

    /// Returns every name in the env files with its value.
    pub(super) fn file_values(&self) -> BTreeMap<String, Secret> {
        self.files
            .keys()
            .filter_map(|name| Some((name.clone(), self.get(name)?)))
            .collect()
    }
}
