//! Interrupts native code on an isolate's thread.

use std::sync::{Mutex, PoisonError};

/// An interrupt of the native code that runs on an isolate's thread, if that has one.
#[derive(Default)]
pub(super) struct Interrupt(Mutex<Option<Box<dyn Fn() + Send>>>);

impl Interrupt {
    pub(super) fn set(&self, interrupt: Option<Box<dyn Fn() + Send>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = interrupt;
    }

    /// Interrupts the code.
    pub(super) fn call(&self) {
        // Under the lock: it must not be called after the code has returned.
        if let Some(interrupt) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            interrupt();
        }
    }
}
