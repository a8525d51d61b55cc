//! The files that may be read. Every access to the file system, including the resolver's, goes through here.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use oxc_resolver::{FileMetadata, FileSystem, ResolveError};

use super::error::ModuleError;
use super::json_depth;
use super::linked;
use super::options::Reach;
use super::refusal::{self, Refusal};

/// Number of names in a folder that are compared with a file that has several hard links.
const NAMES_MAX: usize = 2_000;

/// Stack required for the resolver to read a file: it recurses from one to the next.
const STACK_LEFT_MIN: usize = 512 << 10;

/// The folders of modules, and the files in them that are not modules.
///
/// Modules come from `root`, from the `node_modules` folders from there up to `ceiling`, and from packages that links
/// in those refer to, if they are below `ceiling`: the members of a workspace.
#[derive(Debug, Clone)]
pub(super) struct Jail(Arc<Walls>);

#[derive(Debug)]
struct Walls {
    /// The root as given, which may contain links.
    given: PathBuf,
    root: PathBuf,
    ceiling: PathBuf,
    reach: Reach,
    /// The script's main module.
    main: OnceLock<PathBuf>,
    /// The targets of links in `node_modules`. Determined when a file is not found elsewhere.
    linked: OnceLock<Vec<PathBuf>>,
}

/// The reason why a file must not be read.
pub(super) enum Denial {
    /// The file is in none of the folders.
    Outside,
    /// The file is in a folder, but is not a module.
    Refused(Refusal),
}

impl Jail {
    pub(super) fn new(root: &Path, ceiling: Option<&Path>, reach: Reach) -> Result<Self, ModuleError> {
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
        let given = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
        let root = folder(root)?;
        let ceiling = ceiling.map_or_else(|| Ok(root.clone()), folder)?;
        if !root.starts_with(&ceiling) {
            return Err(ModuleError::InvalidRoot {
                folder: ceiling.display().to_string(),
                source: io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "the ceiling must be the root or a parent folder of it",
                ),
            });
        }
        Ok(Self(Arc::new(Walls {
            given,
            root,
            ceiling,
            reach,
            main: OnceLock::new(),
            linked: OnceLock::new(),
        })))
    }

    pub(super) fn root(&self) -> &Path {
        &self.0.root
    }

    pub(super) fn ceiling(&self) -> &Path {
        &self.0.ceiling
    }

    pub(super) fn reach(&self) -> &Reach {
        &self.0.reach
    }

    /// Records the script's main file, which is allowed whatever its name, as are the folders on its path.
    pub(super) fn set_main(&self, file: &Path) {
        // A loader has one entry; the first stays.
        drop(self.0.main.set(self.rebased(file)));
    }

    pub(super) fn is_main(&self, path: &Path) -> bool {
        self.0.main.get().is_some_and(|main| main == path)
    }

    /// The path with the root's canonical path, if it was given with the root as written.
    pub(super) fn rebased(&self, path: &Path) -> PathBuf {
        match path.strip_prefix(&self.0.given) {
            Ok(below) => self.0.root.join(below),
            Err(_) => path.to_owned(),
        }
    }

    /// Returns true if this path, which must be canonical or free of `..`, is in one of the folders. Does not access
    /// the file system for the path.
    pub(super) fn holds(&self, path: &Path) -> bool {
        self.base(path).is_some()
    }

    /// The accessible folder that contains a path.
    fn base(&self, path: &Path) -> Option<&Path> {
        let walls = &*self.0;
        let is_packaged = |folder: &&Path| path.starts_with(folder.join("node_modules"));
        if path.starts_with(&walls.root) {
            Some(&walls.root)
        } else if let Some(above) = self.above().find(is_packaged) {
            Some(above)
        } else if path.starts_with(&walls.ceiling) {
            let linked = || linked::packages(&walls.root, &walls.ceiling);
            let packages = walls.linked.get_or_init(linked).iter();
            packages.map(PathBuf::as_path).find(|package| path.starts_with(package))
        } else {
            None
        }
    }

    /// The folders above the root, up to the ceiling.
    fn above(&self) -> impl Iterator<Item = &Path> {
        self.0
            .root
            .ancestors()
            .skip(1)
            .take_while(|folder| folder.starts_with(&self.0.ceiling))
    }

    /// Checks by name whether a file may be a module. The path must be canonical or free of `..`.
    pub(super) fn admits_name(&self, path: &Path) -> Result<(), Denial> {
        let base = self.base(path).ok_or(Denial::Outside)?;
        if self.is_main(path) {
            return Ok(());
        }
        if let Some(refusal) = path.file_name().and_then(refusal::by_name) {
            return Err(Denial::Refused(refusal));
        }
        let below = path.strip_prefix(base).unwrap_or(path);
        let main = self
            .0
            .main
            .get()
            .and_then(|main| main.strip_prefix(base).ok()?.parent());
        let holds_package = |parts: usize| {
            let mut folder = base.to_owned();
            below.components().enumerate().any(|(index, part)| {
                folder.push(part);
                index + 1 >= parts && folder.join("package.json").is_file()
            })
        };
        if refusal::is_hidden(below, main.unwrap_or(Path::new("")), holds_package) {
            return Err(Denial::Refused(Refusal::Hidden));
        }
        Ok(())
    }

    /// Checks a file by its name, and refuses files that a binding or the configuration uses, possibly under another
    /// name.
    pub(super) fn admits(&self, real: &Path, about: &Metadata, as_data: bool) -> Result<(), Denial> {
        self.admits_name(real)?;
        let refuse = |refusal| Err(Denial::Refused(refusal));
        if self.0.reach.withheld_files().any(|named| is_same(&named, real, about)) {
            return refuse(Refusal::Named);
        }
        let is_packaged = real.components().any(|part| part.as_os_str() == "node_modules");
        if links(about) > 1 && !is_packaged {
            if let Some(refusal) = self.refusal_of_another_link(real, about) {
                return refuse(refusal);
            }
            if as_data && !self.0.reach.hard_links {
                return refuse(Refusal::HardLink);
            }
        }
        Ok(())
    }

    /// Checks for a hard link: whether the same file has a refused name in a folder around this one.
    fn refusal_of_another_link(&self, real: &Path, about: &Metadata) -> Option<Refusal> {
        let ceiling = &self.0.ceiling;
        let around = real
            .ancestors()
            .skip(1)
            .take_while(|folder| folder.starts_with(ceiling));
        around
            .filter_map(|folder| fs::read_dir(folder).ok())
            .flat_map(|entries| entries.take(NAMES_MAX).flatten())
            .find_map(|entry| {
                let refusal = refusal::by_name(&entry.file_name())?;
                is_same(&entry.path(), real, about).then_some(refusal)
            })
    }
}

#[cfg(unix)]
fn is_same(named: &Path, real: &Path, about: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    let _ = real;
    fs::metadata(named).is_ok_and(|named| (named.dev(), named.ino()) == (about.dev(), about.ino()))
}

#[cfg(not(unix))]
fn is_same(named: &Path, real: &Path, _about: &Metadata) -> bool {
    fs::canonicalize(named).is_ok_and(|named| named == real)
}

#[cfg(unix)]
fn links(about: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(about)
}

#[cfg(not(unix))]
fn links(_about: &Metadata) -> u64 {
    1
}

/// The resolver's view of the file system: the folders of modules, the folders that lead there, and below the ceiling
/// the settings that apply (`package.json`, `tsconfig.json` and those it extends). Nothing else exists.
///
/// Resolved files are checked again before they are loaded.
pub(super) struct JailedFiles {
    /// `None` sees nothing.
    jail: Option<Jail>,
}

impl JailedFiles {
    pub(super) fn in_reach(jail: &Jail) -> Self {
        Self {
            jail: Some(jail.clone()),
        }
    }

    /// Checks the path itself; its links may lead elsewhere.
    fn visible(&self, path: &Path) -> io::Result<()> {
        let visible = self.jail.as_ref().is_some_and(|jail| {
            jail.root().starts_with(path) || jail.holds(path) || is_setting(path) && path.starts_with(jail.ceiling())
        });
        if visible {
            Ok(())
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    fn real(&self, path: &Path) -> io::Result<PathBuf> {
        self.visible(path)?;
        let real = fs::canonicalize(path)?;
        self.visible(&real).map(|()| real)
    }

    /// Reads a settings file. The resolver parses it recursively.
    fn setting(&self, path: &Path) -> io::Result<Vec<u8>> {
        let real = self.real(path)?;
        if !is_setting(&real) {
            return Err(io::ErrorKind::NotFound.into());
        }
        // A `tsconfig.json` may extend another one, and so on.
        if stacker::remaining_stack().is_some_and(|left| left < STACK_LEFT_MIN) {
            return Err(io::Error::other("too many configurations extend each other"));
        }
        let mut bytes = fs::read(real)?;
        // Cut there, so that the parser reports that its depth limit is exceeded.
        if let Some(length) = json_depth::first_beyond(&bytes, json_depth::MAX) {
            bytes.truncate(length);
        }
        Ok(bytes)
    }
}

fn is_setting(path: &Path) -> bool {
    let is_json = path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("json") || extension.eq_ignore_ascii_case("jsonc"));
    is_json && path.file_name().and_then(refusal::by_name).is_none()
}

impl FileSystem for JailedFiles {
    fn new() -> Self {
        Self { jail: None }
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.setting(path)
    }

    fn read_to_string(&self, path: &Path) -> io::Result<String> {
        String::from_utf8(self.setting(path)?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
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
