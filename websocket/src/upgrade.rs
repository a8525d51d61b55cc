//! Handover of an accepted connection from the worker to the byte stream, in the extensions of a response.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{end::Guard, pair::Wire};

/// An accepted connection, in the extensions of a response with status 101.
#[derive(Clone)]
pub struct Upgrade(Arc<Mutex<Option<Wire>>>);

impl Upgrade {
    /// Wraps the byte stream's end.
    #[must_use]
    pub fn new(wire: Wire) -> Self {
        Self(Arc::new(Mutex::new(Some(wire))))
    }

    /// Takes the byte stream's end, which only the first caller gets.
    #[must_use]
    pub fn take(&self) -> Option<Wire> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Attaches a guard, unless the connection was taken.
    pub fn attach(&self, guard: Box<dyn Guard>) {
        if let Some(wire) = self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            wire.attach(guard);
        }
    }
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upgrade")
    }
}
