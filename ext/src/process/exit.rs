//! The end of a command.

use std::cell::Cell;

use deno_core::v8;

/// Ends a command. Shared by its script and its console.
#[derive(Debug)]
pub struct Exit {
    isolate: v8::IsolateHandle,
    asked: Cell<Option<i32>>,
    at_end: Cell<i32>,
}

impl Exit {
    /// Creates one for the script of this isolate.
    pub fn new(isolate: v8::IsolateHandle) -> Self {
        Self {
            isolate,
            asked: Cell::new(None),
            at_end: Cell::new(0),
        }
    }

    /// Ends the command with this code, at its next safe point.
    pub fn now(&self, code: i32) {
        self.asked.set(Some(code));
        self.isolate.terminate_execution();
    }

    /// Ends the command as SIGPIPE would, because its output is no longer read: silently, with the exit code that
    /// shells report for the signal.
    pub fn for_broken_pipe(&self) {
        self.now(128 + 13);
    }

    pub(super) fn at_end(&self, code: i32) {
        self.at_end.set(code);
    }

    pub(super) fn code_at_end(&self) -> i32 {
        self.at_end.get()
    }

    pub(super) fn asked(&self) -> Option<i32> {
        self.asked.get()
    }
}
