//! The files with the content of objects.
//!
//! A file is written in the folder `aside`. When it is on disk, a transaction makes it a part of an object or an upload, and
//! then it is moved to `blobs`. After a crash, a file in `aside` was being written or still has to be moved, which the
//! tables show. A file that is being written is locked, so that no other process removes it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::super::content;
use super::super::object::{R2Algorithm, R2Checksum};
use super::super::rules::R2Fault;
use super::super::store::R2Error;
use crate::event::Body;
use crate::storage::StorageError;
use crate::storage::files::FileThreads;
use crate::web::Hasher;

/// Size of a write.
const WRITE_BYTES: usize = 256 << 10;

/// The files of a bucket.
#[derive(Clone)]
pub(super) struct Blobs(Arc<Shared>);

struct Shared {
    folder: PathBuf,
    threads: FileThreads,
}

/// The digests of content: the MD5, and the checksum of the requested algorithm.
pub(super) struct Digests {
    pub(super) md5: Vec<u8>,
    pub(super) checksum: Option<(R2Algorithm, Vec<u8>)>,
}

impl Digests {
    /// Compares the content with the given checksum.
    pub(super) fn check(&self, given: Option<R2Checksum>) -> Result<(), R2Fault> {
        let (Some(R2Checksum { algorithm, digest }), Some((_, actual))) = (given, &self.checksum) else {
            return Ok(());
        };
        match digest == *actual {
            true => Ok(()),
            false => Err(R2Fault::Digest {
                algorithm,
                given: digest,
                actual: actual.clone(),
            }),
        }
    }
}

impl Blobs {
    pub(super) fn new(folder: PathBuf, threads: FileThreads) -> Self {
        Self(Arc::new(Shared { folder, threads }))
    }

    pub(super) fn threads(&self) -> &FileThreads {
        &self.0.threads
    }

    pub(super) fn aside_folder(&self) -> PathBuf {
        self.0.folder.join("aside")
    }

    pub(super) fn aside(&self, blob: &str) -> PathBuf {
        self.aside_folder().join(blob)
    }

    /// Returns the final path of a file. Folders are named by the first two digits.
    pub(super) fn place(&self, blob: &str) -> PathBuf {
        let digits = blob.get(..2).unwrap_or("00");
        self.0.folder.join("blobs").join(digits).join(blob)
    }

    /// Opens a file; `None` if it does not exist.
    pub(super) fn open(&self, blob: &str) -> io::Result<Option<File>> {
        // It may be moved between two attempts.
        for path in [self.place(blob), self.aside(blob), self.place(blob)] {
            match File::open(path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                opened => return opened.map(Some),
            }
        }
        Ok(None)
    }

    /// Moves a file to its final path.
    pub(super) fn settle(&self, blob: &str) -> io::Result<()> {
        let (from, to) = (self.aside(blob), self.place(blob));
        match fs::rename(&from, &to) {
            Err(error) if error.kind() == ErrorKind::NotFound && from.exists() => {
                fs::create_dir_all(to.parent().unwrap_or(&to))?;
                fs::rename(from, to)
            }
            moved => moved,
        }
    }

    /// Removes a file from either folder.
    pub(super) fn remove(&self, blob: &str) -> io::Result<()> {
        for path in [self.place(blob), self.aside(blob)] {
            match fs::remove_file(path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                removed => return removed,
            }
        }
        Ok(())
    }

    /// Writes content of this length to a file in `aside`, and syncs it.
    pub(super) async fn receive(
        &self,
        content: Body,
        length: u64,
        algorithm: Option<R2Algorithm>,
    ) -> Result<(Aside, Digests), R2Error> {
        let mut writing = Writing::new(self.clone(), algorithm);
        let mut incoming = content;
        let mut left = length;
        let mut pieces = content::pieces(&mut incoming, &mut left, WRITE_BYTES).await?;
        while left > 0 {
            let step = self.0.threads.run(move || {
                writing.write(&pieces)?;
                Ok::<_, io::Error>(writing)
            });
            // More content is received while this piece is written.
            let (written, more) = futures::join!(step, content::pieces(&mut incoming, &mut left, WRITE_BYTES));
            writing = written?.map_err(failed)?;
            pieces = more?;
        }
        let last = self.0.threads.run(move || {
            writing.write(&pieces)?;
            writing.finish()
        });
        Ok(last.await?.map_err(failed)?)
    }
}

/// Converts an error of the file system for the caller of an operation.
pub(super) fn failed(error: io::Error) -> StorageError {
    StorageError::Failed(format!("a file of the bucket: {error}"))
}

/// A file that is being written.
struct Writing {
    blobs: Blobs,
    aside: Option<Aside>,
    md5: Hasher,
    other: Option<(R2Algorithm, Hasher)>,
    length: u64,
}

impl Writing {
    fn new(blobs: Blobs, algorithm: Option<R2Algorithm>) -> Self {
        let hasher = |algorithm: R2Algorithm| Some((algorithm, Hasher::new(algorithm.name())?));
        Self {
            blobs,
            aside: None,
            md5: Hasher::Md5(md5::Digest::new()),
            other: algorithm
                .filter(|algorithm| *algorithm != R2Algorithm::Md5)
                .and_then(hasher),
            length: 0,
        }
    }

    fn write(&mut self, pieces: &[Bytes]) -> io::Result<()> {
        if self.aside.is_none() && !pieces.is_empty() {
            self.aside = Some(Aside::create(&self.blobs)?);
        }
        for piece in pieces {
            self.md5.update(piece);
            if let Some((_, other)) = &mut self.other {
                other.update(piece);
            }
            if let Some(file) = self.aside.as_ref().and_then(|aside| aside.file.as_deref()) {
                (&*file).write_all(piece)?;
            }
            self.length += piece.len() as u64;
        }
        Ok(())
    }

    fn finish(self) -> io::Result<(Aside, Digests)> {
        let aside = match self.aside {
            Some(aside) => aside,
            None => Aside::none(self.blobs),
        };
        if let Some(file) = &aside.file {
            file.sync_all()?;
            // The file's name is synced too.
            File::open(aside.blobs.aside_folder())?.sync_all()?;
        }
        let md5 = self.md5.finish();
        let checksum = self.other.map(|(algorithm, hasher)| (algorithm, hasher.finish()));
        let checksum = Some(checksum.unwrap_or_else(|| (R2Algorithm::Md5, md5.clone())));
        Ok((aside, Digests { md5, checksum }))
    }
}

/// A file without an owner, which is removed on drop unless it was kept.
pub(super) struct Aside {
    /// The name of the file.
    pub(super) blob: String,
    blobs: Blobs,
    /// The locked file; `None` without content.
    file: Option<Arc<File>>,
    is_kept: bool,
}

impl Aside {
    fn none(blobs: Blobs) -> Self {
        Self {
            blob: String::new(),
            blobs,
            file: None,
            is_kept: true,
        }
    }

    fn create(blobs: &Blobs) -> io::Result<Self> {
        let blob = uuid::Uuid::new_v4().simple().to_string();
        let path = blobs.aside(&blob);
        let file = match create(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(blobs.aside_folder())?;
                create(&path)?
            }
            created => created?,
        };
        let aside = Self {
            blob,
            blobs: blobs.clone(),
            file: Some(Arc::new(file)),
            is_kept: false,
        };
        // On a file system without locks, no other process can lock this file, and so none removes it.
        if let Some(file) = &aside.file {
            let _ = file.try_lock();
        }
        Ok(aside)
    }

    /// Returns true if it has content.
    pub(super) fn has_content(&self) -> bool {
        self.file.is_some()
    }

    /// Keeps the file, which a transaction now owns.
    pub(super) fn keep(&mut self) {
        self.is_kept = true;
    }

    /// Moves the file to its final path, after its transaction. If that fails, it is read from its current path.
    pub(super) async fn settle(self) {
        if !self.has_content() {
            return;
        }
        let blobs = self.blobs.clone();
        let settled = blobs.threads().run(move || {
            let settled = self.blobs.settle(&self.blob);
            if let Err(error) = settled {
                tracing::warn!(target: "isopod::storage", "cannot move a file of a bucket: {error}");
            }
        });
        // The threads are gone only when the process is ending.
        let _ = settled.await;
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.is_kept {
            let path = self.blobs.aside(&self.blob);
            // Started, and not awaited.
            drop(self.blobs.threads().run(move || fs::remove_file(path)));
        }
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// Reads `length` bytes of a file at an offset. The file must be long enough.
pub(super) fn read_at(file: &File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}
