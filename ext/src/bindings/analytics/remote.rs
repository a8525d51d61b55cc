//! Datasets of workers in other processes, whose points are stored in the pool's process.

use serde::{Deserialize, Serialize};

use super::{AnalyticsStore, DataPoint};
use crate::bindings::{Asks, Parcel, pack, unpack};
use crate::storage::{StorageError, WrittenStorageError};

/// A data point.
#[derive(Serialize, Deserialize)]
struct Request {
    index: Option<String>,
    blobs: Vec<String>,
    doubles: Vec<f64>,
}

/// A store of data points in another process.
pub(crate) struct RemoteAnalytics(pub(crate) Asks);

impl AnalyticsStore for RemoteAnalytics {
    fn write(&self, point: DataPoint) -> Result<(), StorageError> {
        let DataPoint { index, blobs, doubles } = point;
        let request = pack(&Request { index, blobs, doubles });
        let answer = request.and_then(|bytes| self.0.ask_now(Parcel::new(bytes)));
        let answer = answer.and_then(|answer| unpack::<Result<(), WrittenStorageError>>(&answer.bytes));
        answer.map_err(StorageError::Failed)?.map_err(StorageError::from)
    }
}

/// Stores a data point of a worker in another process.
pub(super) fn serve(store: &dyn AnalyticsStore, request: &Parcel) -> Result<Parcel, String> {
    let Request { index, blobs, doubles } = unpack(&request.bytes)?;
    // The platform's rules are checked here, because the other process is not trusted.
    let point = DataPoint::new(index.into_iter().collect(), blobs, doubles).map_err(|fault| fault.to_string())?;
    pack(&store.write(point).map_err(WrittenStorageError::from)).map(Parcel::new)
}
