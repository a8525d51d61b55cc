//! An event's use of its quotas.

use super::{QuotaError, Quotas};

/// An event's use of its quotas so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    subrequests: usize,
    storage_operations: usize,
    log_lines: usize,
    log_bytes: usize,
    /// Number of log lines dropped because the event had reached its limit.
    pub log_dropped: u64,
}

/// The decision about a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogVerdict {
    Write,
    /// The first line over the limit: report once that no more will be shown.
    SayFull,
    Drop,
}

impl Spent {
    /// Counts a request.
    pub(crate) fn subrequest(&mut self, quotas: &Quotas) -> Result<(), QuotaError> {
        super::usage::within(self.subrequests, quotas.subrequests, QuotaError::Subrequests)?;
        self.subrequests += 1;
        Ok(())
    }

    /// Counts an operation on storage.
    pub(crate) fn storage_operation(&mut self, quotas: &Quotas) -> Result<(), QuotaError> {
        let max = quotas.storage_operations;
        super::usage::within(self.storage_operations, max, QuotaError::StorageOperations)?;
        self.storage_operations += 1;
        Ok(())
    }

    /// Counts a log line of this length.
    pub(crate) fn log(&mut self, bytes: usize, quotas: &Quotas) -> LogVerdict {
        let room = self.log_lines < quotas.log_lines && self.log_bytes.saturating_add(bytes) <= quotas.log_bytes;
        // A single line that is too long also ends the log: otherwise the following lines would look like the
        // whole log.
        if room && self.log_dropped == 0 {
            self.log_lines += 1;
            self.log_bytes += bytes;
            return LogVerdict::Write;
        }
        self.log_dropped += 1;
        if self.log_dropped == 1 {
            LogVerdict::SayFull
        } else {
            LogVerdict::Drop
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_reports_its_dropped_lines_once() {
        let quotas = Quotas {
            log_lines: 2,
            log_bytes: 10,
            ..Quotas::default()
        };
        let mut spent = Spent::default();
        let verdicts = [3, 3, 3, 3].map(|bytes| spent.log(bytes, &quotas));
        assert_eq!(
            verdicts,
            [
                LogVerdict::Write,
                LogVerdict::Write,
                LogVerdict::SayFull,
                LogVerdict::Drop
            ]
        );
        assert_eq!(spent.log_dropped, 2);
        let mut spent = Spent::default();
        assert_eq!(
            [11, 1].map(|bytes| spent.log(bytes, &quotas)),
            [LogVerdict::SayFull, LogVerdict::Drop]
        );
    }
}
