//! What one event has used of what is counted by the event.

use super::{QuotaError, Quotas};

/// What one event has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    subrequests: usize,
    log_lines: usize,
    log_bytes: usize,
    /// Lines that were dropped because the event had logged as much as it may.
    pub log_dropped: u64,
}

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogVerdict {
    Write,
    /// The first that is too much: it is said once that no more will be shown.
    SayFull,
    Drop,
}

impl Spent {
    /// One more request.
    pub(crate) fn subrequest(&mut self, quotas: &Quotas) -> Result<(), QuotaError> {
        super::usage::within(self.subrequests, quotas.subrequests, QuotaError::Subrequests)?;
        self.subrequests += 1;
        Ok(())
    }

    /// One more line of this length.
    pub(crate) fn log(&mut self, bytes: usize, quotas: &Quotas) -> LogVerdict {
        let room = self.log_lines < quotas.log_lines && self.log_bytes.saturating_add(bytes) <= quotas.log_bytes;
        // One line that is too long ends the log, too: what follows it would seem to be all there was.
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
    fn a_full_log_says_so_once_and_counts_what_it_drops() {
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
