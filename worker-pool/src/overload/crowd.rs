//! Detection of thrashing: more scripts than threads displace each other, so that nearly every event costs a boot.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Period over which displaced workers are counted.
pub(crate) const WINDOW: Duration = Duration::from_secs(10);

/// Number of displaced workers in that period that is reported, more than a few busy scripts cause.
const MANY: usize = 100;

/// Minimum time between two reports.
const PAUSE: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(crate) struct Crowd {
    began: Option<Instant>,
    displaced: usize,
    scripts: HashSet<Arc<str>>,
    said: Option<Instant>,
}

impl Crowd {
    /// Counts a displaced worker of this script. Returns the number of displaced workers and their scripts if they should be
    /// reported.
    pub(crate) fn displaced(&mut self, script: &Arc<str>, now: Instant) -> Option<(usize, &HashSet<Arc<str>>)> {
        let is_over = |since: Instant, time| now.saturating_duration_since(since) >= time;
        if self.began.is_none_or(|began| is_over(began, WINDOW)) {
            (self.began, self.displaced) = (Some(now), 0);
            self.scripts.clear();
        }
        self.displaced += 1;
        if !self.scripts.contains(script) {
            self.scripts.insert(Arc::clone(script));
        }
        if self.displaced < MANY || self.said.is_some_and(|said| !is_over(said, PAUSE)) {
            return None;
        }
        self.said = Some(now);
        Some((self.displaced, &self.scripts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thrashing_is_reported_once_a_minute() {
        let start = Instant::now();
        let names: Vec<Arc<str>> = ["a", "b", "c"].map(Arc::from).into();
        let told = |every: Duration, count: u32| {
            let mut crowd = Crowd::default();
            let displaced = (0..count).map(|n| (&names[n as usize % 3], start + every * n));
            let told = displaced.filter_map(|(name, at)| Some((at - start, crowd.displaced(name, at)?.1.len())));
            told.collect::<Vec<_>>()
        };
        assert_eq!(told(Duration::from_millis(200), 10_000), []);
        let often = told(Duration::from_millis(10), 13_000);
        let secs: Vec<_> = often.iter().map(|(at, scripts)| (at.as_secs(), *scripts)).collect();
        assert_eq!(secs, [(0, 3), (60, 3), (120, 3)]);
    }
}
