//! Threads on which code is parsed and compiled to JavaScript.
//!
//! Such work recurses as deeply as the code is nested, so its thread gets a stack for that (`nesting`). And it cannot be
//! interrupted: when the start of a worker, or the event for which it imports a module, has reached a limit, the worker's thread
//! leaves and the parser goes on alone. It ends by itself, because the size of a module is limited, and holds nothing of the worker.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{io, thread};

use oxc::span::SourceType;
use url::Url;

use super::error::{ModuleError, display_url};
use super::nesting::{BASE_BYTES, LEVELS_MAX, stack_for};
use crate::limits::{Helpers, has_to_stop};

/// Parsers of a script version that were left alone and still run. Further ones wait for them, so that starts that are repeated
/// do not add up.
const LEFT_ALONE_MAX: usize = 1;

/// Time between two looks at the limits.
const LOOK: Duration = Duration::from_millis(5);

/// The stack is determined on the waiting thread for code up to this size. For more, that takes longer than a [`LOOK`] at the limits in a
/// development build.
const MEASURED_HERE_BYTES_MAX: usize = 64 << 10;

/// The reason why code was not processed.
#[derive(Debug)]
pub(super) enum Unparsed {
    /// It may be nested deeper than the limit.
    TooDeep,
    /// The stack could not be allocated.
    NoStack(io::Error),
    /// The work panicked.
    Panicked,
    /// The worker has to stop. The result must not be taken for one of the code.
    Stopped,
}

impl Unparsed {
    /// The error of a module that was not processed.
    pub(super) fn of(self, file: &Url, source: &str) -> ModuleError {
        let reason = match self {
            Self::Stopped => {
                return ModuleError::TakesTooLong {
                    file: display_url(file),
                    bytes: source.len(),
                };
            }
            Self::TooDeep => format!(
                "it is nested deeper than {LEVELS_MAX} levels, or too large for this to be ruled out; split its expressions and \
                 statements, or put large data into a JSON file"
            ),
            Self::NoStack(error) => format!("no memory for the parser's stack ({error}); give the process more"),
            Self::Panicked => "the parser panicked; split the module, or compile it beforehand".to_owned(),
        };
        ModuleError::TooDeep {
            file: display_url(file),
            reason,
        }
    }
}

/// The parsers of a script version.
#[derive(Default)]
pub(super) struct Parsers {
    left_alone: Mutex<Vec<JoinHandle<()>>>,
}

impl Parsers {
    /// Runs `work`, which recurses over `source`, on a sufficiently large stack.
    pub(super) fn run<T: Send + 'static>(
        &self,
        source: &Arc<str>,
        language: SourceType,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Unparsed> {
        if source.len() <= MEASURED_HERE_BYTES_MAX {
            let stack = stack_for(source, language.is_jsx()).ok_or(Unparsed::TooDeep)?;
            return self.run_on(stack, work);
        }
        let (code, helpers) = (Arc::clone(source), Helpers::of_this_thread());
        self.run_on(BASE_BYTES, move || measured(&code, language, &helpers, work))?
    }

    /// Runs `work`, which takes time but recurses over nothing.
    pub(super) fn run_flat<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Unparsed> {
        self.run_on(BASE_BYTES, work)
    }

    fn run_on<T: Send + 'static>(
        &self,
        stack: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Unparsed> {
        self.wait_for_room()?;
        // Its CPU time is charged to the start or event that loads the code.
        let helpers = Helpers::of_this_thread();
        let (done, result) = mpsc::sync_channel(1);
        let counted = Arc::clone(&helpers);
        let parser = spawn(stack, move || {
            let _counted = counted.count_this_thread();
            // It may be left alone by now.
            drop(done.send(work()));
        })?;
        loop {
            match result.recv_timeout(LOOK) {
                Ok(parsed) => return parser.join().map(|()| parsed).map_err(|_| Unparsed::Panicked),
                Err(RecvTimeoutError::Disconnected) => {
                    drop(parser.join());
                    return Err(Unparsed::Panicked);
                }
                Err(RecvTimeoutError::Timeout) if has_to_stop() => {
                    helpers.let_go();
                    self.left_alone().push(parser);
                    return Err(Unparsed::Stopped);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// As [`Parsers::run`]. `None` if the code cannot be parsed, which V8 reports when it compiles it.
    ///
    /// # Errors
    ///
    /// The worker has to stop.
    pub(super) fn run_or_leave_to_v8<T: Send + 'static>(
        &self,
        file: &Url,
        source: &Arc<str>,
        language: SourceType,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Option<T>, ModuleError> {
        match self.run(source, language, work) {
            Ok(parsed) => Ok(Some(parsed)),
            Err(stopped @ Unparsed::Stopped) => Err(stopped.of(file, source)),
            Err(_) => Ok(None),
        }
    }

    fn left_alone(&self) -> std::sync::MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.left_alone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for_room(&self) -> Result<(), Unparsed> {
        loop {
            if has_to_stop() {
                return Err(Unparsed::Stopped);
            }
            let mut left_alone = self.left_alone();
            left_alone.retain(|parser| !parser.is_finished());
            if left_alone.len() < LEFT_ALONE_MAX {
                return Ok(());
            }
            drop(left_alone);
            thread::sleep(LOOK);
        }
    }
}

/// Determines the stack, and runs the work on another thread that has it.
fn measured<T: Send>(
    source: &str,
    language: SourceType,
    helpers: &Helpers,
    work: impl FnOnce() -> T + Send,
) -> Result<T, Unparsed> {
    let stack = stack_for(source, language.is_jsx()).ok_or(Unparsed::TooDeep)?;
    thread::scope(|scope| {
        let parser = builder(stack).spawn_scoped(scope, || {
            let _counted = helpers.count_this_thread();
            work()
        });
        parser
            .map_err(Unparsed::NoStack)?
            .join()
            .map_err(|_| Unparsed::Panicked)
    })
}

fn spawn(stack: usize, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Unparsed> {
    builder(stack).spawn(run).map_err(Unparsed::NoStack)
}

fn builder(stack: usize) -> thread::Builder {
    thread::Builder::new().name("isopod-parser".into()).stack_size(stack)
}
