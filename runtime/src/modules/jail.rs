//! What may be read from disk at all. Everything that touches a file, the resolver included, goes through here.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use oxc_resolver::{FileMetadata, FileSystem, ResolveError};

use super::error::ModuleError;

/// Two folders, both canonical: modules come from `root`, and from the `node_modules` folders from there up to `ceiling`.
#[derive(Debug, Clone)]
pub(super) struct Jail {
    root: PathBuf,
    ceiling: PathBuf,
}

impl Jail {
    pub(super) fn new(root: &Path, ceiling: Option<&Path>) -> Result<Self, ModuleError> {
        let folder = |path: &Path| {
            let invalid = |source| ModuleError::InvalidRoot {
                folder: path.display().to_string(),
                source,
            };
            let real = fs::canonicalize(path).map_err(invalid)?;
            if real.is_dir() {
                Ok(real)
            } else {
                Err(invalid(io::ErrorKind::NotADirectory.into()))
            }
        };
        let root = folder(root)?;
        let ceiling = ceiling.map_or_else(|| Ok(root.clone()), folder)?;
        if !root.starts_with(&ceiling) {
            return Err(ModuleError::InvalidRoot {
                folder: ceiling.display().to_string(),
                source: io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "the ceiling must be the root or a folder above it",
                ),
            });
        }
        Ok(Self { root, ceiling })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn ceiling(&self) -> &Path {
        &self.ceiling
    }

    /// Whether a module may be read from this path, which must be canonical: symbolic links hide where they lead.
    pub(super) fn allows(&self, real: &Path) -> bool {
        real.starts_with(&self.root) || self.above().any(|folder| real.starts_with(folder.join("node_modules")))
    }

    /// The folders above the root, up to the ceiling.
    fn above(&self) -> impl Iterator<Item = &Path> {
        self.root
            .ancestors()
            .skip(1)
            .take_while(|folder| folder.starts_with(&self.ceiling))
    }
}

/// The resolver's view of the disk: nothing exists outside the ceiling but the folders that lead to it.
///
/// The resolver reads `package.json` and `tsconfig.json` anywhere below the ceiling, which is more than
/// [`Jail::allows`]: their settings apply to the folders under them. What it finds is checked again before it is loaded.
pub(super) struct JailedFiles {
    /// `None` sees nothing.
    ceiling: Option<PathBuf>,
}

impl JailedFiles {
    pub(super) fn below(jail: &Jail) -> Self {
        Self {
            ceiling: Some(jail.ceiling.clone()),
        }
    }

    /// Passes the path itself; its links may lead elsewhere.
    fn visible(&self, path: &Path) -> io::Result<()> {
        match &self.ceiling {
            Some(ceiling) if path.starts_with(ceiling) || ceiling.starts_with(path) => Ok(()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn real(&self, path: &Path) -> io::Result<PathBuf> {
        self.visible(path)?;
        let real = fs::canonicalize(path)?;
        self.visible(&real).map(|()| real)
    }
}

impl FileSystem for JailedFiles {
    fn new() -> Self {
        Self { ceiling: None }
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(self.real(path)?)
    }

    fn read_to_string(&self, path: &Path) -> io::Result<String> {
        fs::read_to_string(self.real(path)?)
    }

    fn metadata(&self, path: &Path) -> io::Result<FileMetadata> {
        fs::metadata(self.real(path)?).map(FileMetadata::from)
    }

    fn symlink_metadata(&self, path: &Path) -> io::Result<FileMetadata> {
        self.visible(path)?;
        fs::symlink_metadata(path).map(FileMetadata::from)
    }

    fn read_link(&self, path: &Path) -> Result<PathBuf, ResolveError> {
        self.visible(path)?;
        Ok(fs::read_link(path)?)
    }

    fn canonicalize(&self, path: &Path) -> io::Result<PathBuf> {
        self.real(path)
    }
}
