//! How a command ends.

use std::cell::Cell;

use deno_core::v8;

/// The end of one command, in its script's hands and its console's.
#[derive(Debug)]
pub struct Exit {
    isolate: v8::IsolateHandle,
    asked: Cell<Option<i32>>,
    at_end: Cell<i32>,
}

impl Exit {
    /// Of the script that runs in this isolate.
    pub fn new(isolate: v8::IsolateHandle) -> Self {
        Self {
            isolate,
            asked: Cell::new(None),
            at_end: Cell::new(0),
        }
    }

    /// Ends it with this code, at its next safe point.
    pub fn now(&self, code: i32) {
        self.asked.set(Some(code));
        self.isolate.terminate_execution();
    }

    /// Ends it as SIGPIPE ends a program, because nothing reads its output any more: quietly, with the code that a shell
    /// shows for the signal.
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
