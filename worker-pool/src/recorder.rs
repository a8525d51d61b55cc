//! Durations measured by a thread, behind a mutex that only that thread and `stats()` take.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::stats::{Percentiles, Timing};

const SLICES: usize = 6;
const SLICE: Duration = Duration::from_secs(10);
/// Two significant digits: percentiles are precise to 1%, and a series takes a few kilobytes.
const DIGITS: u8 = 2;

/// The measured duration.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Series {
    QueueWait,
    Boot,
    Execution,
}

/// The three series of one thread.
#[derive(Debug)]
pub(crate) struct Recorder {
    series: [Windowed; 3],
}

impl Recorder {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            series: std::array::from_fn(|_| Windowed::new(now)),
        }
    }

    pub(crate) fn record(&mut self, series: Series, took: Duration, now: Instant) {
        self.series[series as usize].record(took, now);
    }
}

/// A ring of ten-second slices, and the sum of older slices.
#[derive(Debug)]
struct Windowed {
    slices: [Histogram<u32>; SLICES],
    current: usize,
    current_ends: Instant,
    older: Histogram<u64>,
}

impl Windowed {
    fn new(now: Instant) -> Self {
        Self {
            slices: std::array::from_fn(|_| empty()),
            current: 0,
            current_ends: now + SLICE,
            older: empty(),
        }
    }

    fn record(&mut self, took: Duration, now: Instant) {
        self.turn(now);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        // Fails only above u64 microseconds, because the histogram resizes itself.
        let _ = self.slices[self.current].record(micros);
    }

    fn turn(&mut self, now: Instant) {
        let mut turned = 0;
        while self.current_ends <= now && turned < SLICES {
            self.current = (self.current + 1) % SLICES;
            add(&mut self.older, &self.slices[self.current]);
            self.slices[self.current].reset();
            self.current_ends += SLICE;
            turned += 1;
        }
        if self.current_ends <= now {
            self.current_ends = now + SLICE;
        }
    }
}

/// The merged series of all threads.
pub(crate) struct Merged {
    recent: [Histogram<u64>; 3],
    total: [Histogram<u64>; 3],
}

impl Merged {
    pub(crate) fn new() -> Self {
        Self {
            recent: std::array::from_fn(|_| empty()),
            total: std::array::from_fn(|_| empty()),
        }
    }

    pub(crate) fn add(&mut self, recorder: &mut Recorder, now: Instant) {
        for (index, series) in recorder.series.iter_mut().enumerate() {
            series.turn(now);
            for slice in &series.slices {
                add(&mut self.recent[index], slice);
                add(&mut self.total[index], slice);
            }
            let _ = self.total[index].add(&series.older);
        }
    }

    pub(crate) fn timing(&self, series: Series) -> Timing {
        let index = series as usize;
        Timing {
            recent: Percentiles::of(&self.recent[index]),
            total: Percentiles::of(&self.total[index]),
        }
    }
}

fn empty<T: hdrhistogram::Counter>() -> Histogram<T> {
    Histogram::new(DIGITS).expect("two significant digits are within the allowed range")
}

fn add(to: &mut Histogram<u64>, from: &Histogram<u32>) {
    for step in from.iter_recorded() {
        let _ = to.record_n(step.value_iterated_to(), u64::from(step.count_at_value()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_older_than_a_minute_count_in_the_total_only() {
        let start = Instant::now();
        let mut recorder = Recorder::new(start);
        recorder.record(Series::Execution, Duration::from_millis(500), start);
        for seconds in [65, 66, 67] {
            recorder.record(
                Series::Execution,
                Duration::from_millis(5),
                start + Duration::from_secs(seconds),
            );
        }
        let mut merged = Merged::new();
        merged.add(&mut recorder, start + Duration::from_secs(68));
        let timing = merged.timing(Series::Execution);
        assert_eq!((timing.recent.count, timing.total.count), (3, 4));
        assert!(timing.recent.max < Duration::from_millis(6), "{timing:?}");
        assert!(timing.total.max >= Duration::from_millis(490), "{timing:?}");
    }
}
