//! The file of an object, locked for one owner.
//!
//! The lock is exclusive within and between processes, and ends with the process. It is independent of SQLite's locks.
//! Before that, a process that shares its objects with others claims the object, in another file that says where the process answers.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::ObjectError;
use super::id::ObjectId;

/// Locks a file, and creates it if it is missing. `None`: another owner has it.
fn lock(path: &Path) -> io::Result<Option<File>> {
    loop {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Its last owner may have removed it since it was opened.
        let mine = file.metadata()?;
        match std::fs::metadata(path) {
            Ok(there) if (mine.dev(), mine.ino()) == (there.dev(), there.ino()) => return Ok(Some(file)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
}

/// The right of a process to run an object, for as long as this is held.
#[derive(Debug)]
pub struct ObjectClaim {
    path: PathBuf,
    /// Its lock, which ends with the process.
    _file: File,
}

/// The result of an attempt to claim an object.
#[derive(Debug)]
#[allow(clippy::exhaustive_enums, reason = "it is this process or another")]
pub enum Claimed {
    /// It is this process's.
    Ours(ObjectClaim),
    /// It is that of the process that answers at this address; empty if that is not known.
    Theirs(String),
}

/// Maximum length of an address.
const ADDRESS_BYTES_MAX: u64 = 1024;

impl ObjectClaim {
    /// Claims an object in a folder for the process that answers at this address.
    ///
    /// # Errors
    /// The claim's file, `ID.claim`, cannot be created.
    pub fn take(folder: &Path, id: &ObjectId, address: &str) -> io::Result<Claimed> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join(format!("{}.claim", id.as_hex()));
        if let Some(mut file) = lock(&path)? {
            // Of a process that was killed.
            file.set_len(0)?;
            file.write_all(address.as_bytes())?;
            return Ok(Claimed::Ours(Self { path, _file: file }));
        }
        let mut address = String::new();
        match File::open(&path) {
            Ok(file) => drop(file.take(ADDRESS_BYTES_MAX).read_to_string(&mut address)?),
            // It has ended since.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(Claimed::Theirs(address))
    }
}

impl Drop for ObjectClaim {
    fn drop(&mut self) {
        // Before it is unlocked.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A locked file.
pub(super) struct ObjectFile {
    path: PathBuf,
    /// Its lock.
    file: File,
}

impl ObjectFile {
    /// Locks the file, and creates it if it is missing.
    pub(super) fn lock(folder: &Path, id: &str) -> Result<Self, ObjectError> {
        std::fs::create_dir_all(folder).map_err(ObjectError::Open)?;
        let path = folder.join(format!("{id}.sqlite"));
        match lock(&path).map_err(ObjectError::Open)? {
            Some(file) => Ok(Self { path, file }),
            None => Err(ObjectError::Elsewhere(format!(
                "the Durable Object {id} runs elsewhere: another process that uses the same folder has it, or a worker of this \
                 process that has not ended yet; try again later"
            ))),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether it was never written.
    pub(super) fn is_empty(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.len() == 0) && !self.log().exists()
    }

    /// Returns the path of SQLite's log.
    pub(super) fn log(&self) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push("-wal");
        path.into()
    }

    /// Removes the file. Its database must be closed.
    pub(super) fn remove(&self) {
        // The log first, because a remaining log would be applied to a new file.
        let _ = std::fs::remove_file(self.log());
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::{Claimed, ObjectClaim, ObjectFile};
    use crate::objects::ObjectId;

    #[test]
    fn a_file_has_one_owner_at_a_time_and_is_new_after_it_was_removed() {
        let folder = tempfile::tempdir().unwrap();
        let first = ObjectFile::lock(folder.path(), "a").ok().unwrap();
        let refused = ObjectFile::lock(folder.path(), "a").err().unwrap().to_string();
        assert!(refused.contains("runs elsewhere"), "{refused}");
        assert!(ObjectFile::lock(folder.path(), "b").is_ok());
        assert!(first.is_empty());
        first.remove();
        assert!(ObjectFile::lock(folder.path(), "a").is_ok(), "another file");
        drop(first);
        assert!(ObjectFile::lock(folder.path(), "a").is_ok());
    }

    #[test]
    fn a_claim_names_its_owner_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let id = ObjectId::new("a", None);
        let take = |address: &str| ObjectClaim::take(folder.path(), &id, address).unwrap();
        let Claimed::Ours(first) = take("one") else {
            panic!("it is free")
        };
        let Claimed::Theirs(owner) = take("two") else {
            panic!("it is claimed")
        };
        assert_eq!(owner, "one");
        drop(first);
        // As after a crash: the file is there, and not locked.
        std::fs::write(folder.path().join("a.claim"), "a process that is gone").unwrap();
        let Claimed::Ours(second) = take("two") else {
            panic!("it is free again")
        };
        assert!(matches!(take("one"), Claimed::Theirs(owner) if owner == "two"));
        drop(second);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
