//! Errors of shared memory.

use std::io;
use std::path::PathBuf;

/// An error from shared memory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SharedError {
    /// A file or folder cannot be created.
    #[error("cannot use `{path}` for shared memory: {source}")]
    Folder {
        /// Its path.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The folder is not the user's alone.
    #[error(
        "the folder `{0}` for shared memory belongs to another user or is open to others; remove it, or set another folder"
    )]
    NotPrivate(PathBuf),
    /// The folder's path cannot be used.
    #[error(
        "the path `{0}` is too long for shared memory, or has characters that are not allowed; set another folder, with an absolute path of at most 96 bytes"
    )]
    Path(PathBuf),
    /// Another process holds the folder's lock.
    #[error("the folder `{0}` for shared memory is locked by another process, which may have been stopped")]
    Locked(PathBuf),
    /// The system has not enough memory.
    #[error("cannot reserve shared memory: {0}; enlarge /dev/shm, or lower `bytes_max`")]
    Reserve(#[source] io::Error),
    /// The library failed.
    #[error("iceoryx2 cannot {action}: {reason}")]
    Library {
        /// The action that failed.
        action: &'static str,
        /// Its reason.
        reason: String,
    },
    /// A frame announces a body that was not sent.
    #[error("a frame's body is not in the shared memory")]
    Missing,
    /// A body has another length than its frame says.
    #[error("a body in shared memory has {there} bytes, and its frame says {declared}")]
    Length {
        /// Its length.
        there: u64,
        /// The length in the frame.
        declared: usize,
    },
    /// A body that only shared memory has could not be sent.
    #[error("the other side does not receive from the shared memory")]
    Unconnected,
    /// The program has no shared memory.
    #[error("this program was built without the feature `shared-memory`")]
    Absent,
}
