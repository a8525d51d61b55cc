//! Errors of `isopod:fs`.

use std::borrow::Cow;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use deno_error::{AdditionalProperties, JsErrorClass, PropertyValue};

/// An error of an operation on a file. In scripts, it is a `FileError` with a `name` and, for errors of the operating
/// system, a `code`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The worker is served; it is not a command.
    #[error("isopod:fs is only available to scripts started with `isopod run`: a server's worker has no files")]
    NotACommand,
    /// The command line does not permit it.
    #[error("{what} {} is not allowed: run the script with --{option}={} (or --{option} for all files)", .path.display(), .path.display())]
    NotAllowed {
        /// The operation.
        what: &'static str,
        /// The path, with symbolic links resolved.
        path: PathBuf,
        /// The option that permits it.
        option: &'static str,
    },
    /// The operating system reported an error.
    #[error("cannot {what} {}: {source}", .path.display())]
    Io {
        /// The operation.
        what: &'static str,
        /// The path.
        path: PathBuf,
        /// The cause.
        source: Error,
    },
    /// The file has been closed.
    #[error("the file was closed")]
    Lost,
}

impl FileError {
    pub(super) fn io(what: &'static str, path: &Path, source: Error) -> Self {
        let path = path.to_owned();
        Self::Io { what, path, source }
    }

    /// The error's `name` in scripts, and its POSIX code if it has one.
    fn name(&self) -> (&'static str, Option<&'static str>) {
        let kind = match self {
            Self::NotACommand => return ("NotSupported", None),
            Self::NotAllowed { .. } => return ("PermissionDenied", None),
            Self::Lost => return ("Closed", None),
            Self::Io { source, .. } => source.kind(),
        };
        match kind {
            ErrorKind::NotFound => ("NotFound", Some("ENOENT")),
            ErrorKind::PermissionDenied => ("PermissionDenied", Some("EACCES")),
            ErrorKind::AlreadyExists => ("AlreadyExists", Some("EEXIST")),
            ErrorKind::NotADirectory => ("NotADirectory", Some("ENOTDIR")),
            ErrorKind::IsADirectory => ("IsADirectory", Some("EISDIR")),
            ErrorKind::DirectoryNotEmpty => ("DirectoryNotEmpty", Some("ENOTEMPTY")),
            ErrorKind::StorageFull => ("StorageFull", Some("ENOSPC")),
            ErrorKind::FileTooLarge => ("FileTooLarge", Some("EFBIG")),
            ErrorKind::ReadOnlyFilesystem => ("ReadOnlyFilesystem", Some("EROFS")),
            ErrorKind::InvalidInput | ErrorKind::InvalidFilename => ("InvalidPath", Some("EINVAL")),
            ErrorKind::CrossesDevices => ("CrossesDevices", Some("EXDEV")),
            _ => ("FileError", None),
        }
    }
}

impl JsErrorClass for FileError {
    fn get_class(&self) -> Cow<'static, str> {
        format!("IsopodFile{}", self.name().0).into()
    }

    fn get_message(&self) -> Cow<'static, str> {
        self.to_string().into()
    }

    fn get_additional_properties(&self) -> AdditionalProperties {
        let code = self.name().1.map(|code| ("code".into(), PropertyValue::from(code)));
        Box::new(code.into_iter())
    }

    fn get_ref(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        self
    }
}
