//! Standard input. A terminal cannot be polled, so a thread reads it. Neither the end of the script nor that of the
//! process waits for that thread.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::Read;
use std::rc::Rc;
use std::sync::mpsc::{SyncSender, sync_channel};

use deno_core::{CancelFuture, CancelHandle, OpState, op2, v8};
use tokio::sync::mpsc;

use super::{ProcessError, access};

/// Bytes read at a time.
const CHUNK_BYTES: usize = 64 * 1024;

type Chunk = std::io::Result<Vec<u8>>;

/// The script's side of the thread.
pub(super) struct Input {
    /// Capacity one: the thread reads on request, so that unrequested input is left to other programs.
    asks: SyncSender<()>,
    chunks: RefCell<mpsc::Receiver<Chunk>>,
    asked: Cell<bool>,
    closed: Rc<CancelHandle>,
    /// Called with whether a pending read keeps the script alive.
    set_hold: v8::Global<v8::Function>,
    held: Cell<bool>,
    /// The pending promises of `reader.read()`.
    reads: RefCell<Vec<v8::Global<v8::Promise>>>,
}

impl Input {
    fn start(set_hold: v8::Global<v8::Function>) -> std::io::Result<Self> {
        let (asks, asked) = sync_channel(1);
        let (sender, chunks) = mpsc::channel(1);
        let body = move || {
            while asked.recv().is_ok() {
                let mut chunk = vec![0; CHUNK_BYTES];
                let read = std::io::stdin().lock().read(&mut chunk).map(|length| {
                    chunk.truncate(length);
                    chunk
                });
                if sender.blocking_send(read).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("isopod-stdin".into()).spawn(body)?;
        Ok(Self {
            asks,
            chunks: RefCell::new(chunks),
            asked: Cell::new(false),
            closed: CancelHandle::new_rc(),
            set_hold,
            held: Cell::new(true),
            reads: RefCell::default(),
        })
    }

    /// The next chunk; empty at the end.
    async fn read(&self) -> Chunk {
        // An abandoned read leaves its chunk to the next.
        if !self.asked.replace(true) {
            // Full if a request is pending.
            let _ = self.asks.try_send(());
        }
        let chunk = poll_fn(|cx| self.chunks.borrow_mut().poll_recv(cx)).await;
        self.asked.set(false);
        chunk.unwrap_or_else(|| Err(std::io::Error::other("the reading thread has ended")))
    }

    /// A read keeps the script alive only if the script is waiting for it.
    pub(super) fn hold(&self, scope: &mut v8::PinScope<'_, '_>) -> bool {
        let holds = {
            let mut reads = self.reads.borrow_mut();
            reads.retain(|read| v8::Local::new(scope, read).state() == v8::PromiseState::Pending);
            reads.is_empty() || reads.iter().any(|read| v8::Local::new(scope, read).has_handler())
        };
        if self.held.replace(holds) == holds {
            return false;
        }
        let undefined = v8::undefined(scope).into();
        let holds = v8::Boolean::new(scope, holds).into();
        v8::Local::new(scope, &self.set_hold).call(scope, undefined, &[holds]);
        true
    }
}

fn input(state: &RefCell<OpState>) -> Result<Rc<Input>, ProcessError> {
    let mut state = state.borrow_mut();
    let input = access(&mut state, "standard input")?.input.clone();
    input.ok_or(ProcessError::NotACommand("standard input"))
}

#[op2(fast)]
pub(super) fn op_isopod_process_open_input(
    state: &mut OpState,
    scope: &mut v8::PinScope<'_, '_>,
    set_hold: v8::Local<'_, v8::Function>,
) -> Result<(), ProcessError> {
    let access = access(state, "standard input")?;
    let input = Input::start(v8::Global::new(scope, set_hold));
    access.input =
        Some(Rc::new(input.map_err(|error| {
            ProcessError::Io("cannot start a thread for standard input", error)
        })?));
    Ok(())
}

#[op2]
#[buffer]
pub(super) async fn op_isopod_process_read(state: Rc<RefCell<OpState>>) -> Result<Vec<u8>, ProcessError> {
    let input = input(&state)?;
    let closed = input.closed.clone();
    match input.read().or_cancel(closed).await {
        Ok(read) => read.map_err(|error| ProcessError::Io("cannot read standard input", error)),
        Err(_) => Ok(Vec::new()),
    }
}

/// Abandons a pending read.
#[op2(fast)]
pub(super) fn op_isopod_process_close_input(state: Rc<RefCell<OpState>>) -> Result<(), ProcessError> {
    input(&state)?.closed.cancel();
    Ok(())
}

/// Records a promise of `reader.read()`.
#[op2(fast)]
pub(super) fn op_isopod_process_reads(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'_, '_>,
    promise: v8::Local<'_, v8::Promise>,
) -> Result<(), ProcessError> {
    let input = input(&state)?;
    let mut reads = input.reads.borrow_mut();
    reads.retain(|read| v8::Local::new(scope, read).state() == v8::PromiseState::Pending);
    reads.push(v8::Global::new(scope, promise));
    Ok(())
}
