//! The platform's limits of a data point. <https://developers.cloudflare.com/analytics/analytics-engine/limits/>

/// Maximum number of blobs of a data point.
pub const BLOBS: usize = 20;
/// Maximum size of all blobs of a data point, in bytes.
pub const BLOBS_BYTES: usize = 16 << 10;
/// Maximum number of doubles of a data point.
pub const DOUBLES: usize = 20;
/// Maximum number of indexes of a data point.
pub const INDEXES: usize = 1;
/// Maximum size of an index, in bytes.
pub const INDEX_BYTES: usize = 96;

/// A data point that exceeds a limit.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum DataPointFault {
    /// It has more than [`BLOBS`] blobs.
    #[error("it has {0} blobs, above the limit of {BLOBS}")]
    Blobs(usize),
    /// Its blobs have more than [`BLOBS_BYTES`] bytes.
    #[error("its blobs have {0} bytes, above the limit of {BLOBS_BYTES}")]
    BlobsBytes(usize),
    /// It has more than [`DOUBLES`] doubles.
    #[error("it has {0} doubles, above the limit of {DOUBLES}")]
    Doubles(usize),
    /// It has more than [`INDEXES`] index.
    #[error("it has {0} indexes, above the limit of {INDEXES}")]
    Indexes(usize),
    /// Its index has more than [`INDEX_BYTES`] bytes.
    #[error("its index has {0} bytes, above the limit of {INDEX_BYTES}")]
    IndexBytes(usize),
}

/// A data point: numbers that a script has measured, with their labels.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct DataPoint {
    /// The key that points are grouped and sampled by.
    pub index: Option<String>,
    /// Labels, for the columns `blob1` to `blob20`.
    pub blobs: Vec<String>,
    /// Numbers, for the columns `double1` to `double20`.
    pub doubles: Vec<f64>,
}

impl DataPoint {
    /// Checks the parts of a data point.
    pub(super) fn new(mut indexes: Vec<String>, blobs: Vec<String>, doubles: Vec<f64>) -> Result<Self, DataPointFault> {
        let within = |count: usize, max: usize, fault: fn(usize) -> DataPointFault| match count > max {
            true => Err(fault(count)),
            false => Ok(()),
        };
        within(indexes.len(), INDEXES, DataPointFault::Indexes)?;
        let index = indexes.pop();
        within(
            index.as_ref().map_or(0, String::len),
            INDEX_BYTES,
            DataPointFault::IndexBytes,
        )?;
        within(doubles.len(), DOUBLES, DataPointFault::Doubles)?;
        within(blobs.len(), BLOBS, DataPointFault::Blobs)?;
        let bytes = blobs.iter().map(String::len).sum();
        within(bytes, BLOBS_BYTES, DataPointFault::BlobsBytes)?;
        Ok(Self { index, blobs, doubles })
    }

    /// Returns the approximate size of its row, in bytes.
    #[cfg(feature = "sql")]
    pub(super) fn bytes(&self) -> usize {
        let text: usize = self.index.iter().chain(&self.blobs).map(String::len).sum();
        text + self.doubles.len() * size_of::<f64>() + 64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(count: usize, length: usize) -> Vec<String> {
        vec!["x".repeat(length); count]
    }

    /// The figures are those of the platform's page.
    #[test]
    fn a_point_at_its_limits_is_taken_and_one_above_is_not() {
        let new = |indexes, blobs, doubles| DataPoint::new(indexes, blobs, vec![0.0; doubles]).map(drop);
        assert_eq!(new(texts(1, 96), texts(16, 1024), 20), Ok(()));
        assert_eq!(new(texts(2, 1), vec![], 0), Err(DataPointFault::Indexes(2)));
        assert_eq!(new(texts(1, 97), vec![], 0), Err(DataPointFault::IndexBytes(97)));
        assert_eq!(new(vec![], texts(21, 1), 0), Err(DataPointFault::Blobs(21)));
        assert_eq!(new(vec![], texts(17, 1024), 0), Err(DataPointFault::BlobsBytes(17_408)));
        assert_eq!(new(vec![], vec![], 21), Err(DataPointFault::Doubles(21)));
    }
}
