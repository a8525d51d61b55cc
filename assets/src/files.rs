//! Files that are kept elsewhere than in a folder.

use std::fmt;
use std::pin::Pin;

use bytes::Bytes;
use futures::Stream;

/// The files of a site, for [`Assets::of_files`](crate::Assets::of_files).
///
/// The path of a file is that of its URL, decoded: `/img/a b.png`. Calls may block: they are made on blocking threads.
pub trait Files: fmt::Debug + Send + Sync + 'static {
    /// Returns true if there is a file at this path.
    fn has(&self, path: &str) -> bool;

    /// Opens the file at this path. `None`: there is none.
    ///
    /// # Errors
    /// It cannot be read.
    fn open(&self, path: &str) -> std::io::Result<Option<Box<dyn OpenFile>>>;

    /// Reads the file at this path as text; empty if there is none. Only files with rules are read so.
    ///
    /// # Errors
    /// It cannot be read, or is no text.
    fn text(&self, path: &str) -> std::io::Result<String>;
}

/// A file that was opened. What is read from it is what it had then.
pub trait OpenFile: Send {
    /// Its length in bytes.
    fn length(&self) -> u64;

    /// A strong validator, in quotes, that is another when the content is another.
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
    /// All of them.
    Whole(Bytes),
    /// Chunks, as they come.
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
