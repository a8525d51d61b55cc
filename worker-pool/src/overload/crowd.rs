//! Detection of scripts displacing each other because there are more scripts than threads, so that nearly every event costs
//! a boot.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// When displaced workers are reported.
#[derive(Debug)]
struct Rule {
    /// Period over which displaced workers are counted.
    window: Duration,
    /// The part of that period that must have passed.
    least: Duration,
    /// Number of displaced workers in that period that is reported.
    many: usize,
    /// Maximum number of events in that period for each displaced worker.
    events_max: Option<u64>,
    /// Minimum time between two reports.
    pause: Duration,
}

/// Many in a short time: more than a few busy scripts cause, and each costs time of a processor.
const OFTEN: Rule = Rule {
    window: Duration::from_secs(10),
    least: Duration::ZERO,
    many: 100,
    events_max: None,
    pause: Duration::from_secs(60),
};

/// Few, at a low rate of events, if at least every other event waits for a boot. By the end of a window of `OFTEN` it is known
/// that they are few.
const SELDOM: Rule = Rule {
    window: Duration::from_secs(300),
    least: OFTEN.window,
    many: 20,
    events_max: Some(2),
    pause: Duration::from_secs(300),
};

/// Displaced workers that are to be reported.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    pub(crate) displaced: usize,
    /// The scripts of these workers.
    pub(crate) scripts: &'a HashSet<Arc<str>>,
    /// The period over which they were counted.
    pub(crate) within: Duration,
}

#[derive(Debug)]
pub(crate) struct Crowd {
    often: Counting,
    seldom: Counting,
}

#[derive(Debug)]
struct Counting {
    rule: Rule,
    began: Option<Instant>,
    /// The time until which nothing is reported.
    pauses_until: Option<Instant>,
    /// Number of events of the pool when it began.
    events: u64,
    displaced: usize,
    scripts: HashSet<Arc<str>>,
}

impl Default for Crowd {
    fn default() -> Self {
        Self {
            often: Counting::new(OFTEN),
            seldom: Counting::new(SELDOM),
        }
    }
}

impl Crowd {
    /// Counts a displaced worker of this script. `events`: all events of the pool so far. `Some`: this should be reported.
    pub(crate) fn displaced(&mut self, script: &Arc<str>, events: u64, now: Instant) -> Option<Report<'_>> {
        let (often, seldom) = (&mut self.often, &mut self.seldom);
        let is_often = often.displaced(script, events, now);
        let is_seldom = seldom.displaced(script, events, now);
        if is_often {
            // One report of the same workers is enough.
            seldom.pause(now);
            return Some(often.report());
        }
        is_seldom.then(|| seldom.report())
    }
}

impl Counting {
    fn new(rule: Rule) -> Self {
        Self {
            rule,
            began: None,
            pauses_until: None,
            events: 0,
            displaced: 0,
            scripts: HashSet::new(),
        }
    }

    /// Returns true if it should be reported.
    fn displaced(&mut self, script: &Arc<str>, events: u64, now: Instant) -> bool {
        if self.pauses_until.is_some_and(|until| now < until) {
            return false;
        }
        let lasts = |since: Instant| now.saturating_duration_since(since);
        let began = match self.began.filter(|began| lasts(*began) < self.rule.window) {
            Some(began) => began,
            None => {
                (self.began, self.events, self.displaced) = (Some(now), events, 0);
                self.scripts.clear();
                now
            }
        };
        self.displaced += 1;
        if !self.scripts.contains(script) {
            self.scripts.insert(Arc::clone(script));
        }
        let events = events.saturating_sub(self.events);
        let is_share = |max: u64| events <= max.saturating_mul(self.displaced as u64);
        let is_many = self.displaced >= self.rule.many && lasts(began) >= self.rule.least;
        let is_reported = is_many && self.rule.events_max.is_none_or(is_share);
        if is_reported {
            self.pause(now);
        }
        is_reported
    }

    fn pause(&mut self, now: Instant) {
        self.began = None;
        self.pauses_until = now.checked_add(self.rule.pause);
    }

    fn report(&self) -> Report<'_> {
        Report {
            displaced: self.displaced,
            scripts: &self.scripts,
            within: self.rule.window,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seconds at which workers of three scripts are reported that are displaced at this interval, among so many events.
    fn reported(every: Duration, count: u32, events: u64) -> Vec<u64> {
        let start = Instant::now();
        let names: Vec<Arc<str>> = ["a", "b", "c"].map(Arc::from).into();
        let mut crowd = Crowd::default();
        let displaced = (0..count).map(|n| (&names[n as usize % 3], start + every * n, u64::from(n) * events));
        let reported = displaced.filter_map(|(name, at, events)| {
            let report = crowd.displaced(name, events, at)?;
            assert_eq!(report.scripts.len(), 3);
            Some((at - start).as_secs())
        });
        reported.collect()
    }

    #[test]
    fn many_in_a_short_time_are_reported_once_a_minute() {
        let often = Duration::from_millis(10);
        assert_eq!(reported(often, 13_000, 1_000), [0, 61, 122]);
    }

    #[test]
    fn few_are_reported_every_five_minutes_if_they_are_half_of_the_events() {
        let seldom = Duration::from_secs(1);
        assert_eq!(reported(seldom, 700, 1), [19, 338, 657]);
        assert_eq!(reported(seldom, 700, 2), [19, 338, 657]);
        assert_eq!(reported(seldom, 700, 3), [0; 0]);
    }

    #[test]
    fn what_is_neither_many_nor_few_is_reported_after_ten_seconds() {
        assert_eq!(reported(Duration::from_millis(200), 100, 1), [10]);
    }

    #[test]
    fn very_few_are_not_reported() {
        assert_eq!(reported(Duration::from_secs(20), 1_000, 1), [0; 0]);
    }
}
