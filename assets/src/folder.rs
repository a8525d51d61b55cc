//! The public files of a site, and the files of a folder.

use std::fs::{File, Metadata};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;

use crate::files::{FileBytes, Files, OpenFile};

/// Files up to this size are read with their metadata.
const SMALL_BYTES: u64 = 64 << 10;

/// Files with rules, which are not served themselves.
const RULES: [&str; 3] = ["_headers", "_redirects", ".assetsignore"];

/// The paths that may be served: all but hidden files (except in `.well-known`), `node_modules`, files with rules, and files
/// that `.assetsignore` names.
#[derive(Debug)]
struct Public(Gitignore);

impl Public {
    /// Creates the rules with these lines of `.assetsignore`.
    fn new(ignored: &str) -> std::io::Result<Self> {
        let mut patterns = GitignoreBuilder::new("");
        for line in ignored.lines() {
            patterns.add_line(None, line).map_err(std::io::Error::other)?;
        }
        patterns.build().map(Self).map_err(std::io::Error::other)
    }

    /// Returns the part of a decoded path of a URL below the folder, if it may be served.
    fn relative<'a>(&self, path: &'a str) -> Option<&'a Path> {
        let relative = Path::new(path.strip_prefix('/')?);
        let is_plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
        // A path with a trailing slash or dot segments names no file.
        let is_canonical = relative.iter().map(|part| part.len() + 1).sum::<usize>() == path.len();
        if !is_plain || !is_canonical || path.contains('\0') || !is_public(relative) {
            return None;
        }
        let ignored = self.0.matched_path_or_any_parents(relative, false);
        (!ignored.is_ignore()).then_some(relative)
    }
}

/// A folder.
#[derive(Debug)]
struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Returns the file at a path, if any. Links out of the folder, or to files that may not be served, are ignored.
    fn find(&self, path: &str) -> Option<PathBuf> {
        let real = std::fs::canonicalize(self.root.join(path.strip_prefix('/')?)).ok()?;
        let is_inside = real.strip_prefix(&self.root).is_ok_and(is_public);
        (is_inside && real.is_file()).then_some(real)
    }
}

impl Files for Folder {
    /// The kernel is asked only for what it has in memory. Paths with links are left to [`open`](Files::open), which looks
    /// where they lead.
    #[cfg(target_os = "linux")]
    fn open_cached(&self, path: &str) -> Option<Option<Box<dyn OpenFile>>> {
        cached::open(&self.root.join(path.strip_prefix('/')?))
    }

    fn has(&self, path: &str) -> bool {
        self.find(path).is_some()
    }

    fn open(&self, path: &str) -> std::io::Result<Option<Box<dyn OpenFile>>> {
        match self.find(path) {
            Some(file) => Ok(Some(Box::new(Opened::of(&file)?))),
            None => Ok(None),
        }
    }

    fn text(&self, path: &str) -> std::io::Result<String> {
        match std::fs::read_to_string(self.root.join(path.trim_start_matches('/'))) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            read => read,
        }
    }
}

/// A file of a folder.
struct Opened {
    file: File,
    metadata: Metadata,
}

impl Opened {
    fn of(path: &Path) -> std::io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        Ok(Self { file, metadata })
    }
}

impl OpenFile for Opened {
    fn length(&self) -> u64 {
        self.metadata.len()
    }

    /// Derived from metadata that changes with each write.
    fn etag(&self) -> String {
        let modified = self.metadata.modified().ok();
        let modified = modified.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let modified = modified.map_or(0, |since| since.as_nanos());
        format!("\"{:x}-{modified:x}\"", self.metadata.len())
    }

    fn read(self: Box<Self>, from: u64, length: u64) -> std::io::Result<FileBytes> {
        let mut file = self.file;
        if from > 0 {
            file.seek(SeekFrom::Start(from))?;
        }
        if length > SMALL_BYTES {
            let file = tokio::fs::File::from_std(file).take(length);
            return Ok(FileBytes::Chunks(Box::pin(ReaderStream::with_capacity(
                file,
                128 << 10,
            ))));
        }
        let mut bytes = Vec::new();
        std::io::Read::take(file, length).read_to_end(&mut bytes)?;
        Ok(FileBytes::Whole(bytes.into()))
    }
}

/// Files that are in the kernel's caches.
#[cfg(target_os = "linux")]
mod cached {
    use std::fs::File;
    use std::path::Path;

    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
    use rustix::io::{Errno, IoSliceMut, ReadWriteFlags, preadv2};

    use super::{Opened, SMALL_BYTES};
    use crate::files::{FileBytes, OpenFile};

    /// Opens a file without links in its path. `None`: it may have to be read from a disk first, or the system cannot tell.
    ///
    /// Source: <https://man7.org/linux/man-pages/man2/openat2.2.html>.
    pub(super) fn open(path: &Path) -> Option<Option<Box<dyn OpenFile>>> {
        // Without waiting for the writer of a named pipe.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let resolve = ResolveFlags::CACHED | ResolveFlags::NO_SYMLINKS;
        let file = match openat2(CWD, path, flags, Mode::empty(), resolve) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT | Errno::NOTDIR) => return Some(None),
            Err(_) => return None,
        };
        let metadata = file.metadata().ok()?;
        Some(
            metadata
                .is_file()
                .then(|| Box::new(Cached(Opened { file, metadata })) as Box<dyn OpenFile>),
        )
    }

    struct Cached(Opened);

    impl OpenFile for Cached {
        fn length(&self) -> u64 {
            self.0.length()
        }

        fn etag(&self) -> String {
            self.0.etag()
        }

        fn read(self: Box<Self>, from: u64, length: u64) -> std::io::Result<FileBytes> {
            // A large one is read in chunks on other threads.
            if length > SMALL_BYTES {
                return Box::new(self.0).read(from, length);
            }
            let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
            let read = preadv2(
                &self.0.file,
                &mut [IoSliceMut::new(&mut bytes)],
                from,
                ReadWriteFlags::NOWAIT,
            );
            match read {
                Ok(read) if read == bytes.len() => Ok(FileBytes::Whole(bytes.into())),
                _ => Err(std::io::ErrorKind::WouldBlock.into()),
            }
        }
    }
}

/// The files of a site that may be served.
#[derive(Debug)]
pub(crate) struct Site {
    files: Arc<dyn Files>,
    public: Public,
}

impl Site {
    /// Opens the files of a folder. Links out of it are not served.
    pub(crate) fn folder(root: &Path) -> std::io::Result<Self> {
        let root = std::fs::canonicalize(root)?;
        Self::of(Arc::new(Folder { root }))
    }

    /// Opens files from another source.
    pub(crate) fn of(files: Arc<dyn Files>) -> std::io::Result<Self> {
        let public = Public::new(&files.text("/.assetsignore")?)?;
        Ok(Self { files, public })
    }

    /// Reads a file with rules; empty if there is none.
    pub(crate) fn rules(&self, name: &str) -> std::io::Result<String> {
        self.files.text(&format!("/{name}"))
    }

    /// Returns whether there is a public file at a decoded path of a URL.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.public.relative(path).is_some() && self.files.has(path)
    }

    /// Like [`open`](Self::open), without disk or network access. `None`: that takes one.
    pub(crate) fn open_cached(&self, path: &str) -> Option<Option<Box<dyn OpenFile>>> {
        match self.public.relative(path) {
            Some(_) => self.files.open_cached(path),
            None => Some(None),
        }
    }

    /// Opens the public file at a decoded path of a URL, if any.
    pub(crate) fn open(&self, path: &str) -> std::io::Result<Option<Box<dyn OpenFile>>> {
        match self.public.relative(path) {
            Some(_) => self.files.open(path),
            None => Ok(None),
        }
    }
}

/// `.well-known` is public by RFC 8615.
fn is_public(relative: &Path) -> bool {
    let is_rules = RULES.iter().any(|name| relative == Path::new(name));
    !is_rules
        && relative
            .iter()
            .all(|part| part == ".well-known" || (part != "node_modules" && !part.to_string_lossy().starts_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_files_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let site = folder.path().join("site");
        for file in [
            "site/a b/c.txt",
            "site/.env",
            "site/.well-known/security.txt",
            "site/node_modules/x.js",
            "site/_headers",
            "site/sub/_headers",
            "site/drafts/x.md",
            "site/notes.md",
            "site/keep.md",
            "outside.txt",
        ] {
            let file = folder.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "x").unwrap();
        }
        std::fs::write(site.join(".assetsignore"), "*.md\n!keep.md\n/drafts\n").unwrap();
        std::os::unix::fs::symlink("../outside.txt", site.join("link.txt")).unwrap();
        std::os::unix::fs::symlink(".env", site.join("env.txt")).unwrap();
        std::os::unix::fs::symlink("a b/c.txt", site.join("inside.txt")).unwrap();
        let folder = Site::folder(&site).unwrap();
        for (path, is_found) in [
            ("/a b/c.txt", true),
            ("/inside.txt", true),
            ("/.well-known/security.txt", true),
            ("/sub/_headers", true),
            ("/keep.md", true),
            ("/a b", false),
            ("/a b/c.txt/", false),
            ("/a b/./c.txt", false),
            ("/a b/../a b/c.txt", false),
            ("/../outside.txt", false),
            ("//outside.txt", false),
            ("/.env", false),
            ("/env.txt", false),
            ("/link.txt", false),
            ("/node_modules/x.js", false),
            ("/_headers", false),
            ("/.assetsignore", false),
            ("/notes.md", false),
            ("/drafts/x.md", false),
            ("/a\0b", false),
            ("/", false),
        ] {
            assert_eq!(folder.has(path), is_found, "{path}");
            assert_eq!(folder.open(path).unwrap().is_some(), is_found, "{path}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernels_caches_never_say_otherwise_than_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("folder")).unwrap();
        std::fs::write(root.join("folder/file.txt"), "text").unwrap();
        std::fs::write(root.join("large.txt"), vec![b'a'; 200_000]).unwrap();
        std::os::unix::fs::symlink("folder", root.join("link")).unwrap();
        std::os::unix::fs::symlink("/etc", root.join("out")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, root.join("pipe"), rustix::fs::Mode::RUSR).unwrap();
        let site = Folder { root };
        for path in [
            "/folder/file.txt",
            "/large.txt",
            "/folder",
            "/pipe",
            "/missing.txt",
            "/folder/file.txt/below",
            "/link/file.txt",
            "/out/hostname",
        ] {
            let is_linked = path.starts_with("/link") || path.starts_with("/out");
            let cached = site.open_cached(path);
            assert!(!is_linked || cached.is_none(), "{path}");
            let Some(cached) = cached else { continue };
            let opened = site.open(path).unwrap();
            let told = |file: &Option<Box<dyn OpenFile>>| file.as_ref().map(|file| (file.length(), file.etag()));
            assert_eq!(told(&cached), told(&opened), "{path}");
        }
        let small = site.open_cached("/folder/file.txt").flatten();
        if let Some(Ok(FileBytes::Whole(bytes))) = small.map(|file| file.read(1, 2)) {
            assert_eq!(bytes, "ex");
        }
    }
}
