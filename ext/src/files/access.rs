//! The files that a script may use.
//!
//! Symbolic links in a path are resolved before it is checked, so links cannot lead out. The resolved path is then
//! opened without following links, so a link created in the meantime has no effect.

use std::io::{Error, ErrorKind};
use std::path::{Component, Path, PathBuf};
use std::{fs, io};

use super::FileError;

/// Files that a script may read, or write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Grant {
    /// None.
    #[default]
    Nothing,
    /// Every file that the user may access.
    Everything,
    /// These files, and everything in these folders, as canonical paths: see [`Grant::of`].
    Below(Vec<PathBuf>),
}

impl Grant {
    /// Grants access to these files and folders, which need not exist yet.
    ///
    /// # Errors
    /// One of the paths cannot be resolved.
    pub fn of(paths: impl IntoIterator<Item = PathBuf>) -> io::Result<Self> {
        let real = |path: PathBuf| follow(&std::path::absolute(path)?);
        paths.into_iter().map(real).collect::<io::Result<_>>().map(Self::Below)
    }

    /// Returns true if a path without symbolic links is included.
    fn allows(&self, real: &Path) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Below(allowed) => allowed.iter().any(|allowed| real.starts_with(allowed)),
        }
    }
}

/// A script's access to files. In a worker's state, it enables `isopod:fs`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileAccess {
    /// Files it may read.
    pub read: Grant,
    /// Files it may write, rename and remove.
    pub write: Grant,
}

isopod_outcome::setters!(FileAccess {
    read: Grant,
    write: Grant,
});

/// The meaning of a path whose last component is a symbolic link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    /// The link's target.
    Followed,
    /// The link itself.
    Itself,
}

impl FileAccess {
    pub(super) fn to_read(&self, path: &str, last: Last) -> Result<PathBuf, FileError> {
        allowed(&self.read, path, last, "reading", "allow-read")
    }

    pub(super) fn to_write(&self, path: &str, last: Last) -> Result<PathBuf, FileError> {
        allowed(&self.write, path, last, "writing", "allow-write")
    }
}

fn allowed(
    grant: &Grant,
    path: &str,
    last: Last,
    what: &'static str,
    option: &'static str,
) -> Result<PathBuf, FileError> {
    let written = Path::new(path);
    let found = std::path::absolute(written).and_then(|path| match (last, path.parent(), path.file_name()) {
        (Last::Itself, Some(folder), Some(name)) => Ok(follow(folder)?.join(name)),
        _ => follow(&path),
    });
    match found {
        Ok(real) if grant.allows(&real) => Ok(real),
        // Whether a file exists is only revealed to scripts that may read it.
        Err(source) if *grant == Grant::Everything => Err(FileError::io("find", written, source)),
        found => Err(FileError::NotAllowed {
            what,
            path: found.unwrap_or_else(|_| written.to_owned()),
            option,
        }),
    }
}

/// Maximum number of symbolic links followed to a missing file; the same as in Linux.
const LINKS_MAX: usize = 40;

/// Resolves a full path. Components that do not exist yet are appended unchanged to the last folder that does.
fn follow(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        match follow_to_link(&path)? {
            Found::Real(real) => return Ok(real),
            Found::Link(next) => path = next,
        }
    }
    Err(Error::other("too many symbolic links"))
}

enum Found {
    Real(PathBuf),
    /// A symbolic link to a missing file, with the path to continue with.
    Link(PathBuf),
}

fn follow_to_link(path: &Path) -> io::Result<Found> {
    let mut missing = Vec::new();
    for there in path.ancestors() {
        let below = |mut real: PathBuf| {
            real.extend(missing.iter().rev());
            real
        };
        match fs::canonicalize(there) {
            Ok(real) => return Ok(Found::Real(below(real))),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => return Err(error),
        }
        if let (Some(folder), Ok(target)) = (there.parent(), fs::read_link(there)) {
            return Ok(Found::Link(below(fs::canonicalize(folder)?.join(target))));
        }
        // The target of `..` has to exist.
        match there.components().next_back() {
            Some(Component::Normal(name)) => missing.push(name),
            _ => break,
        }
    }
    Err(ErrorKind::NotFound.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    struct Files(tempfile::TempDir);

    impl Files {
        fn new() -> Self {
            let files = Self(tempfile::tempdir().expect("a folder"));
            for folder in ["in/sub", "out"] {
                fs::create_dir_all(files.path(folder)).expect("a folder");
            }
            fs::write(files.path("in/a"), "").expect("a file");
            fs::write(files.path("out/b"), "").expect("a file");
            files
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn may_read(&self, name: &str, last: Last) -> bool {
            let access = FileAccess {
                read: Grant::of([self.path("in")]).expect("a grant"),
                write: Grant::Nothing,
            };
            let path = self.path(name).to_str().expect("UTF-8").to_owned();
            assert!(access.to_write(&path, last).is_err());
            access.to_read(&path, last).is_ok()
        }
    }

    #[test]
    fn a_path_is_checked_by_its_target() {
        let files = Files::new();
        for inside in ["in", "in/a", "in/sub/../a", "in/new", "in/new/newer", "out/../in/a"] {
            assert!(files.may_read(inside, Last::Followed), "{inside}");
        }
        for outside in [
            "out/b",
            "in/../out/b",
            "in/sub/../../out/b",
            "in/new/../../out/b",
            "inner",
            "",
            "in2/a",
        ] {
            assert!(!files.may_read(outside, Last::Followed), "{outside}");
        }
    }

    #[test]
    fn links_do_not_lead_out() {
        let files = Files::new();
        symlink(files.path("out/b"), files.path("in/file")).expect("a link");
        symlink(files.path("out"), files.path("in/folder")).expect("a link");
        symlink("../out", files.path("in/relative")).expect("a link");
        symlink(files.path("in/a"), files.path("in/inside")).expect("a link");
        symlink(files.path("in/loop"), files.path("in/loop")).expect("a link");
        symlink("../out/none", files.path("in/nowhere")).expect("a link");
        symlink("sub/none", files.path("in/later")).expect("a link");
        assert!(files.may_read("in/later", Last::Followed));
        for outside in [
            "in/file",
            "in/folder/b",
            "in/folder/new",
            "in/relative/b",
            "in/loop",
            "in/nowhere",
        ] {
            assert!(!files.may_read(outside, Last::Followed), "{outside}");
        }
        assert!(files.may_read("in/inside", Last::Followed));
        assert!(files.may_read("in/file", Last::Itself));
        assert!(!files.may_read("in/folder/b", Last::Itself));
    }

    #[test]
    fn forbidden_paths_do_not_reveal_whether_they_exist() {
        let files = Files::new();
        let access = FileAccess::default();
        for name in ["out/b", "out/none", "none/none"] {
            let path = files.path(name);
            let told = access.to_read(path.to_str().expect("UTF-8"), Last::Followed);
            let told = told.expect_err("nothing is allowed").to_string();
            assert!(told.contains("--allow-read="), "{told}");
        }
    }
}
