//! Stand-ins for the bindings of the pool's process, for workers in processes of their own.

use std::sync::Arc;

use crate::bindings::analytics::{AnalyticsBinding, RemoteAnalytics};
use crate::bindings::kv::{KvBinding, RemoteKv};
use crate::bindings::queue::{QueueBinding, RemoteQueue};
use crate::bindings::r2::{R2Binding, RemoteR2};
use crate::bindings::rate_limit::RateLimit;
use crate::bindings::{Asks, Binding, Custom, Hyperdrive, Json, Secret, Text, WrittenBinding, unpack};
use crate::cache::{CacheLimits, ResponseCache};
use crate::fetcher::{Fetcher, Loopback};
use crate::native::NativeFunction;
use crate::publish::{PublishBinding, RemotePublish};
use crate::sql::SqlConfig;
use crate::{cache, fetcher, native, sql};

pub use crate::bindings::{Crossing, Held, Lent, Parcel, ParcelFuture, Remote, SandboxLimits, Target, Transit};

/// Creates a binding from its written form. The binding asks the pool's process for the data that it does not hold itself.
///
/// # Errors
/// The written form is invalid.
pub fn binding_of(written: WrittenBinding, name: &str, remote: &Arc<dyn Remote>) -> Result<Arc<dyn Binding>, String> {
    let json = |text: &str| serde_json::from_str(text).map_err(|error| error.to_string());
    let asks = Asks {
        remote: Arc::clone(remote),
        target: Target::Binding(name.to_owned()),
    };
    Ok(match written {
        WrittenBinding::Text(text) => Arc::new(Text(text)),
        WrittenBinding::Secret(text) => Arc::new(Secret(text)),
        WrittenBinding::Json(text) => Arc::new(Json(json(&text)?)),
        WrittenBinding::Custom { script, options } => Arc::new(Custom::new(script, json(&options)?)),
        WrittenBinding::Hyperdrive(url) => Arc::new(Hyperdrive::new(&url).map_err(|error| error.to_string())?),
        WrittenBinding::Analytics => Arc::new(AnalyticsBinding::new(RemoteAnalytics(asks))),
        #[cfg(feature = "sql")]
        WrittenBinding::Objects {
            script,
            class,
            key,
            folder,
        } => Arc::new(crate::objects::remote_binding(
            asks,
            crate::objects::ObjectClass::new(script, class, folder).key(key),
        )),
        #[cfg(not(feature = "sql"))]
        WrittenBinding::Objects { .. } => return Err("Durable Objects need the feature `sql`".to_owned()),
        WrittenBinding::Kv => Arc::new(KvBinding::new(RemoteKv(asks))),
        WrittenBinding::R2 => Arc::new(R2Binding::new(RemoteR2(asks))),
        WrittenBinding::Queue { delay } => Arc::new(QueueBinding::new(RemoteQueue(asks)).delivery_delay(delay)),
        WrittenBinding::RateLimit => Arc::new(RateLimit::elsewhere(asks)),
        WrittenBinding::Sql { config } => {
            let config: SqlConfig = unpack(&config)?;
            Arc::new(config)
        }
        WrittenBinding::Database => Arc::new(sql::remote_binding(Asks {
            remote: Arc::clone(remote),
            target: Target::Database(name.to_owned()),
        })),
        WrittenBinding::Service => Arc::new(fetcher::remote_binding(asks)),
        WrittenBinding::Events => Arc::new(PublishBinding(Arc::new(RemotePublish(asks)))),
        WrittenBinding::Native { methods } => Arc::new(native::remote_binding(&asks, methods)),
    })
}

/// The stand-in for a function that an event brought, by the numbers of both.
#[must_use]
pub fn function_of(event: u64, number: u32, remote: &Arc<dyn Remote>) -> NativeFunction {
    let asks = Asks {
        remote: Arc::clone(remote),
        target: Target::Function(event, number),
    };
    native::remote_function(asks, None)
}

/// The entry points of the worker itself, for `ctx.exports`: their requests and calls are made in the pool's process.
#[must_use]
pub fn loopback_of(script: &str, remote: &Arc<dyn Remote>) -> Loopback {
    let remote = Arc::clone(remote);
    Loopback::new(script, move |name| {
        let target = Target::Own(name.to_owned());
        let asks = Asks {
            remote: Arc::clone(&remote),
            target,
        };
        fetcher::remote_fetcher(asks)
    })
}

/// An object that lives in the pool of another process, as it is called by this worker.
#[cfg(feature = "sql")]
#[must_use]
pub fn object_of(
    class: &Arc<crate::objects::ObjectClass>,
    id: crate::objects::ObjectId,
    worker: &str,
    remote: &Arc<dyn Remote>,
) -> Arc<dyn Fetcher> {
    let asks = Asks {
        remote: Arc::clone(remote),
        target: Target::Binding(worker.to_owned()),
    };
    crate::objects::remote_object(asks, class, id)
}

/// The stand-in for the responses of `caches`.
#[must_use]
pub fn cache_of(limits: CacheLimits, remote: &Arc<dyn Remote>) -> ResponseCache {
    let asks = Asks {
        remote: Arc::clone(remote),
        target: Target::Cache,
    };
    ResponseCache::elsewhere(limits, asks)
}

/// Answers an operation on `caches` of a worker in another process.
#[must_use]
pub fn serve_cache(cache: ResponseCache, script: &str, request: Parcel) -> ParcelFuture {
    cache::serve_remote(cache, script, request)
}

/// Answers a request or a call of a worker in another process to one of its own entry points, with its `fetcher`.
#[must_use]
pub fn serve_own(fetcher: Arc<dyn Fetcher>, script: &str, request: Parcel, bytes_max: usize) -> ParcelFuture {
    fetcher::serve_remote(fetcher, script, None, request, bytes_max)
}

/// Calls a function that an event brought, for a worker in another process.
#[must_use]
pub fn serve_function(function: Option<&NativeFunction>, request: Parcel, bytes_max: usize) -> ParcelFuture {
    native::serve_remote(|_| function, request, bytes_max)
}
