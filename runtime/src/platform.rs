//! V8's process-wide state: its flags, its platform, and the thread that spawns all worker threads.
//!
//! On CPUs with memory protection keys, V8's code pages are writable only for descendants of the thread that
//! initialized it; any other thread dies of SIGSEGV at its first JavaScript. A permanent *spawner* thread therefore
//! initializes V8 and spawns every worker thread, whichever thread of the host asks for it.
//!
//! This is the only global state in Isopod, because V8 requires it: the pools of a process share it.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, LazyLock, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use deno_core::{JsRuntime, v8};
use isopod_ext::quotas::{WasmTypeRoom, WasmTypes};

/// Stack size of a thread that runs JavaScript. V8 uses about 1 MB before it throws a `RangeError`; native code
/// (regular expressions, JSON, ops) needs space beyond that. Only pages in use are resident.
const STACK_BYTES: usize = 4 * 1024 * 1024;

/// Stack space for JavaScript before a `RangeError`: V8's flag `stack-size`, which has its default here.
const JS_STACK_BYTES: usize = 984 * 1024;

/// The remaining JavaScript stack on a thread created by [`spawn`], within a few KB. `None` if the system does not
/// report it.
pub(crate) fn js_stack_left() -> Option<usize> {
    Some(stacker::remaining_stack()?.saturating_sub(STACK_BYTES - JS_STACK_BYTES))
}

/// Maximum number of threads waiting to be spawned, which takes microseconds each.
const REQUESTS_WAITING_MAX: usize = 64;

/// Maximum time to wait for [`zones_of_all`]: the spawner may be creating threads.
const MEASURED_WITHIN: Duration = Duration::from_millis(20);

enum Request {
    Spawn {
        name: String,
        body: Box<dyn FnOnce() + Send>,
        made: SyncSender<io::Result<JoinHandle<()>>>,
    },
    Measure(SyncSender<usize>),
}

static SPAWNER: OnceLock<SyncSender<Request>> = OnceLock::new();

/// Spawns a thread that can run isolates. May be called on any thread. The first call initializes V8.
///
/// # Errors
/// The operating system's error if it cannot create a thread.
pub fn spawn(name: String, body: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
    let gone = || io::Error::other("the spawner thread has ended: the process is shutting down");
    let (made, answer) = sync_channel(1);
    spawner()?
        .send(Request::Spawn { name, body, made })
        .map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

/// Reserves room for the types of a worker's WebAssembly modules in V8's table, of which the process has one. `script`: the
/// types of its script.
pub(crate) fn wasm_type_room(script: &Arc<WasmTypes>) -> WasmTypeRoom {
    static PROCESS: LazyLock<WasmTypeRoom> = LazyLock::new(WasmTypeRoom::default);
    WasmTypeRoom {
        script: Arc::clone(script),
        ..PROCESS.clone()
    }
}

/// The part of `malloced_memory` that V8 reports for every isolate: zones of WebAssembly modules. It is read from
/// the keeper, which has almost no zones of its own. `None` if that takes too long.
pub(crate) fn zones_of_all() -> Option<usize> {
    let (measured, answer) = sync_channel(1);
    SPAWNER.get()?.try_send(Request::Measure(measured)).ok()?;
    answer.recv_timeout(MEASURED_WITHIN).ok()
}

/// Flushes the standard output and exits the process with this code, without waiting for threads.
///
/// A regular exit would free data that V8's threads may still be using.
pub fn exit_now(code: i32) -> ! {
    // There is no way left to report an error.
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
    // Two threads may be here at once: the loser's channel is dropped, and its thread ends before touching V8.
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

/// Idle time before the keeper is created: a process that starts, makes a few calls and exits does without it.
const KEEPER_AFTER: Duration = Duration::from_millis(50);

/// Spawns threads until the process ends. Once, when idle or to measure, creates the *keeper*: an isolate that never runs
/// code.
///
/// All isolates of a process share V8's read-only heap while one of them is alive. Without the keeper, the next isolate
/// would have to recreate it, which takes a fifth of a worker's start. The keeper uses V8's own snapshot, which has the
/// same read-only heap as ours: see `no-extensible-ro-snapshot` in `isopod-snapshot`.
fn serve(requests: &Receiver<Request>) {
    let mut keeper: Option<v8::OwnedIsolate> = None;
    let create = || v8::Isolate::new(v8::CreateParams::default());
    loop {
        let request = match keeper {
            Some(_) => requests.recv().map_err(|_| RecvTimeoutError::Disconnected),
            None => requests.recv_timeout(KEEPER_AFTER),
        };
        match request {
            Ok(Request::Spawn { name, body, made }) => {
                let thread = std::thread::Builder::new()
                    .name(name)
                    .stack_size(STACK_BYTES)
                    .spawn(body);
                // If the caller is gone, the thread still runs its own work to the end.
                drop(made.send(thread));
            }
            Ok(Request::Measure(measured)) => {
                let keeper = keeper.get_or_insert_with(create);
                // The caller may have stopped waiting.
                let _ = measured.try_send(keeper.get_heap_statistics().malloced_memory());
            }
            Err(RecvTimeoutError::Timeout) => keeper = Some(create()),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn initialise() {
    // One string: V8 parses flags once, before initialization.
    v8::V8::set_flags_from_string(concat!(
        // Workers are small and numerous: start with small semi-spaces.
        " --semi-space-growth-factor=2",
        // Little survives a collection of the young generation of a worker: waking other threads for it takes longer, and
        // uses processor time that no event is charged for.
        " --no-parallel-scavenge",
        // More stack frames than people read only cost time.
        " --stack-trace-limit=20",
        // Unrolling removes the interrupt check of short loops, and with an inlined `fill` of 1,000 elements also that
        // of the surrounding endless loop: `for (;;) a.push(new Array(1000).fill(1.5))` could not be terminated.
        " --no-turboshaft-loop-unrolling",
    ));
    crate::limits::count_icu();
    #[cfg(feature = "sql")]
    crate::limits::make_sqlite_stoppable();
    crate::limits::handle_fatal_errors();
    // By default, V8 opens and reads /dev/urandom several times per isolate.
    v8::V8::set_entropy_source(|bytes: &mut [u8]| getrandom::fill(bytes).is_ok());
    JsRuntime::init_platform(None);
}
