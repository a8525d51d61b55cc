//! The I/O runtime of a worker thread, and access to the clients bound to it.
//!
//! A worker's event loop ends with the worker. HTTP connections and database pools outlive it, on the thread's *I/O
//! runtime*. A client created for one runtime must never be polled on another: its connection task would end with the wrong
//! one. Clients are therefore only accessible through [`Bound`], which runs a `Send` future on the owning runtime and
//! returns its result.
//!
//! ```
//! # mod isopod { pub use isopod_ext::io; }
//! use isopod::io::{Io, IoOptions};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let io = Io::start(IoOptions::default())?;
//! let answer = io.bound(20).run(|n| async move { n + 22 });
//! // The event loop, with its own scheduler, only waits for the result.
//! let event_loop = tokio::runtime::Builder::new_current_thread().build()?;
//! assert_eq!(event_loop.block_on(answer)?, 42);
//! # Ok(())
//! # }
//! ```

mod bound;
mod clients;

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::rc::Rc;
use std::time::Duration;

use deno_core::OpState;
use tokio::runtime::{Builder, Handle, Runtime};

pub use self::bound::{Bound, IoError};
pub use self::clients::CLIENTS_MAX;

/// Options of an I/O runtime.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IoOptions {
    /// Threads for sockets, TLS and timers. Default: 2.
    pub threads: usize,
    /// Maximum number of additional threads for name resolution and other blocking calls, started on demand. Default:
    /// 8.
    pub blocking_threads_max: usize,
    /// Idle time after which a blocking thread ends. Default: 10 s.
    pub blocking_thread_keep_alive: Duration,
    /// Name of the threads (Linux shows 15 bytes). Default: `isopod-io`.
    pub name: String,
}

isopod_outcome::setters!(IoOptions {
    threads: usize,
    blocking_threads_max: usize,
    blocking_thread_keep_alive: Duration,
    name: impl Into<String>,
});

impl Default for IoOptions {
    fn default() -> Self {
        Self {
            threads: 2,
            blocking_threads_max: 8,
            blocking_thread_keep_alive: Duration::from_secs(10),
            name: "isopod-io".to_owned(),
        }
    }
}

/// The owner of a worker thread's I/O runtime.
///
/// Created on the worker thread and bound to it (`!Send`). Dropping it [stops](Io::stop) the runtime.
pub struct Io {
    runs: Runs,
    /// Identifies the runtime of a client; not an index, so it is unique across threads.
    id: Rc<()>,
    /// Raw pointers are neither `Send` nor `Sync`.
    not_send: PhantomData<*const ()>,
}

/// The runtime that tasks and clients run on.
enum Runs {
    /// One with threads of its own, from its first use on.
    Beside(IoOptions, RefCell<Option<Runtime>>),
    /// That of a worker's event loop, which ends with the worker.
    Here(Handle),
}

impl Io {
    /// Creates the owner of a runtime that starts at its first use, so that a thread whose workers need no I/O has no runtime.
    #[must_use]
    pub fn new(options: IoOptions) -> Self {
        Self::on(Runs::Beside(options, RefCell::new(None)))
    }

    /// Uses the runtime of the caller, a worker's event loop, for clients that end with that worker: nothing has to be passed
    /// between threads for them. While JavaScript runs, they wait.
    ///
    /// # Panics
    /// If the caller is not on a Tokio runtime.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the caller's runtime is what is asked for")]
    pub fn of_event_loop() -> Self {
        Self::on(Runs::Here(Handle::current()))
    }

    fn on(runs: Runs) -> Self {
        Self {
            runs,
            id: Rc::new(()),
            not_send: PhantomData,
        }
    }

    /// Creates the owner of a runtime, and starts the runtime.
    ///
    /// # Errors
    /// The operating system's error if it cannot create a thread or a reactor.
    pub fn start(options: IoOptions) -> std::io::Result<Self> {
        let io = Self::new(options);
        io.handle()?;
        Ok(io)
    }

    /// Returns whether the runtime has been used, and has threads of its own.
    #[must_use]
    pub fn is_started(&self) -> bool {
        match &self.runs {
            Runs::Beside(_, runtime) => runtime.borrow().is_some(),
            Runs::Here(_) => false,
        }
    }

    /// Returns the handle of the runtime, which it starts if necessary.
    fn handle(&self) -> std::io::Result<Handle> {
        let (options, runtime) = match &self.runs {
            Runs::Beside(options, runtime) => (options, runtime),
            Runs::Here(handle) => return Ok(handle.clone()),
        };
        let mut runtime = runtime.borrow_mut();
        if let Some(runtime) = &*runtime {
            return Ok(runtime.handle().clone());
        }
        let started = Builder::new_multi_thread()
            .worker_threads(options.threads.max(1))
            .max_blocking_threads(options.blocking_threads_max.max(1))
            .thread_keep_alive(options.blocking_thread_keep_alive)
            .thread_name(options.name.clone())
            .enable_all()
            .build()?;
        Ok(runtime.insert(started).handle().clone())
    }

    /// Drops the thread's clients, inside the runtime, so that their connections can close; then the runtime is shut down in
    /// the background. Its tasks end with [`IoError::Stopped`]. It starts again at its next use. A runtime of an event loop goes
    /// on, without the clients.
    ///
    /// Neither blocks nor panics, not even in async code.
    pub fn stop(&self) {
        let runtime = match &self.runs {
            Runs::Here(handle) => {
                let _entered = handle.enter();
                clients::drop_all(&self.id);
                return;
            }
            Runs::Beside(_, runtime) => runtime.take(),
        };
        // Without a runtime there are no clients.
        let Some(runtime) = runtime else { return };
        {
            let _entered = runtime.enter();
            clients::drop_all(&self.id);
        }
        runtime.shutdown_background();
    }

    /// Binds a client to this runtime, which starts if it has not. If it cannot, every use of the client is an error.
    ///
    /// A pool [stops](Self::stop) the runtime of a thread whose worker is idle for long. A `Bound` that is kept over that has
    /// to be bound again; [`client`](Self::client) does so.
    pub fn bound<C>(&self, client: C) -> Bound<C> {
        Bound::new(self.handle().map(|handle| (handle, client)).map_err(refused))
    }

    /// Spawns a future on this runtime, which starts if it has not. The future ends with the runtime at the latest.
    ///
    /// # Errors
    /// [`IoError::Refused`] if the runtime cannot start.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) -> Result<(), IoError> {
        let handle = self.handle().map_err(refused)?;
        drop(handle.spawn(future));
        Ok(())
    }

    /// Returns the thread's client for `key`. If the thread has none yet, `build` creates it inside the runtime.
    ///
    /// It is kept for later workers, until the thread has created more than [`CLIENTS_MAX`] of its type (then the least
    /// recently used one is dropped) or this `Io` is dropped. `build` may use `self`, but must not request a client of
    /// the same type.
    ///
    /// # Errors
    /// The error of `build`; nothing is kept then. If the runtime cannot start, every use of the client is an error.
    pub fn client<K, C, E>(&self, key: &K, build: impl FnOnce(&K) -> Result<C, E>) -> Result<Bound<C>, E>
    where
        K: Clone + PartialEq + 'static,
        C: Clone + 'static,
    {
        let handle = match self.handle() {
            Ok(handle) => handle,
            Err(error) => return Ok(Bound::new(Err(refused(error)))),
        };
        let client = clients::get_or_build(&self.id, key, |key| {
            let _entered = handle.enter();
            build(key)
        })?;
        Ok(Bound::new(Ok((handle, client))))
    }
}

/// The [`Io`] of a worker's event loop, as an `Rc` in its `OpState`.
///
/// The worker's first uses of a client are on the I/O runtime of its thread, whose connections outlive it: many workers serve a
/// few events each. One that goes on gets connections of its own.
#[derive(Debug)]
pub struct EventLoopIo {
    own: Rc<Io>,
    uses: Cell<u32>,
}

impl EventLoopIo {
    /// Number of uses on the thread's I/O runtime.
    const USES_BEFORE: u32 = 32;

    /// Creates the `Io` of the caller's event loop.
    ///
    /// # Panics
    /// As [`Io::of_event_loop`].
    #[must_use]
    pub fn new() -> Self {
        Self {
            own: Rc::new(Io::of_event_loop()),
            uses: Cell::new(0),
        }
    }

    /// Drops the clients of the event loop.
    pub fn stop(&self) {
        self.own.stop();
    }

    /// Counts a use. Returns the event loop's `Io` if it is to be used.
    pub(crate) fn used(&self) -> Option<&Rc<Io>> {
        let uses = self.uses.get();
        self.uses.set(uses.saturating_add(1));
        (uses >= Self::USES_BEFORE).then_some(&self.own)
    }

    /// Returns what the worker keeps for `key`, until the clients of its event loop are dropped. `None` during its first uses.
    #[cfg_attr(not(feature = "sql"), allow(dead_code, reason = "used by bindings that need SQLite"))]
    pub(crate) fn kept<K, C>(&self, key: &K, build: impl FnOnce(&K) -> C) -> Option<C>
    where
        K: Clone + PartialEq + 'static,
        C: Clone + 'static,
    {
        let build = |key: &K| Ok::<_, std::convert::Infallible>(build(key));
        let kept = || clients::get_or_build(&self.own.id, key, build).ok();
        (self.uses.get() >= Self::USES_BEFORE).then(kept)?
    }

    /// Counts a use. Returns the `Io` to use: that of the worker's event loop or of its thread.
    #[cfg_attr(not(feature = "sql"), allow(dead_code, reason = "used by bindings that need SQLite"))]
    pub(crate) fn or_of_thread(state: &OpState) -> Option<Rc<Io>> {
        let own = state.try_borrow::<Rc<Self>>().and_then(|own| own.used());
        own.or_else(|| state.try_borrow::<Rc<Io>>()).cloned()
    }
}

impl Default for EventLoopIo {
    fn default() -> Self {
        Self::new()
    }
}

#[expect(clippy::needless_pass_by_value, reason = "passed to `map_err`")]
fn refused(error: std::io::Error) -> IoError {
    IoError::Refused(error.to_string())
}

impl Drop for Io {
    fn drop(&mut self) {
        self.stop();
    }
}

impl std::fmt::Debug for Io {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Io")
            .field("is_started", &self.is_started())
            .finish_non_exhaustive()
    }
}

thread_local! {
    /// The clients of this thread. They belong to the thread and not to a runtime, so every entry has its runtime's id.
    static CLIENTS: RefCell<clients::Clients> = RefCell::new(clients::Clients::default());
}
