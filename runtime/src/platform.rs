//! V8's process-wide side: its flags, its platform, and the one thread that all worker threads descend from.
//!
//! On CPUs with memory protection keys, V8's code pages are writable only for threads descended from the thread that
//! initialised it; any other dies with SIGSEGV at its first JavaScript. So one permanent *spawner* thread initialises V8
//! and makes every worker thread, respawns included, whichever thread of the host asks for it and whenever.
//!
//! This is the only global state in Isopod, because it is V8's own: two pools in one process share it.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use deno_core::{JsRuntime, v8};

/// Stack of a thread that runs JavaScript. V8 takes about 1 MB of it before it throws a `RangeError`; native code below
/// (regular expressions, JSON, our ops) needs room beyond that. Only what is touched is resident.
const STACK_BYTES: usize = 4 * 1024 * 1024;

/// Stack that JavaScript takes before it gets a `RangeError`: V8's flag `stack-size`, which is not set here.
const JS_STACK_BYTES: usize = 984 * 1024;

/// What is left of JavaScript's stack on a thread that [`spawn`] made, to within some KB. `None` where the system does not say.
pub(crate) fn js_stack_left() -> Option<usize> {
    Some(stacker::remaining_stack()?.saturating_sub(STACK_BYTES - JS_STACK_BYTES))
}

/// Threads that may wait to be made. The spawner takes microseconds for each.
const REQUESTS_WAITING_MAX: usize = 64;

struct Request {
    name: String,
    body: Box<dyn FnOnce() + Send>,
    made: SyncSender<io::Result<JoinHandle<()>>>,
}

static SPAWNER: OnceLock<SyncSender<Request>> = OnceLock::new();

/// Makes a thread on which isolates can run, from any thread of the host. The first call initialises V8.
///
/// # Errors
/// What the operating system says when it has no thread to give.
pub fn spawn(name: String, body: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
    let gone = || io::Error::other("the spawner thread has ended: the process is shutting down");
    let (made, answer) = sync_channel(1);
    spawner()?.send(Request { name, body, made }).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

/// Ends the process with this code, whatever its threads do; what was written to the standard streams is out.
///
/// Where a thread of V8's may still be at work, an orderly exit would take down under it what it uses.
pub fn exit_now(code: i32) -> ! {
    // Nobody is left to tell where this fails.
    drop(io::stdout().flush());
    #[allow(unsafe_code, reason = "the standard library has no exit without handlers")]
    // SAFETY: it takes any code, and does not return.
    unsafe {
        libc::_exit(code)
    }
}

fn spawner() -> io::Result<&'static SyncSender<Request>> {
    if let Some(sender) = SPAWNER.get() {
        return Ok(sender);
    }
    let (sender, requests) = sync_channel::<Request>(REQUESTS_WAITING_MAX);
    // Two threads may come here at once: the loser's channel is dropped, and its thread ends before it touched V8.
    let mut won = false;
    SPAWNER.get_or_init(|| {
        won = true;
        sender
    });
    if won {
        std::thread::Builder::new()
            .name("isopod-spawner".into())
            .spawn(move || {
                initialise();
                serve(&requests);
            })?;
    }
    SPAWNER
        .get()
        .ok_or_else(|| io::Error::other("cannot start the spawner thread"))
}

/// How long nothing has to be made before the keeper is: a process that only starts, calls and ends does without it.
const KEEPER_AFTER: Duration = Duration::from_millis(50);

/// Makes threads until the process ends; in a quiet moment, once, the *keeper*: an isolate that no code ever runs on.
///
/// All isolates of a process share V8's read-only heap as long as one of them is alive; without the keeper, whichever comes
/// next would make that anew, a fifth of what a worker's start takes. It is made from V8's own snapshot, which has the same
/// read-only heap as ours: see `no-extensible-ro-snapshot` in `isopod-snapshot`.
fn serve(requests: &Receiver<Request>) {
    let mut keeper = None;
    loop {
        let request = match keeper {
            Some(_) => requests.recv().map_err(|_| RecvTimeoutError::Disconnected),
            None => requests.recv_timeout(KEEPER_AFTER),
        };
        match request {
            Ok(Request { name, body, made }) => {
                let thread = std::thread::Builder::new()
                    .name(name)
                    .stack_size(STACK_BYTES)
                    .spawn(body);
                // Whoever asked has left; the thread runs all the same and ends with its own work.
                drop(made.send(thread));
            }
            Err(RecvTimeoutError::Timeout) => keeper = Some(v8::Isolate::new(v8::CreateParams::default())),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn initialise() {
    // One string: V8 parses flags once, before it is initialised.
    v8::V8::set_flags_from_string(concat!(
        // A worker is small and there are many: semi-spaces start small.
        " --semi-space-growth-factor=2",
        // Frames kept of a stack: as many as people read.
        " --stack-trace-limit=20",
        // Unrolling removes the interrupt check of short loops, and with an inlined `fill` of 1,000 elements also that of
        // the endless loop around it: `for (;;) a.push(new Array(1000).fill(1.5))` could then not be terminated.
        " --no-turboshaft-loop-unrolling",
    ));
    // V8 would open and read /dev/urandom several times for each isolate.
    v8::V8::set_entropy_source(|bytes: &mut [u8]| getrandom::fill(bytes).is_ok());
    JsRuntime::init_platform(None);
}
