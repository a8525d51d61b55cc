//! The functions in the values that are being read on this thread. `Deserialize` has no parameter for a context.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, Weak};

use deno_core::v8;

use super::Callback;
use crate::native::lease::Lease;
use crate::values::{Encoded, FromScript, ValueError};

/// The functions in a value that is being read. They are assigned to an event after the value has been read.
pub(in crate::native) type Taken = Vec<(v8::Global<v8::Value>, Weak<Lease>)>;

/// A value that is being read.
#[derive(Default)]
struct Reading {
    taken: Taken,
    /// Its functions, if it is being encoded for another process.
    encoded: Option<Vec<Callback>>,
}

thread_local! {
    /// One for each value that is being read, because a getter may cause another read.
    static READING: RefCell<Vec<Reading>> = const { RefCell::new(Vec::new()) };
    /// Set if the next value is encoded for another process.
    static ENCODES: Cell<bool> = const { Cell::new(false) };
    /// The functions of the value that was encoded last.
    static ENCODED: RefCell<Vec<Callback>> = const { RefCell::new(Vec::new()) };
    /// The functions that another process passed with the value that is being decoded.
    static PASSED: RefCell<Vec<Vec<Callback>>> = const { RefCell::new(Vec::new()) };
}

/// Begins reading a value.
pub(in crate::native) fn begin() {
    let reading = Reading {
        encoded: ENCODES.take().then(Vec::new),
        ..Reading::default()
    };
    READING.with_borrow_mut(|all| all.push(reading));
}

/// Records a function of the value that is being read. Returns `false` if none is being read by a worker that can lend
/// functions.
#[must_use]
pub(in crate::native) fn take(function: v8::Global<v8::Value>, lease: &Arc<Lease>) -> bool {
    READING.with_borrow_mut(|all| match all.last_mut() {
        Some(reading) => {
            reading.taken.push((function, Arc::downgrade(lease)));
            true
        }
        None => false,
    })
}

/// Records a function of the value that is being encoded, and returns its number. `None` if the value is not for another
/// process.
pub(in crate::native) fn encode(function: v8::Global<v8::Value>) -> Option<u32> {
    READING.with_borrow_mut(|all| {
        let Reading { taken, encoded } = all.last_mut()?;
        let encoded = encoded.as_mut()?;
        let lease = Arc::new(Lease::default());
        taken.push((function, Arc::downgrade(&lease)));
        encoded.push(Callback::new(lease));
        u32::try_from(encoded.len() - 1).ok()
    })
}

/// Ends reading a value, and returns its functions.
pub(in crate::native) fn end() -> Taken {
    let reading = READING.with_borrow_mut(Vec::pop).unwrap_or_default();
    if let Some(encoded) = reading.encoded {
        ENCODED.set(encoded);
    }
    reading.taken
}

/// A script's value, encoded, with the functions in it.
pub(crate) struct WithFunctions {
    pub(crate) value: Encoded,
    /// By number.
    pub(crate) functions: Vec<Callback>,
}

impl From<Encoded> for WithFunctions {
    fn from(value: Encoded) -> Self {
        let functions = Vec::new();
        Self { value, functions }
    }
}

impl FromScript for WithFunctions {
    fn from_script<'s>(scope: &mut v8::PinScope<'s, '_>, value: v8::Local<'s, v8::Value>) -> Result<Self, ValueError> {
        ENCODES.set(true);
        let value = Encoded::from_script(scope, value);
        ENCODES.set(false);
        let functions = ENCODED.take();
        Ok(Self {
            value: value?,
            functions,
        })
    }

    fn from_encoded(value: Encoded, _bytes_max: usize) -> Result<Self, ValueError> {
        let functions = PASSED.with_borrow(|passed| passed.last().cloned().unwrap_or_default());
        Ok(Self { value, functions })
    }
}

/// Decodes values that contain these functions.
pub(crate) fn passing<T>(functions: Vec<Callback>, decode: impl FnOnce() -> T) -> T {
    struct Passing;
    impl Drop for Passing {
        fn drop(&mut self) {
            drop(PASSED.with_borrow_mut(Vec::pop));
        }
    }
    PASSED.with_borrow_mut(|passed| passed.push(functions));
    let _passing = Passing;
    decode()
}

/// Returns a function of the value that is being decoded.
pub(in crate::native) fn passed(number: u32) -> Option<Callback> {
    PASSED.with_borrow(|passed| passed.last()?.get(number as usize).cloned())
}
