//! A worker's current use of its quotas.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use deno_core::{JsRuntime, OpState, v8};

use super::Quotas;
use super::blobs::Blobs;
use crate::ledger::{Charge, MemoryLedger};

/// An exceeded quota. The message names the setting and the remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, deno_error::JsError)]
#[class("DOMExceptionQuotaExceededError")]
#[non_exhaustive]
pub enum QuotaError {
    /// Too many timers.
    #[error("the worker has reached its limit of {0} timers (`limits.timers`): clear some first")]
    Timers(usize),
    /// Too many pending operations.
    #[error("the worker has reached its limit of {0} pending operations (`limits.pending_ops`): await some first")]
    PendingOps(usize),
    /// Too many requests in one event.
    #[error("the event has reached its limit of {0} requests (`limits.subrequests`)")]
    Subrequests(usize),
    /// Too many operations on storage in one event. The first sentence is the platform's.
    #[error("Too many API requests by single worker invocation. The limit is {0} (`limits.storage_operations`)")]
    StorageOperations(usize),
    /// Too many functions and objects of one event at other workers.
    #[error(
        "the event has reached its limit of {0} functions and objects that other workers hold (`limits.rpc_stubs`): dispose \
         stubs first"
    )]
    RpcStubs(usize),
    /// Too large a value.
    #[error("the value is larger than the limit of {0} bytes (`limits.message`)")]
    Message(usize),
    /// Too many promises.
    #[error("the event has reached its limit of {0} waitUntil() promises (`limits.wait_until_promises`)")]
    WaitUntil(usize),
    /// Too many handles.
    #[error(
        "the worker has reached its limit of {0} open streams, responses and object URLs (`limits.handles`): close \
         some first"
    )]
    Handles(usize),
    /// Too many bytes outside the heap.
    #[error(
        "the worker has reached its limit of {0} bytes outside the heap, in blobs, compressors etc. (`limits.native`)"
    )]
    NativeBytes(usize),
    /// Too many types of WebAssembly in a script.
    #[error(
        "the script has reached its limit of {0} types in its WebAssembly modules (`limits.wasm_types`), which V8 keeps as \
         long as the process lives"
    )]
    WasmTypes(usize),
    /// Too many types of WebAssembly in the process.
    #[error(
        "the WebAssembly modules of all scripts have {0} types, all that V8 has room for: restart the process, and lower \
         `limits.wasm_types` of scripts that create modules"
    )]
    WasmTypesOfProcess(usize),
    /// Too many sockets.
    #[error("the worker has reached its limit of {0} open WebSockets (`limits.sockets`): close some first")]
    Sockets(usize),
    /// Too many TCP connections.
    #[error("the worker has reached its limit of {0} open TCP connections (`limits.connections`): close some first")]
    Connections(usize),
    /// Too many TCP connections of one event.
    #[error(
        "the event has reached its limit of {0} open TCP connections (`limits.event_connections`): close some first"
    )]
    EventConnections(usize),
    /// Too costly a key derivation.
    #[error("{asked} PBKDF2 iterations are above the limit of {max} (`limits.pbkdf2_iterations`)")]
    Pbkdf2 {
        /// The requested number.
        asked: u32,
        /// The limit.
        max: u32,
    },
    /// Too costly a key derivation.
    #[error(
        "scrypt with N·r·p = {asked} is above the limit of {max} (`limits.pbkdf2_iterations`, which applies to scrypt too)"
    )]
    Scrypt {
        /// The product of the requested parameters.
        asked: u64,
        /// The limit.
        max: u32,
    },
    /// Too long a key.
    #[error("an RSA key of {asked} bits is above the limit of {max} (`limits.rsa_bits`)")]
    Rsa {
        /// The requested length.
        asked: u32,
        /// The limit.
        max: u32,
    },
}

/// The use of a worker's [`Quotas`], in the worker's state.
#[derive(Debug, Default)]
pub struct Usage {
    /// The quotas.
    pub quotas: Quotas,
    ledger: MemoryLedger,
    timers: Cell<usize>,
    ops: Cell<usize>,
    sockets: Cell<usize>,
    pub(super) blobs: Arc<Blobs>,
    /// Bytes charged for deno's scripts, which report when they release them.
    unowned: RefCell<Charge>,
}

impl Usage {
    /// Creates the use of a worker, to be placed in its state. Memory outside of the heap is charged to the ledger.
    #[must_use]
    pub fn new(quotas: Quotas, ledger: MemoryLedger) -> Rc<Self> {
        Rc::new(Self {
            quotas,
            unowned: RefCell::new(ledger.charge(0)),
            blobs: Arc::new(Blobs::new(ledger.charge(0))),
            ledger,
            ..Self::default()
        })
    }

    /// The use in this state. A worker without one has the defaults and is not counted.
    #[must_use]
    pub fn of(state: &OpState) -> Rc<Self> {
        state.try_borrow::<Rc<Self>>().cloned().unwrap_or_default()
    }

    /// The use of this isolate's worker. The worker's state must not be borrowed.
    pub(crate) fn of_isolate(isolate: &v8::Isolate) -> Rc<Self> {
        let state = JsRuntime::op_state_from(isolate);
        state.try_borrow().map(|state| Self::of(&state)).unwrap_or_default()
    }

    /// Bytes held outside of the heap.
    #[must_use]
    pub fn ledger(&self) -> &MemoryLedger {
        &self.ledger
    }

    /// Counts a pending operation until the slot is dropped.
    pub(crate) fn begin_op(self: &Rc<Self>) -> Result<OpSlot, QuotaError> {
        if self.ops.get() >= self.quotas.pending_ops {
            return Err(QuotaError::PendingOps(self.quotas.pending_ops));
        }
        self.ops.set(self.ops.get() + 1);
        Ok(OpSlot(Rc::clone(self)))
    }

    /// Room for one more socket, until the slot is dropped.
    pub(crate) fn begin_socket(self: &Rc<Self>) -> Result<SocketSlot, QuotaError> {
        within(self.sockets.get(), self.quotas.sockets, QuotaError::Sockets)?;
        self.sockets.set(self.sockets.get() + 1);
        Ok(SocketSlot(Rc::clone(self)))
    }

    /// Checks for room for another timer.
    pub(super) fn room_for_timer(&self) -> Result<(), QuotaError> {
        within(self.timers.get(), self.quotas.timers, QuotaError::Timers)
    }

    /// Checks for room for another handle.
    ///
    /// # Errors
    ///
    /// A [`QuotaError`] if the worker has as many as allowed.
    pub fn room_for_handle(&self, state: &OpState) -> Result<(), QuotaError> {
        let open = state.resource_table.len() + self.blobs.object_urls();
        within(open, self.quotas.handles, QuotaError::Handles)
    }

    /// Checks the parameters of scrypt, which determine its time and memory, and returns the bytes of its memory.
    ///
    /// # Errors
    ///
    /// A [`QuotaError`] if it takes more time than the allowed number of PBKDF2 iterations, or too much memory.
    pub fn check_scrypt(&self, cost: u64, block_size: u64, parallelization: u64) -> Result<usize, QuotaError> {
        let blocks = cost.saturating_mul(block_size);
        let asked = blocks.saturating_mul(parallelization);
        if asked > self.quotas.pbkdf2_iterations.into() {
            return Err(QuotaError::Scrypt {
                asked,
                max: self.quotas.pbkdf2_iterations,
            });
        }
        // RFC 7914, section 2: a block has 128 bytes.
        let bytes = blocks
            .saturating_add(block_size.saturating_mul(parallelization))
            .saturating_mul(128);
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.hold(bytes).map(|charge| charge.bytes())
    }

    /// Checks the iterations of a key derivation, and the length of a key in bits; 0 if not applicable.
    ///
    /// # Errors
    ///
    /// A [`QuotaError`] if one is above its limit.
    pub fn check_key(&self, iterations: u32, bits: u32) -> Result<(), QuotaError> {
        let quotas = &self.quotas;
        if iterations > quotas.pbkdf2_iterations {
            return Err(QuotaError::Pbkdf2 {
                asked: iterations,
                max: quotas.pbkdf2_iterations,
            });
        }
        if bits > quotas.rsa_bits {
            return Err(QuotaError::Rsa {
                asked: bits,
                max: quotas.rsa_bits,
            });
        }
        Ok(())
    }

    /// Charges bytes outside of the heap, until the charge is dropped.
    ///
    /// # Errors
    ///
    /// A [`QuotaError`] if the worker holds as many as allowed.
    pub fn hold(&self, bytes: usize) -> Result<Charge, QuotaError> {
        if self.ledger.held().saturating_add(bytes) > self.quotas.native_bytes {
            return Err(QuotaError::NativeBytes(self.quotas.native_bytes));
        }
        Ok(self.ledger.charge(bytes))
    }

    /// Charges bytes that the script releases with [`Usage::release`].
    pub(super) fn hold_unowned(&self, bytes: usize) -> Result<(), QuotaError> {
        let mut unowned = self.unowned.borrow_mut();
        let more = self.hold(bytes)?;
        let all = unowned.bytes() + more.bytes();
        drop(more);
        unowned.resize(all);
        Ok(())
    }

    pub(super) fn release(&self, bytes: usize) {
        let mut unowned = self.unowned.borrow_mut();
        let left = unowned.bytes().saturating_sub(bytes);
        unowned.resize(left);
    }

    /// Ends an operation whose slot was kept.
    pub(super) fn end_op(&self) {
        self.ops.set(self.ops.get().saturating_sub(1));
    }

    pub(crate) fn timer_set(&self) {
        self.timers.set(self.timers.get() + 1);
    }

    pub(crate) fn timer_gone(&self) {
        self.timers.set(self.timers.get().saturating_sub(1));
    }

    /// Checks the size of a value that leaves the worker.
    pub(crate) fn check_message(&self, bytes: usize) -> Result<(), QuotaError> {
        match bytes > self.quotas.message_bytes {
            true => Err(QuotaError::Message(self.quotas.message_bytes)),
            false => Ok(()),
        }
    }
}

pub(super) fn within(used: usize, max: usize, error: fn(usize) -> QuotaError) -> Result<(), QuotaError> {
    if used < max { Ok(()) } else { Err(error(max)) }
}

/// One open socket.
#[derive(Debug)]
pub(crate) struct SocketSlot(Rc<Usage>);

impl Drop for SocketSlot {
    fn drop(&mut self) {
        let open = &self.0.sockets;
        open.set(open.get().saturating_sub(1));
    }
}

/// A pending operation.
#[derive(Debug)]
pub struct OpSlot(Rc<Usage>);

impl OpSlot {
    /// Keeps the operation pending until [`Usage::end_op`] is called.
    pub(super) fn keep(self) {
        self.0.ops.set(self.0.ops.get() + 1);
    }
}

impl Drop for OpSlot {
    fn drop(&mut self) {
        self.0.end_op();
    }
}
