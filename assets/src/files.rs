//! Files from another source than a folder.

use std::fmt;
use std::pin::Pin;

use bytes::Bytes;
use futures::Stream;

/// The files of a site, for [`Assets::of_files`](crate::Assets::of_files).
///
/// The path of a file is the decoded path of its URL, such as `/img/a b.png`. Methods may block, because they are called on
/// blocking threads.
pub trait Files: fmt::Debug + Send + Sync + 'static {
    /// Returns true if there is a file at this path.
    fn has(&self, path: &str) -> bool;

    /// Opens the file at this path; `None` if there is none.
    ///
    /// # Errors
    /// It cannot be read.
    fn open(&self, path: &str) -> std::io::Result<Option<Box<dyn OpenFile>>>;

    /// Opens the file at this path if that takes no disk or network access. `None`: that is unknown without. Reading may
    /// fail with [`WouldBlock`](std::io::ErrorKind::WouldBlock); then [`open`](Self::open) is called. Default: `None`.
    fn open_cached(&self, _path: &str) -> Option<Option<Box<dyn OpenFile>>> {
        None
    }

    /// Reads a file with rules as text; empty if there is none.
    ///
    /// # Errors
    /// It cannot be read, or is not text.
    fn text(&self, path: &str) -> std::io::Result<String>;
}

/// An open file. Its content is as it was when it was opened.
pub trait OpenFile: Send {
    /// Returns its length in bytes.
    fn length(&self) -> u64;

    /// Returns a strong validator, in quotes, which changes with the content.
    fn etag(&self) -> String;

    /// Reads a number of bytes from an offset.
    ///
    /// # Errors
    /// It cannot be read.
    fn read(self: Box<Self>, from: u64, length: u64) -> std::io::Result<FileBytes>;
}

/// The bytes of a file.
#[allow(clippy::exhaustive_enums, reason = "in memory, or not")]
pub enum FileBytes {
    /// All bytes.
    Whole(Bytes),
    /// A stream of chunks.
    Chunks(FileChunks),
}

/// Chunks of a file.
pub type FileChunks = Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>;

impl fmt::Debug for FileBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole(_) => "Whole(…)",
            Self::Chunks(_) => "Chunks(…)",
        })
    }
}
