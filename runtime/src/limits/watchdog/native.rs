//! What the watchdog knows of native code on an isolate's thread: its time is charged, and some can be interrupted.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use isopod_ext::event::{CpuAccount, EventKey};

use super::watched::{Seen, Watched};

/// What interrupts the native code that runs on an isolate's thread, if anything does.
#[derive(Default)]
pub(super) struct Interrupt(Mutex<Option<Box<dyn Fn() + Send>>>);

impl Interrupt {
    fn set(&self, interrupt: Option<Box<dyn Fn() + Send>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = interrupt;
    }

    /// Interrupts it.
    pub(super) fn call(&self) {
        // Under the lock: it must not be called after the code has returned.
        if let Some(interrupt) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            interrupt();
        }
    }
}

impl CpuAccount for Watched {
    fn charge(&self, event: EventKey, used: Duration) -> bool {
        self.charge_event(event, used)
    }

    fn renew(&self, event: EventKey) {
        self.accounts().renew(event);
    }

    fn is_ending(&self) -> bool {
        self.seen() == Seen::Fired
    }

    fn interrupt_with(&self, interrupt: Option<Box<dyn Fn() + Send>>) {
        self.native.set(interrupt);
    }
}
