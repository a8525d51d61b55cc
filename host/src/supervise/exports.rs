//! Functions that are called by name: exports of scripts, or functions of modules in Rust.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use isopod_pool::{Failure, Outcome};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::{BoxError, CallError, Panicked};
use super::supervisor::{RunOptions, Supervisor};

/// Result of a call by name. A missing function is not an error, for optional functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called<T> {
    /// The function exists, and returned this.
    Value(T),
    /// The function does not exist.
    NotExported,
}

impl<T> Called<T> {
    /// Returns the value, if the function exists.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::NotExported => None,
        }
    }
}

/// Units that export functions, such as the scripts of a pool or a table of functions in Rust.
pub trait Exports: Send + Sync {
    /// Calls a function of a unit. The future is run as a supervised task.
    fn call_export(
        &self,
        unit: &str,
        function: &str,
        args: Value,
    ) -> BoxFuture<'static, Result<Called<Value>, Failure>>;
}

impl Supervisor {
    /// Calls a function by name, if it is exported, with the supervisor's timeout. It is counted under the unit's name.
    ///
    /// ```
    /// # mod isopod { pub use isopod_host as host; }
    /// use isopod::host::supervise::{Called, NativeModules, Supervisor};
    ///
    /// let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build()?;
    /// let supervisor = Supervisor::builder(runtime.handle().clone()).build();
    /// let modules = NativeModules::new().function("math", "add", |(a, b): (i64, i64)| async move {
    ///     a.checked_add(b).ok_or("too large")
    /// });
    /// futures::executor::block_on(async {
    ///     let sum: Called<i64> = supervisor.call(&modules, "math", "add", (40, 2)).await?;
    ///     assert_eq!(sum, Called::Value(42));
    ///     let none: Called<i64> = supervisor.call(&modules, "math", "divide", (1, 0)).await?;
    ///     assert_eq!(none, Called::NotExported);
    ///     Ok::<_, isopod::host::supervise::CallError>(())
    /// }).expect("calls");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// The arguments or the result cannot be converted, or the task failed.
    pub async fn call<T: DeserializeOwned>(
        &self,
        exports: &(impl Exports + ?Sized),
        unit: &str,
        function: &str,
        args: impl Serialize + Send,
    ) -> Result<Called<T>, CallError> {
        let timeout = self.timeout();
        self.call_with(RunOptions { timeout }, exports, unit, function, args)
            .await
    }

    /// [`Supervisor::call`] with options of its own.
    ///
    /// # Errors
    /// As [`Supervisor::call`].
    pub async fn call_with<T: DeserializeOwned>(
        &self,
        options: RunOptions,
        exports: &(impl Exports + ?Sized),
        unit: &str,
        function: &str,
        args: impl Serialize + Send,
    ) -> Result<Called<T>, CallError> {
        let args = serde_json::to_value(args).map_err(CallError::Arguments)?;
        let called = exports.call_export(unit, function, args);
        match self.run_with(options, unit, called).await? {
            Called::NotExported => Ok(Called::NotExported),
            Called::Value(value) => {
                serde_json::from_value(value)
                    .map(Called::Value)
                    .map_err(|source| CallError::Returned {
                        unit: unit.to_owned(),
                        function: function.to_owned(),
                        source,
                    })
            }
        }
    }
}

type Function = Arc<dyn Fn(Value) -> BoxFuture<'static, Result<Value, Failure>> + Send + Sync>;

/// A table of functions in Rust, by unit and name; see [`Supervisor::call`].
#[derive(Clone, Default)]
pub struct NativeModules {
    units: HashMap<String, HashMap<String, Function>>,
}

impl NativeModules {
    /// Creates an empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a function, or replaces the one with the same names. Several arguments are a tuple, which is an array in JSON.
    #[must_use]
    pub fn function<A, Fut, R, E>(
        mut self,
        unit: impl Into<String>,
        name: impl Into<String>,
        function: impl Fn(A) -> Fut + Send + Sync + 'static,
    ) -> Self
    where
        A: DeserializeOwned + Send + 'static,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
        R: Serialize,
        E: Into<BoxError>,
    {
        let function = Arc::new(function);
        let erased: Function = Arc::new(move |args| {
            let function = Arc::clone(&function);
            Box::pin(async move {
                let args = serde_json::from_value(args)
                    .map_err(|error| exception("the arguments have the wrong type", &error))?;
                // Called inside of the future, so that a panic before the first `await` is caught as well.
                let called = AssertUnwindSafe(async { function(args).await.map_err(Into::into) });
                let returned = match called.catch_unwind().await {
                    Ok(Ok(returned)) => returned,
                    Ok(Err(error)) => return Err(failure(error)),
                    Err(panic) => return Err(failure(Panicked::new(panic).into())),
                };
                serde_json::to_value(returned).map_err(|error| exception("cannot convert the result to JSON", &error))
            })
        });
        self.units.entry(unit.into()).or_default().insert(name.into(), erased);
        self
    }
}

impl Exports for NativeModules {
    fn call_export(
        &self,
        unit: &str,
        function: &str,
        args: Value,
    ) -> BoxFuture<'static, Result<Called<Value>, Failure>> {
        let function = self.units.get(unit).and_then(|unit| unit.get(function)).cloned();
        Box::pin(async move {
            match function {
                None => Ok(Called::NotExported),
                Some(function) => function(args).await.map(Called::Value),
            }
        })
    }
}

/// Converts a function's error: unchanged if it is a failure, else an exception.
fn failure(error: BoxError) -> Failure {
    match error.downcast::<Failure>() {
        Ok(failure) => *failure,
        Err(error) => {
            let mut causes = std::iter::successors(error.source(), |error| (*error).source()).peekable();
            let failure = Failure::new(Outcome::Exception, error.to_string());
            if causes.peek().is_none() {
                return failure;
            }
            let lines: Vec<_> = causes.map(|cause| format!("caused by: {cause}")).collect();
            failure.with_detail(lines.join("\n"))
        }
    }
}

fn exception(what: &str, error: &dyn Error) -> Failure {
    Failure::new(Outcome::Exception, format!("{what}: {error}"))
}

impl fmt::Debug for NativeModules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = f.debug_map();
        for (unit, functions) in &self.units {
            names.entry(unit, &functions.keys().collect::<Vec<_>>());
        }
        names.finish()
    }
}
