//! `env.ANALYTICS`: a dataset in the shape of Workers Analytics Engine, `env.ANALYTICS.writeDataPoint({ indexes, blobs, doubles })`.
//!
//! [`AnalyticsBinding`] is the binding, over an [`AnalyticsStore`]: [`SqliteAnalytics`] or a program's own. `rules` has the
//! platform's limits.

mod remote;
mod rules;
#[cfg(feature = "sql")]
mod sqlite;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use deno_core::{OpState, op2};
use serde_json::Value;

use super::{Binding, EnvValue, Installed, NewWorker, Parcel, ParcelFuture, WrittenBinding};
use crate::context::begin_operation;
use crate::event::EventKey;
use crate::quotas::{QuotaError, Usage};
use crate::storage::StorageError;

pub(crate) use self::remote::RemoteAnalytics;
pub use self::rules::{BLOBS, BLOBS_BYTES, DOUBLES, DataPoint, DataPointFault, INDEX_BYTES, INDEXES};
#[cfg(feature = "sql")]
pub use self::sqlite::SqliteAnalytics;

/// A store of data points.
pub trait AnalyticsStore: Send + Sync + 'static {
    /// The files that the store owns, which no script may read as modules. Default: none.
    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Accepts a data point without waiting. Called on the worker's thread.
    ///
    /// # Errors
    /// Too many points wait, or the store has failed. The point is dropped and the error logged; the script continues.
    fn write(&self, point: DataPoint) -> Result<(), StorageError>;
}

/// A dataset in `env`, over any [`AnalyticsStore`].
#[derive(Clone)]
pub struct AnalyticsBinding {
    store: Arc<dyn AnalyticsStore>,
}

impl AnalyticsBinding {
    /// Creates a binding that writes to this store.
    pub fn new(store: impl AnalyticsStore) -> Self {
        Self { store: Arc::new(store) }
    }
}

impl fmt::Debug for AnalyticsBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnalyticsBinding(…)")
    }
}

impl Binding for AnalyticsBinding {
    fn kind(&self) -> &'static str {
        "Analytics Engine"
    }

    fn install(&self, name: &str, _worker: &NewWorker<'_>, state: &mut OpState) -> EnvValue<'_> {
        Installed::put(state, name, self.store.clone());
        EnvValue::made("ext:isopod_analytics/analytics.js", &Value::Null)
    }

    fn withheld(&self) -> Vec<PathBuf> {
        self.store.files()
    }

    fn written(&self) -> Option<WrittenBinding> {
        Some(WrittenBinding::Analytics)
    }

    fn serve(&self, _script: &str, request: Parcel, _bytes_max: usize) -> ParcelFuture {
        Box::pin(std::future::ready(remote::serve(&*self.store, &request)))
    }
}

/// An error of a dataset's op.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
enum AnalyticsError {
    #[class(type)]
    #[error("this worker has no Analytics Engine dataset named '{0}'")]
    NoBinding(String),
    #[class(type)]
    #[error("writeDataPoint(): {0}")]
    Fault(#[from] DataPointFault),
    #[class(inherit)]
    #[error(transparent)]
    Quota(#[from] QuotaError),
}

/// Writes a data point. If the store refuses it, it is dropped, as on the platform.
#[op2]
fn op_isopod_write_data_point(
    state: &OpState,
    #[string] name: String,
    #[scoped] indexes: Vec<String>,
    #[scoped] blobs: Vec<String>,
    #[scoped] doubles: Vec<f64>,
    #[smi] event: EventKey,
) -> Result<(), AnalyticsError> {
    let usage = Usage::of(state);
    begin_operation(state, event, &usage)?;
    let point = DataPoint::new(indexes, blobs, doubles)?;
    let Some(store) = Installed::<Arc<dyn AnalyticsStore>>::get(state, &name) else {
        return Err(AnalyticsError::NoBinding(name));
    };
    if let Err(error) = store.write(point) {
        tracing::warn!(target: "isopod::analytics", binding = name, "a data point was dropped: {error}");
    }
    Ok(())
}

/// A module of its own, because the macro creates a public type.
pub(crate) mod extension {
    use super::op_isopod_write_data_point;

    deno_core::extension!(
        isopod_analytics,
        deps = [isopod_context],
        ops = [op_isopod_write_data_point],
        lazy_loaded_js = [dir "src/bindings/analytics", "analytics.js"],
    );
}
