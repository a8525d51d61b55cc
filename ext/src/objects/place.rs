//! The file of an object, locked for one owner.
//!
//! The lock is exclusive within and between processes, and ends with the process. It is independent of SQLite's locks.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::ObjectError;

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
        loop {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path);
            let file = file.map_err(ObjectError::Open)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(ObjectError::Elsewhere(format!(
                        "the Durable Object {id} runs elsewhere: another process that uses the same folder has it, or a worker \
                         of this process that has not ended yet; try again later"
                    )));
                }
                Err(TryLockError::Error(error)) => return Err(ObjectError::Open(error)),
            }
            // The last owner may have removed the file after it was opened here.
            let is_same = |there: std::fs::Metadata| -> std::io::Result<bool> {
                let mine = file.metadata()?;
                Ok((mine.dev(), mine.ino()) == (there.dev(), there.ino()))
            };
            match std::fs::metadata(&path).and_then(is_same) {
                Ok(true) => return Ok(Self { path, file }),
                Ok(false) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(ObjectError::Open(error)),
            }
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
    use super::ObjectFile;

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
}
