//! Bindings: the values in a script's `env`.
//!
//! A kind of binding has two halves. The Rust half is a value that implements [`Binding`], shared by all workers of a
//! script. The JavaScript half is a lazily loaded script of an extension, whose `make(name, options)` returns the value
//! in `env`. If its ops need a value of the binding, the Rust half places it with [`Installed::put`], and the ops find
//! it by the binding's name with [`Installed::get`].

pub mod analytics;
pub(crate) mod hyperdrive;
pub mod kv;
mod operation;
mod plain;
pub mod queue;
pub mod r2;
pub mod rate_limit;
mod remote;
pub(crate) mod secrets_store;
mod transit;
mod written;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use deno_core::OpState;
use serde::Serialize;
use serde_json::Value;

pub use self::hyperdrive::{Hyperdrive, HyperdriveUrlError};
pub use self::plain::{Custom, Json, Secret, Text};
pub(crate) use self::remote::{Asks, Cross, Crossed, pack, unpack};
pub use self::remote::{Crossing, Lent, Parcel, ParcelFuture, Remote, SandboxLimits, Target};
pub use self::secrets_store::StoreSecret;
pub use self::transit::{Held, Transit};
pub use self::written::WrittenBinding;

/// A capability placed in a script's `env`.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::AtomicU32;
///
/// use deno_core::OpState;
/// use isopod_ext::bindings::{Binding, EnvValue, Installed, NewWorker};
///
/// /// Counts visits, for all workers of a script together.
/// #[derive(Debug, Default)]
/// struct Visits(Arc<AtomicU32>);
///
/// impl Binding for Visits {
///     fn kind(&self) -> &'static str {
///         "visits"
///     }
///
///     fn install(&self, name: &str, _worker: &NewWorker<'_>, state: &mut OpState) -> EnvValue<'_> {
///         // Its ops find the counter by `Installed::<Arc<AtomicU32>>::get(state, name)`.
///         Installed::put(state, name, self.0.clone());
///         EnvValue::made("ext:visits/visits.js", &serde_json::Value::Null)
///     }
/// }
/// ```
///
/// Its `Debug` form must not show secrets, because a script's contains it. Implementing the trait requires deno_core's
/// interface, which `isopod` re-exports with the feature `unstable-deno-core`.
pub trait Binding: fmt::Debug + Send + Sync + 'static {
    /// The kind of binding, as lists and messages name it: `SQL`, `rate limit`.
    fn kind(&self) -> &'static str;

    /// Returns the value in `env` under `name`, and places the state of the binding's ops in `state`.
    ///
    /// Called while a worker starts, before any JavaScript of its script runs, and must be quick. The thread's `Rc<Io>`
    /// is in `state`, for clients that belong to the thread.
    fn install(&self, name: &str, worker: &NewWorker<'_>, state: &mut OpState) -> EnvValue<'_>;

    /// Returns the feature of the crate `isopod` that the binding needs and the build lacks. Default: none.
    fn missing_feature(&self) -> Option<&'static str> {
        None
    }

    /// Returns the binding in written form, for a worker in another process. Default: `None`, so that such workers cannot use it.
    fn written(&self) -> Option<WrittenBinding> {
        None
    }

    /// Returns the host and port to which the worker's sockets may connect regardless of the network guard. Default: none.
    fn grants(&self) -> Option<(String, u16)> {
        None
    }

    /// Answers a request of a worker of this script in another process. The request may be any bytes; `bytes_max` is the
    /// maximum size of its values. Default: an error, for bindings that do not need the pool's process.
    fn serve(&self, script: &str, request: Parcel, bytes_max: usize) -> ParcelFuture {
        let (_, _, _) = (script, request, bytes_max);
        Box::pin(std::future::ready(Err(
            "the binding does not answer requests of other processes".to_owned(),
        )))
    }

    /// Returns the files that the binding owns, which the script must not read as modules. Default: none.
    fn withheld(&self) -> Vec<PathBuf> {
        Vec::new()
    }
}

impl<B: Binding + ?Sized> Binding for Arc<B> {
    fn kind(&self) -> &'static str {
        (**self).kind()
    }

    fn install(&self, name: &str, worker: &NewWorker<'_>, state: &mut OpState) -> EnvValue<'_> {
        (**self).install(name, worker, state)
    }

    fn missing_feature(&self) -> Option<&'static str> {
        (**self).missing_feature()
    }

    fn written(&self) -> Option<WrittenBinding> {
        (**self).written()
    }

    fn grants(&self) -> Option<(String, u16)> {
        (**self).grants()
    }

    fn serve(&self, script: &str, request: Parcel, bytes_max: usize) -> ParcelFuture {
        (**self).serve(script, request, bytes_max)
    }

    fn withheld(&self) -> Vec<PathBuf> {
        (**self).withheld()
    }
}

/// The value of a binding in `env`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvValue<'a> {
    text: Cow<'a, str>,
    /// True if `text` is JSON.
    is_json: bool,
    /// The lazily loaded script that creates the value, with `text` as its options.
    script: Option<Cow<'a, str>>,
}

impl<'a> EnvValue<'a> {
    /// Creates a string.
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self {
            text: text.into(),
            is_json: false,
            script: None,
        }
    }

    /// Creates a JSON value for each worker.
    pub fn json(value: &Value) -> Self {
        Self {
            is_json: true,
            ..Self::text(value.to_string())
        }
    }

    /// Creates the result of `make(name, options)`, a function of the object that a lazily loaded script returns. `script`
    /// is the script's specifier, such as `ext:shop/shop.js`.
    pub fn made(script: impl Into<Cow<'a, str>>, options: &Value) -> Self {
        Self {
            script: Some(script.into()),
            ..Self::json(options)
        }
    }
}

/// A worker that is being started.
#[derive(Debug)]
#[non_exhaustive]
pub struct NewWorker<'a> {
    /// The name of its script.
    pub script: &'a str,
    /// The worker's number in its host.
    pub number: u64,
    /// The CPU limit of an event.
    pub cpu: Duration,
}

impl<'a> NewWorker<'a> {
    /// Created by the runtime, which starts workers.
    #[doc(hidden)]
    pub const fn new(script: &'a str, number: u64, cpu: Duration) -> Self {
        Self { script, number, cpu }
    }
}

/// The values that bindings have placed in a worker's state for their ops, by the binding's name: a map for each type.
pub struct Installed<T>(HashMap<String, T>);

impl<T: 'static> Installed<T> {
    /// Places the value of one binding.
    pub fn put(state: &mut OpState, name: &str, value: T) {
        if !state.has::<Self>() {
            state.put(Self(HashMap::new()));
        }
        state.borrow_mut::<Self>().0.insert(name.to_owned(), value);
    }

    /// Returns the value of the binding of this name, if it has one of this type.
    pub fn get<'s>(state: &'s OpState, name: &str) -> Option<&'s T> {
        state.try_borrow::<Self>()?.0.get(name)
    }

    /// Returns the name of the first binding, in the order of names, whose value matches.
    #[cfg_attr(not(feature = "sql"), allow(dead_code, reason = "used by bindings that need SQLite"))]
    pub(crate) fn find(state: &OpState, is_wanted: impl Fn(&T) -> bool) -> Option<&str> {
        let values = state.try_borrow::<Self>()?.0.iter();
        let wanted = values.filter(|(_, value)| is_wanted(value));
        wanted.map(|(name, _)| name.as_str()).min()
    }
}

#[cfg(all(test, feature = "sql"))]
mod tests {
    use super::analytics::{AnalyticsBinding, SqliteAnalytics};
    use super::kv::{KvBinding, SqliteKv};
    use super::queue::{QueueBinding, SqliteQueue};
    use super::r2::{LocalR2, R2Binding};
    use super::*;

    #[test]
    fn the_files_of_stores_are_withheld_from_scripts() {
        let clicks = SqliteAnalytics::new("clicks.sqlite", "clicks");
        let bindings: [(Box<dyn Binding>, &str); 4] = [
            (Box::new(AnalyticsBinding::new(clicks)), "clicks.sqlite"),
            (
                Box::new(KvBinding::new(Arc::new(SqliteKv::new("kv.sqlite")))),
                "kv.sqlite",
            ),
            (Box::new(R2Binding::new(LocalR2::new("bucket"))), "bucket/bucket.sqlite"),
            (
                Box::new(QueueBinding::new(SqliteQueue::new("queue.sqlite"))),
                "queue.sqlite",
            ),
        ];
        for (binding, file) in bindings {
            assert_eq!(binding.withheld(), [PathBuf::from(file)]);
        }
    }
}
