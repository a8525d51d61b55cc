//! An open file, read and written step by step.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use deno_core::{AsyncResult, BufView, OpState, Resource, ResourceId, WriteOutcome, op2};
use deno_error::JsErrorBox;
use rustix::fs::{CWD, Mode as Bits, OFlags, ResolveFlags};
use rustix::io::Errno;
use serde::Deserialize;

use super::access::{FileAccess, Last};
use super::{FileError, blocking};

/// Bytes read or written in one step.
const STEP_BYTES: usize = 256 * 1024;

/// Options for opening a file.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Mode {
    writes: bool,
    #[serde(default)]
    append: bool,
    #[serde(default)]
    create_new: bool,
}

impl Mode {
    pub(super) const READ: Self = Self {
        writes: false,
        append: false,
        create_new: false,
    };
    pub(super) const REPLACE: Self = Self {
        writes: true,
        ..Self::READ
    };

    fn flags(self) -> OFlags {
        let common = OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NOCTTY;
        if !self.writes {
            return common | OFlags::RDONLY;
        }
        let write = common | OFlags::WRONLY | OFlags::CREATE;
        match (self.create_new, self.append) {
            (true, _) => write | OFlags::EXCL,
            (false, true) => write | OFlags::APPEND,
            (false, false) => write | OFlags::TRUNC,
        }
    }
}

impl FileAccess {
    pub(super) fn open(&self, path: &str, mode: &Mode) -> Result<File, FileError> {
        let (real, what) = match mode.writes {
            true => (self.to_write(path, Last::Followed)?, "write"),
            false => (self.to_read(path, Last::Followed)?, "read"),
        };
        let file = open(&real, mode.flags()).map_err(|errno| FileError::io(what, &real, errno.into()))?;
        // Opening a folder succeeds; only the first read would fail.
        match file.metadata() {
            Ok(metadata) if metadata.is_dir() => Err(FileError::io(what, &real, Errno::ISDIR.into())),
            _ => Ok(file),
        }
    }
}

/// Opens without following links: the path is resolved, but a link may have been created since.
fn open(path: &Path, flags: OFlags) -> Result<File, Errno> {
    let bits = match flags.contains(OFlags::CREATE) {
        true => Bits::from_raw_mode(0o666),
        false => Bits::empty(),
    };
    #[cfg(target_os = "linux")]
    match rustix::fs::openat2(CWD, path, flags, bits, ResolveFlags::NO_SYMLINKS) {
        // Not supported by kernels before 5.6 and by some sandboxes.
        Err(Errno::NOSYS | Errno::PERM) => {}
        opened => return opened.map(File::from),
    }
    rustix::fs::openat(CWD, path, flags, bits).map(File::from)
}

/// Shared with the thread that is reading or writing. There is only one at a time, so the lock is never contended.
struct OpenFile {
    file: Arc<Mutex<File>>,
    path: Arc<PathBuf>,
}

impl OpenFile {
    async fn step<T: Send + 'static>(
        &self,
        what: &'static str,
        body: impl FnOnce(&mut File) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, JsErrorBox> {
        let (file, path) = (self.file.clone(), self.path.clone());
        let step = move || {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            body(&mut file).map_err(|error| FileError::io(what, &path, error))
        };
        let done = deno_core::unsync::spawn_blocking(step).await;
        done.unwrap_or(Err(FileError::Lost)).map_err(JsErrorBox::from_err)
    }
}

impl Resource for OpenFile {
    fn name(&self) -> Cow<'_, str> {
        "file".into()
    }

    fn read(self: Rc<Self>, limit: usize) -> AsyncResult<BufView> {
        Box::pin(async move {
            let read = self.step("read", move |file| {
                let mut chunk = vec![0; limit.min(STEP_BYTES)];
                let length = file.read(&mut chunk)?;
                chunk.truncate(length);
                Ok(chunk)
            });
            Ok(BufView::from(read.await?))
        })
    }

    fn write(self: Rc<Self>, view: BufView) -> AsyncResult<WriteOutcome> {
        Box::pin(async move {
            let step = view[..view.len().min(STEP_BYTES)].to_vec();
            let nwritten = step.len();
            self.step("write", move |file| file.write_all(&step)).await?;
            Ok(WriteOutcome::Partial { nwritten, view })
        })
    }
}

#[op2]
#[smi]
pub(super) async fn op_isopod_fs_open(
    state: Rc<RefCell<OpState>>,
    #[string] path: String,
    #[serde] mode: Mode,
) -> Result<ResourceId, FileError> {
    let opened = blocking(&state, move |access| {
        let file = access.open(&path, &mode)?;
        Ok((file, PathBuf::from(path)))
    });
    let (file, path) = opened.await?;
    Ok(state.borrow_mut().resource_table.add(OpenFile {
        file: Arc::new(Mutex::new(file)),
        path: Arc::new(path),
    }))
}
