//! The files of shared memory: created for one process, and removed with it, or by the next host if theirs was killed.
//!
//! An area is a folder, in which iceoryx2 keeps its descriptions, and all objects in `/dev/shm` whose names begin with the
//! area's. The host holds a lock on a file in the folder, which the kernel releases when the host ends, in whatever way: an
//! area whose lock is free is residue.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock};

use super::error::SharedError;

/// The folder in which Linux has shared memory.
const OBJECTS: &str = "/dev/shm";
/// The names of all areas begin with this; nothing else is ever removed.
const PREFIX: &str = "isopod_";
const LOCK: &str = "lock";
/// Maximum length of the folder's path: iceoryx2 allows 255 bytes for the paths below it.
const FOLDER_BYTES_MAX: usize = 96;
/// The number and the length of waits for a lock, which other hosts hold for a few milliseconds.
const LOCK_TRIES: u32 = 40;
const LOCK_WAIT: Duration = Duration::from_millis(25);

/// The files of one shared memory. They are removed when the host's last use of it has ended, and if the host is killed,
/// when another one creates an area in the same folder.
#[derive(Debug)]
pub struct Area {
    path: PathBuf,
    name: String,
    _lock: File,
}

impl Area {
    /// Creates an area in this folder, which is created if necessary, and removes those of hosts that were killed. The
    /// name has to be unique on the machine and to begin with `isopod_`.
    ///
    /// # Errors
    /// The folder cannot be used, or is open to other users.
    pub fn create(folder: &Path, name: &str) -> Result<Arc<Self>, SharedError> {
        let is_short = folder.as_os_str().len() <= FOLDER_BYTES_MAX;
        if !is_short || !folder.is_absolute() || !name.starts_with(PREFIX) {
            return Err(SharedError::Path(folder.to_owned()));
        }
        make_private(folder)?;
        // No other host may take an area without a lock for residue before this one has locked it.
        let _creating = wait_for_lock(folder)?;
        sweep(folder);
        let path = folder.join(name);
        make_private(&path)?;
        let Some(lock) = try_lock(&path)? else {
            return Err(SharedError::Locked(path));
        };
        Ok(Arc::new(Self {
            path,
            name: name.to_owned(),
            _lock: lock,
        }))
    }

    /// Returns its folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Area {
    fn drop(&mut self) {
        remove(&self.path, &self.name);
    }
}

/// Returns the prefix of the area's objects.
pub(super) fn prefix(name: &str) -> String {
    format!("{name}_")
}

/// Allocates the pages of all objects of an area. Without that, a write to a full `/dev/shm` would end the process with
/// SIGBUS.
pub(super) fn reserve(name: &str) -> Result<(), SharedError> {
    for path in objects(name).map_err(SharedError::Reserve)? {
        let reserved = OpenOptions::new().read(true).write(true).open(path).and_then(|file| {
            let length = file.metadata()?.len();
            fallocate(&file, FallocateFlags::empty(), 0, length).map_err(io::Error::from)
        });
        match reserved {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(SharedError::Reserve(error)),
            _ => {}
        }
    }
    Ok(())
}

fn objects(name: &str) -> io::Result<Vec<PathBuf>> {
    let prefix = prefix(name);
    let mut found = Vec::new();
    for entry in fs::read_dir(OBJECTS)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes()) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Removes the areas of hosts that have ended without doing so.
fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let path = entry.path();
        if !name.starts_with(PREFIX) || !path.is_dir() {
            continue;
        }
        // Held while it is removed.
        if let Ok(Some(_lock)) = try_lock(&path) {
            tracing::info!(name, "shared memory of a host that was killed is removed");
            remove(&path, &name);
        }
    }
}

/// Removes an area. The folder comes last, so that the next sweep continues if this one is interrupted.
fn remove(path: &Path, name: &str) {
    let is_gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let removed = objects(name).and_then(|objects| {
        for object in objects {
            fs::remove_file(object).or_else(|error| if is_gone(&error) { Ok(()) } else { Err(error) })?;
        }
        fs::remove_dir_all(path).or_else(|error| if is_gone(&error) { Ok(()) } else { Err(error) })
    });
    if let Err(error) = removed {
        tracing::warn!(name, %error, "shared memory cannot be removed; the next start tries again");
    }
}

/// Creates a folder that only this user can enter, or checks that it is one.
fn make_private(path: &Path) -> Result<(), SharedError> {
    let failed = |source| SharedError::Folder {
        path: path.to_owned(),
        source,
    };
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
        _ => {}
    }
    let there = fs::symlink_metadata(path).map_err(failed)?;
    let is_own = there.uid() == rustix::process::geteuid().as_raw();
    match there.is_dir() && is_own && there.mode() & 0o077 == 0 {
        true => Ok(()),
        false => Err(SharedError::NotPrivate(path.to_owned())),
    }
}

/// Locks a folder, unless another process has it locked. The lock ends with the file.
fn try_lock(folder: &Path) -> Result<Option<File>, SharedError> {
    let path = folder.join(LOCK);
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(false).mode(0o600);
    let locked = options
        .open(&path)
        .and_then(|file| match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        });
    locked.map_err(|source| SharedError::Folder { path, source })
}

fn wait_for_lock(folder: &Path) -> Result<File, SharedError> {
    for _ in 0..LOCK_TRIES {
        if let Some(lock) = try_lock(folder)? {
            return Ok(lock);
        }
        std::thread::sleep(LOCK_WAIT); // tidy:allow(sleep): a lock of another process, on a thread that may block
    }
    Err(SharedError::Locked(folder.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        folder
    }

    fn name(of: &str) -> String {
        format!("{PREFIX}{}_{of}", std::process::id())
    }

    fn object(area: &str) -> PathBuf {
        Path::new(OBJECTS).join(format!("{}object", prefix(area)))
    }

    #[test]
    fn an_area_is_removed_when_it_is_dropped() {
        let folder = folder();
        let name = name("dropped");
        let area = Area::create(folder.path(), &name).unwrap();
        fs::write(object(&name), "memory").unwrap();
        fs::write(area.path().join("service"), "").unwrap();
        reserve(&name).unwrap();
        drop(area);
        assert!(!object(&name).exists() && !folder.path().join(&name).exists());
    }

    #[test]
    fn areas_whose_lock_is_free_are_removed_and_no_others() {
        let folder = folder();
        let (lives, residue) = (name("lives"), name("residue"));
        let area = Area::create(folder.path(), &lives).unwrap();
        // What a host that was killed leaves, and what is of others.
        fs::create_dir(folder.path().join(&residue)).unwrap();
        fs::write(folder.path().join(&residue).join(LOCK), "").unwrap();
        fs::write(object(&residue), "memory").unwrap();
        fs::create_dir(folder.path().join("other")).unwrap();
        let next = Area::create(folder.path(), &name("next")).unwrap();
        assert!(!object(&residue).exists() && !folder.path().join(&residue).exists());
        assert!(area.path().exists() && next.path().exists() && folder.path().join("other").exists());
    }

    #[test]
    fn folders_that_others_can_enter_are_refused() {
        let folder = folder();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o750)).unwrap();
        let refused = Area::create(folder.path(), &name("open")).unwrap_err();
        assert!(matches!(refused, SharedError::NotPrivate(_)), "{refused}");
        let refused = Area::create(Path::new("relative"), &name("relative")).unwrap_err();
        assert!(matches!(refused, SharedError::Path(_)), "{refused}");
    }
}
