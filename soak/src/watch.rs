//! Observes the process under load.

use std::cell::RefCell;
use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, sleep};

use crate::server::{Footprint, Server};

const EVERY: Duration = Duration::from_millis(250);
/// A process is idle if nothing has changed in this many observations.
const LOOKS_AT_REST: usize = 8;

/// Observations with their times.
pub(crate) struct Watch {
    start: Instant,
    samples: RefCell<Vec<(Duration, Footprint)>>,
}

impl Watch {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            samples: RefCell::default(),
        }
    }

    /// Observes repeatedly. Returns only when the process ends, with the corresponding error.
    pub(crate) async fn run(&self, server: &Server) -> anyhow::Error {
        loop {
            match server.footprint() {
                Ok(footprint) => self.samples.borrow_mut().push((self.start.elapsed(), footprint)),
                Err(error) => return error,
            }
            sleep(EVERY).await;
        }
    }

    /// The last observation.
    pub(crate) fn last(&self) -> Option<Footprint> {
        self.samples.borrow().last().map(|(_, footprint)| *footprint)
    }

    pub(crate) fn max(&self, of: impl Fn(&Footprint) -> u64) -> u64 {
        self.samples
            .borrow()
            .iter()
            .map(|(_, footprint)| of(footprint))
            .max()
            .unwrap_or_default()
    }

    /// Memory in MiB from this time on.
    pub(crate) fn memory_after(&self, warm: Duration) -> Vec<(Duration, f64)> {
        let samples = self.samples.borrow();
        let later = samples.iter().filter(|(at, _)| *at >= warm);
        later
            .map(|(at, footprint)| (*at, mib(footprint.resident_bytes)))
            .collect()
    }
}

/// Bytes as MiB.
#[expect(clippy::cast_precision_loss, reason = "shown with few digits")]
pub(crate) fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// The footprint once threads and descriptors are stable, or the last one at the time limit.
pub(crate) async fn at_rest(server: &Server, within: Duration) -> Result<Footprint> {
    let start = Instant::now();
    let mut seen = (server.footprint()?, 0);
    while seen.1 < LOOKS_AT_REST && start.elapsed() < within {
        sleep(EVERY).await;
        let now = server.footprint()?;
        let same = (now.threads, now.descriptors) == (seen.0.threads, seen.0.descriptors);
        seen = (now, if same { seen.1 + 1 } else { 0 });
    }
    Ok(seen.0)
}

/// The footprint once there are no more threads and descriptors than before, or the last one at the time limit.
pub(crate) async fn back_at(server: &Server, before: &Footprint, within: Duration) -> Result<Footprint> {
    let start = Instant::now();
    loop {
        let now = server.footprint()?;
        let back = now.threads <= before.threads && now.descriptors <= before.descriptors;
        if back || start.elapsed() > within {
            return Ok(now);
        }
        sleep(EVERY).await;
    }
}
