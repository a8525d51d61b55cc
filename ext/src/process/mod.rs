//! The module `isopod:process`: arguments, permitted environment variables, standard streams and the exit code, for
//! scripts run from the command line. In a served worker, its ops fail.

mod exit;
mod input;
mod output;

use std::cell::RefCell;
use std::rc::Rc;

use deno_core::{OpState, op2, v8};

pub use self::exit::Exit;
use self::input::Input;
pub use self::output::write_all;

/// In a worker's state, this makes its script a command.
pub struct ProcessAccess {
    exit: Rc<Exit>,
    input: Option<Rc<Input>>,
    /// Called when nothing is pending; returns true if the script continues.
    on_end: Option<v8::Global<v8::Function>>,
}

impl ProcessAccess {
    /// Creates access for a command that ends through `exit`.
    pub fn new(exit: Rc<Exit>) -> Self {
        Self {
            exit,
            input: None,
            on_end: None,
        }
    }
}

/// An error of this module's ops.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
#[non_exhaustive]
pub enum ProcessError {
    /// The worker is served; it is not a command.
    #[class("NotSupported")]
    #[error("isopod:process is only available to scripts started with `isopod run`: a server's worker has no {0}")]
    NotACommand(&'static str),
    /// A standard stream cannot be read or written.
    #[class(inherit)]
    #[error("{0}: {1}")]
    Io(
        &'static str,
        #[source]
        #[inherit]
        std::io::Error,
    ),
}

fn access<'s>(state: &'s mut OpState, what: &'static str) -> Result<&'s mut ProcessAccess, ProcessError> {
    state.try_borrow_mut().ok_or(ProcessError::NotACommand(what))
}

/// Ends the script with this code at its next safe point.
#[op2(fast)]
fn op_isopod_process_exit(state: &mut OpState, #[smi] code: i32) -> Result<(), ProcessError> {
    access(state, "exit code")?.exit.now(code);
    Ok(())
}

/// Sets the exit code for when nothing is pending.
#[op2(fast)]
fn op_isopod_process_exit_code(state: &mut OpState, #[smi] code: i32) -> Result<(), ProcessError> {
    access(state, "exit code")?.exit.at_end(code);
    Ok(())
}

/// The exit code for when nothing is pending.
#[op2(fast)]
#[smi]
fn op_isopod_process_exit_code_now(state: &mut OpState) -> Result<i32, ProcessError> {
    Ok(access(state, "exit code")?.exit.code_at_end())
}

#[op2(fast)]
fn op_isopod_process_on_end(
    state: &mut OpState,
    scope: &mut v8::PinScope<'_, '_>,
    end: v8::Local<'_, v8::Function>,
) -> Result<(), ProcessError> {
    access(state, "end")?.on_end = Some(v8::Global::new(scope, end));
    Ok(())
}

/// The exit code that a worker's script has asked for.
pub fn exit_code(state: &RefCell<OpState>) -> Option<i32> {
    let state = state.borrow();
    state.try_borrow::<ProcessAccess>()?.exit.asked()
}

/// The exit code of a script with nothing pending.
pub fn exit_code_at_end(state: &RefCell<OpState>) -> i32 {
    let state = state.borrow();
    let access = state.try_borrow::<ProcessAccess>();
    access.map_or(0, |access| access.exit.code_at_end())
}

/// Tells the script that nothing is pending. Returns `true` if it continues, and may have started something.
pub fn end(scope: &mut v8::PinScope<'_, '_>, state: &RefCell<OpState>) -> bool {
    let on_end = match state.borrow().try_borrow::<ProcessAccess>() {
        Some(access) => access.on_end.clone(),
        None => None,
    };
    let Some(on_end) = on_end else { return false };
    let undefined = v8::undefined(scope).into();
    let goes_on = v8::Local::new(scope, on_end).call(scope, undefined, &[]);
    goes_on.is_some_and(|goes_on| goes_on.is_true())
}

/// Lets a pending read of standard input keep the script alive only while the script waits for it. Returns `true` if
/// that has changed.
pub fn hold_for_input(scope: &mut v8::PinScope<'_, '_>, state: &RefCell<OpState>) -> bool {
    let input = match state.borrow().try_borrow::<ProcessAccess>() {
        Some(access) => access.input.clone(),
        None => None,
    };
    input.is_some_and(|input| input.hold(scope))
}

deno_core::extension!(
    isopod_process,
    deps = [deno_webidl, deno_web],
    ops = [
        op_isopod_process_exit,
        op_isopod_process_exit_code,
        op_isopod_process_exit_code_now,
        op_isopod_process_on_end,
        input::op_isopod_process_open_input,
        input::op_isopod_process_read,
        input::op_isopod_process_close_input,
        input::op_isopod_process_reads,
        output::op_isopod_process_write,
    ],
    lazy_loaded_js = [dir "src/process", "process.js", "command.js"],
    synthetic_esm = ["isopod:process" = "ext:isopod_process/process.js"],
);
