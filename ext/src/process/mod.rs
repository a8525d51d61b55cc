//! The module `isopod:process`: arguments, allowed environment, standard input and exit code, for scripts that are run
//! from the command line. In a worker that serves, its ops refuse.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io::Read;
use std::rc::Rc;

use deno_core::{AsyncResult, BufView, OpState, Resource, ResourceId, op2, v8};
use deno_error::JsErrorBox;

/// Put into a worker's state, this lets its script act as a command: read standard input and set the exit code.
#[derive(Debug, Default)]
pub struct ProcessAccess {
    /// The code given to `exit()`, once it was called.
    pub exit_code: Option<i32>,
}

/// What the ops of this folder refuse.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
pub enum ProcessError {
    /// The worker serves; it is not a command.
    #[class("NotSupported")]
    #[error("isopod:process is for scripts started with `isopod run`: a worker that serves has no {0}")]
    NotACommand(&'static str),
}

#[op2(fast)]
fn op_isopod_process_exit(
    state: &mut OpState,
    scope: &mut v8::PinScope<'_, '_>,
    #[smi] code: i32,
) -> Result<(), ProcessError> {
    let access = state
        .try_borrow_mut::<ProcessAccess>()
        .ok_or(ProcessError::NotACommand("exit code"))?;
    access.exit_code.get_or_insert(code);
    scope.terminate_execution();
    Ok(())
}

#[op2(fast)]
#[smi]
fn op_isopod_process_stdin(state: &mut OpState) -> Result<ResourceId, ProcessError> {
    if !state.has::<ProcessAccess>() {
        return Err(ProcessError::NotACommand("standard input"));
    }
    Ok(state.resource_table.add(Stdin))
}

struct Stdin;

impl Resource for Stdin {
    fn name(&self) -> Cow<'_, str> {
        "stdin".into()
    }

    fn read(self: Rc<Self>, limit: usize) -> AsyncResult<BufView> {
        Box::pin(async move {
            // A terminal cannot be polled: a thread of the blocking pool waits for it.
            let read = deno_core::unsync::spawn_blocking(move || {
                let mut chunk = vec![0; limit];
                let length = std::io::stdin().lock().read(&mut chunk)?;
                chunk.truncate(length);
                Ok::<_, std::io::Error>(chunk)
            });
            let chunk = read
                .await
                .map_err(JsErrorBox::from_err)?
                .map_err(JsErrorBox::from_err)?;
            Ok(BufView::from(chunk))
        })
    }
}

/// The exit code that the script of a worker asked for.
pub fn exit_code(state: &RefCell<OpState>) -> Option<i32> {
    state
        .borrow()
        .try_borrow::<ProcessAccess>()
        .and_then(|access| access.exit_code)
}

deno_core::extension!(
    isopod_process,
    deps = [deno_webidl, deno_web],
    ops = [op_isopod_process_exit, op_isopod_process_stdin],
    lazy_loaded_js = [dir "src/process", "process.js"],
    synthetic_esm = ["isopod:process" = "ext:isopod_process/process.js"],
);
