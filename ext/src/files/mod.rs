//! The module `isopod:fs`: files, for scripts run from the command line. In a served worker, its ops fail.
//!
//! `access` decides which paths a script may use, `error` has the errors, `open` provides files as streams; the other
//! ops are here. They block, and therefore run on blocking threads of the event loop.

mod access;
mod error;
mod open;

use std::cell::RefCell;
use std::fs::{self, FileType, Metadata, ReadDir};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use deno_core::{OpState, Resource, ResourceId, op2};
use serde::Serialize;

use self::access::Last;
pub use self::access::{FileAccess, Grant};
pub use self::error::FileError;

/// Maximum number of folder entries returned at a time.
const ENTRIES_MAX: usize = 256;

/// A file's metadata.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    is_file: bool,
    is_directory: bool,
    is_symlink: bool,
}

impl From<FileType> for Kind {
    fn from(kind: FileType) -> Self {
        Self {
            is_file: kind.is_file(),
            is_directory: kind.is_dir(),
            is_symlink: kind.is_symlink(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stat {
    #[serde(flatten)]
    kind: Kind,
    size: u64,
    /// In milliseconds since 1970, if the file system knows it.
    modified: Option<f64>,
    created: Option<f64>,
}

impl From<Metadata> for Stat {
    fn from(metadata: Metadata) -> Self {
        let in_ms = |time: std::io::Result<SystemTime>| {
            let since = time.ok()?.duration_since(UNIX_EPOCH).ok()?;
            Some(since.as_secs_f64() * 1e3)
        };
        Self {
            kind: metadata.file_type().into(),
            size: metadata.len(),
            modified: in_ms(metadata.modified()),
            created: in_ms(metadata.created()),
        }
    }
}

#[derive(Serialize)]
struct Entry {
    name: String,
    #[serde(flatten)]
    kind: Kind,
}

/// Runs a blocking operation on a blocking thread, with the script's access.
async fn blocking<T: Send + 'static>(
    state: &RefCell<OpState>,
    body: impl FnOnce(&FileAccess) -> Result<T, FileError> + Send + 'static,
) -> Result<T, FileError> {
    let access = state.borrow().try_borrow::<FileAccess>().cloned();
    let access = access.ok_or(FileError::NotACommand)?;
    let done = deno_core::unsync::spawn_blocking(move || body(&access)).await;
    done.unwrap_or(Err(FileError::Lost))
}

/// Adds the operation and the path to an error.
fn checked<T>(what: &'static str, path: &Path, result: std::io::Result<T>) -> Result<T, FileError> {
    result.map_err(|source| FileError::io(what, path, source))
}

#[op2]
#[serde]
async fn op_isopod_fs_stat(
    state: Rc<RefCell<OpState>>,
    #[string] path: String,
    follow: bool,
) -> Result<Stat, FileError> {
    blocking(&state, move |access| {
        let last = if follow { Last::Followed } else { Last::Itself };
        let real = access.to_read(&path, last)?;
        checked("look at", &real, fs::symlink_metadata(&real)).map(Stat::from)
    })
    .await
}

struct Folder {
    path: PathBuf,
    entries: RefCell<Option<ReadDir>>,
}

impl Resource for Folder {}

#[op2]
#[smi]
async fn op_isopod_fs_open_dir(state: Rc<RefCell<OpState>>, #[string] path: String) -> Result<ResourceId, FileError> {
    let opened = blocking(&state, move |access| {
        let real = access.to_read(&path, Last::Followed)?;
        let entries = checked("read the folder", &real, fs::read_dir(&real))?;
        Ok((real, entries))
    });
    let (path, entries) = opened.await?;
    let entries = RefCell::new(Some(entries));
    Ok(state.borrow_mut().resource_table.add(Folder { path, entries }))
}

/// The next entries of a folder; none at its end.
#[op2]
#[serde]
async fn op_isopod_fs_next_entries(
    state: Rc<RefCell<OpState>>,
    #[smi] rid: ResourceId,
) -> Result<Vec<Entry>, FileError> {
    let folder = state.borrow().resource_table.get::<Folder>(rid);
    let folder = folder.map_err(|_| FileError::Lost)?;
    let Some(mut entries) = folder.entries.take() else {
        return Ok(Vec::new());
    };
    let path = folder.path.clone();
    let (next, entries) = blocking(&state, move |_| {
        let mut next = Vec::new();
        for entry in entries.by_ref().take(ENTRIES_MAX) {
            let entry = checked("read the folder", &path, entry)?;
            // Entries removed meanwhile are left out.
            if let Ok(kind) = entry.file_type() {
                let name = entry.file_name().to_string_lossy().into_owned();
                let kind = kind.into();
                next.push(Entry { name, kind });
            }
        }
        Ok((next, entries))
    })
    .await?;
    *folder.entries.borrow_mut() = Some(entries);
    Ok(next)
}

#[op2]
async fn op_isopod_fs_mkdir(
    state: Rc<RefCell<OpState>>,
    #[string] path: String,
    recursive: bool,
) -> Result<(), FileError> {
    blocking(&state, move |access| {
        let real = access.to_write(&path, Last::Followed)?;
        let made = match recursive {
            true => fs::create_dir_all(&real),
            false => fs::create_dir(&real),
        };
        checked("create the folder", &real, made)
    })
    .await
}

/// Removes a file, a symbolic link (not its target) or a folder.
#[op2]
async fn op_isopod_fs_remove(
    state: Rc<RefCell<OpState>>,
    #[string] path: String,
    recursive: bool,
) -> Result<(), FileError> {
    blocking(&state, move |access| {
        let real = access.to_write(&path, Last::Itself)?;
        let is_folder = checked("remove", &real, fs::symlink_metadata(&real))?.is_dir();
        let removed = match (is_folder, recursive) {
            (false, _) => fs::remove_file(&real),
            (true, false) => fs::remove_dir(&real),
            (true, true) => fs::remove_dir_all(&real),
        };
        checked("remove", &real, removed)
    })
    .await
}

/// Renames a file that the script may also read; otherwise it could move a file into a readable folder.
#[op2]
async fn op_isopod_fs_rename(
    state: Rc<RefCell<OpState>>,
    #[string] from: String,
    #[string] to: String,
) -> Result<(), FileError> {
    blocking(&state, move |access| {
        let real = access.to_write(&from, Last::Itself)?;
        access.to_read(&from, Last::Itself)?;
        let to = access.to_write(&to, Last::Itself)?;
        checked("rename", &real, fs::rename(&real, to))
    })
    .await
}

#[op2]
#[number]
async fn op_isopod_fs_copy(
    state: Rc<RefCell<OpState>>,
    #[string] from: String,
    #[string] to: String,
) -> Result<u64, FileError> {
    blocking(&state, move |access| {
        let mut source = access.open(&from, &open::Mode::READ)?;
        let mut target = access.open(&to, &open::Mode::REPLACE)?;
        checked("copy", Path::new(&from), std::io::copy(&mut source, &mut target))
    })
    .await
}

deno_core::extension!(
    isopod_files,
    deps = [deno_webidl, deno_web],
    ops = [
        op_isopod_fs_stat,
        op_isopod_fs_open_dir,
        op_isopod_fs_next_entries,
        op_isopod_fs_mkdir,
        op_isopod_fs_remove,
        op_isopod_fs_rename,
        op_isopod_fs_copy,
        open::op_isopod_fs_open,
    ],
    lazy_loaded_js = [dir "src/files", "fs.js"],
    synthetic_esm = ["isopod:fs" = "ext:isopod_files/fs.js"],
);
