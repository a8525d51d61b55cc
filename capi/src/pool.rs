//! The object behind a handle: a pool and its callbacks, in safe Rust.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use isopod::{Failure, Meta, Outcome, Pool as JsPool, ShutdownReport};
use serde::Serialize;
use serde_json::Value;

use crate::callbacks::{Answer, Callbacks, Listener};
use crate::options::{Code, PoolOptions, ScriptOptions};
use crate::status::Error;
use crate::wait;

/// A pool of workers: `isopod_pool` of `isopod.h`.
pub struct Pool {
    pool: JsPool,
    callbacks: Callbacks,
    closed: AtomicBool,
}

impl Pool {
    /// # Safety
    /// The strings of the options are NULL or NUL-terminated.
    pub(crate) unsafe fn new(options: PoolOptions) -> Result<Self, Error> {
        // SAFETY: guaranteed by the caller.
        let name = unsafe { crate::boundary::optional_text(options.thread_name, "thread_name") }?.unwrap_or("isopod");
        // SAFETY: guaranteed by the caller.
        let pool = unsafe { options.into_builder() }?.build()?;
        Ok(Self {
            pool,
            callbacks: Callbacks::start(name, options.callbacks_waiting_max())?,
            closed: AtomicBool::new(false),
        })
    }

    pub(crate) fn deploy(&self, name: &str, code: Code<'_>, options: ScriptOptions) -> Result<(), Error> {
        let (script, options) = options.into_script(name, code)?;
        self.pool.deploy(name, script, &options)?;
        Ok(())
    }

    pub(crate) fn undeploy(&self, name: &str) -> Result<(), Error> {
        match self.pool.undeploy(name) {
            true => Ok(()),
            false => Err(Error::UnknownScript(name.to_owned())),
        }
    }

    pub(crate) fn warm(&self, name: &str, timeout_ms: u64) -> Result<(), Error> {
        self.check_deployed(name)?;
        match wait::until(wait::deadline(timeout_ms), self.pool.warm(name)) {
            Some(ready) => ready.map_err(Error::Event),
            None => Err(Error::NotReady { name: name.to_owned() }),
        }
    }

    pub(crate) fn call(&self, call: Call<'_>) -> Result<Value, Error> {
        let name = call.name;
        let value = wait::until(None, call.begin(&self.pool)?).expect("without a deadline it is waited for");
        value.map_err(|failure| self.explain(name, failure))
    }

    pub(crate) fn call_async(&self, call: Call<'_>, listener: Listener) -> Result<(), Error> {
        let name = call.name;
        let value = call.begin(&self.pool)?;
        let answer: Answer = Box::pin(async { Ok(value.await.map_err(Error::Event)?.to_string()) });
        self.callbacks.submit(listener, answer).map_err(|error| match error {
            Error::Event(failure) => self.explain(name, failure),
            error => error,
        })
    }

    pub(crate) fn stats(&self) -> impl Serialize + use<> {
        self.pool.stats()
    }

    pub(crate) fn shut_down(&self, limit: Duration) -> Result<ShutdownReport, Error> {
        self.callbacks.check_caller()?;
        self.closed.store(true, Ordering::Release);
        let report = self.pool.shutdown_blocking(limit);
        self.callbacks.close();
        Ok(report)
    }

    /// Converts a failure. The interface has separate statuses for an unknown script and for a pool that was shut down.
    fn explain(&self, name: &str, failure: Failure) -> Error {
        let why = match failure.outcome {
            Outcome::LoadShed => self.check_deployed(name),
            _ => Ok(()),
        };
        why.err().unwrap_or(Error::Event(failure))
    }

    fn check_deployed(&self, name: &str) -> Result<(), Error> {
        let script = name.split('#').next().unwrap_or(name);
        if self.closed.load(Ordering::Acquire) {
            Err(Error::ShutDown)
        } else if !self.pool.stats().scripts.contains_key(script) {
            Err(Error::UnknownScript(script.to_owned()))
        } else {
            Ok(())
        }
    }
}

/// A call of an exported function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) name: &'a str,
    pub(crate) function: &'a str,
    pub(crate) arguments_json: Option<&'a str>,
    pub(crate) timeout_ms: u64,
}

impl Call<'_> {
    /// Starts the call. The future borrows nothing, because it may outlive the caller's strings.
    fn begin(
        self,
        pool: &JsPool,
    ) -> Result<impl Future<Output = Result<Value, Failure>> + Send + 'static + use<>, Error> {
        let argument = "arguments_json";
        let arguments: Vec<Value> = self
            .arguments_json
            .map_or_else(|| Ok(Vec::new()), serde_json::from_str)
            .map_err(|source| Error::Json { argument, source })?;
        let (pool, name, function) = (pool.clone(), self.name.to_owned(), self.function.to_owned());
        let deadline = wait::deadline(self.timeout_ms);
        Ok(async move {
            pool.call_with(&name, &function, arguments, Meta::default().deadline(deadline))
                .await
        })
    }
}
