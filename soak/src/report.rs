//! The report of a soak: the verdict, its evidence, and the seed to repeat it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::options::Options;
use crate::server::Footprint;
use crate::tally::{Latency, Tally};
use crate::trend::Trend;
use crate::watch::mib;

/// Growth of memory over the whole soak, in MiB, above which a significant trend counts as a leak: heaps of frequently
/// restarted workers fragment a little.
const GROWTH_MIB_MAX: f64 = 32.0;
/// Minimum duration in minutes for judging a trend, because heaps fluctuate within a minute or so.
const TREND_MIN: f64 = 2.0;

type Latencies = BTreeMap<&'static str, Latency>;

/// Observations of the process.
pub(crate) struct Evidence {
    /// The end of the process, if it ended by itself.
    pub(crate) ended: Option<String>,
    pub(crate) lasted: Duration,
    pub(crate) before: Option<Footprint>,
    pub(crate) after: Option<Footprint>,
    /// Resources of which it holds more than before.
    pub(crate) more: Vec<String>,
    pub(crate) threads_max: u64,
    pub(crate) descriptors_max: u64,
    pub(crate) resident_max: u64,
    pub(crate) memory: Option<Trend>,
    /// Latencies of good requests without other load.
    pub(crate) alone: Latencies,
    pub(crate) disagreements: Vec<String>,
    pub(crate) lost: u64,
    pub(crate) boots: u64,
    /// Moves of connections between threads.
    pub(crate) moves: u64,
    pub(crate) outcomes: Vec<(String, u64)>,
}

impl Evidence {
    /// The evidence if the process ended by itself.
    pub(crate) const fn of_end(ended: String) -> Self {
        Self {
            ended: Some(ended),
            lasted: Duration::ZERO,
            before: None,
            after: None,
            more: Vec::new(),
            threads_max: 0,
            descriptors_max: 0,
            resident_max: 0,
            memory: None,
            alone: BTreeMap::new(),
            disagreements: Vec::new(),
            lost: 0,
            boots: 0,
            moves: 0,
            outcomes: Vec::new(),
        }
    }
}

/// A condition.
#[derive(Debug, Serialize)]
struct Check {
    what: &'static str,
    passed: bool,
    /// The observation.
    found: String,
}

/// The report.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    passed: bool,
    seed: u64,
    rate: u32,
    lose_threads: bool,
    lasted_s: u64,
    checks: Vec<Check>,
    /// Number of actions by kind.
    actions: BTreeMap<&'static str, u64>,
    /// Responses as seen by clients, by outcome.
    answers: BTreeMap<String, u64>,
    /// Events as counted by the pool, by outcome.
    outcomes: BTreeMap<String, u64>,
    requests_left: u64,
    workers_started: u64,
    connection_moves: u64,
    threads_lost: u64,
    before: Option<Footprint>,
    after: Option<Footprint>,
    memory: Option<Trend>,
    latencies_alone: Latencies,
    latencies_under_load: Latencies,
    faults: Vec<String>,
}

impl Report {
    pub(crate) fn new(
        options: &Options,
        evidence: Evidence,
        tally: &mut Tally,
        stopped: Option<String>,
        panics: Vec<String>,
    ) -> Self {
        let checks = checks(&evidence, tally, stopped, &panics);
        Self {
            passed: checks.iter().all(|check| check.passed),
            seed: options.seed,
            rate: options.mix.rate,
            lose_threads: options.mix.lose_threads,
            lasted_s: evidence.lasted.as_secs(),
            checks,
            actions: tally.done.clone(),
            answers: tally.answered.clone(),
            outcomes: evidence.outcomes.into_iter().collect(),
            requests_left: tally.left,
            workers_started: evidence.boots,
            connection_moves: evidence.moves,
            threads_lost: evidence.lost,
            before: evidence.before,
            after: evidence.after,
            memory: evidence.memory,
            latencies_alone: evidence.alone,
            latencies_under_load: tally.take_latencies(),
            faults: tally.told.clone(),
        }
    }

    pub(crate) const fn passed(&self) -> bool {
        self.passed
    }
}

fn checks(evidence: &Evidence, tally: &Tally, stopped: Option<String>, panics: &[String]) -> Vec<Check> {
    let check = |what, passed, found| Check { what, passed, found };
    let lives = evidence.ended.is_none();
    let mut checks = vec![
        check(
            "the process lives, and ends when it is told to",
            lives && stopped.is_none(),
            evidence
                .ended
                .clone()
                .or(stopped)
                .unwrap_or_else(|| "it did".to_owned()),
        ),
        check(
            "nothing panicked",
            panics.is_empty(),
            count(panics.len() as u64, "panic"),
        ),
        check(
            "every answer is one that it may be",
            tally.faults == 0 && tally.unanswered == 0,
            format!(
                "{} answers, {} faults, {} without an answer",
                tally.answers(),
                tally.faults,
                tally.unanswered
            ),
        ),
    ];
    if !lives {
        return checks;
    }
    checks.push(check(
        "every event has exactly one outcome",
        evidence.disagreements.is_empty(),
        if evidence.disagreements.is_empty() {
            "clients, server and pool agree".to_owned()
        } else {
            evidence.disagreements.join("; ")
        },
    ));
    if let (Some(before), Some(after)) = (&evidence.before, &evidence.after) {
        for (what, before, after, most) in [
            ("no thread leaked", before.threads, after.threads, evidence.threads_max),
            (
                "no descriptor leaked",
                before.descriptors,
                after.descriptors,
                evidence.descriptors_max,
            ),
        ] {
            let mut found = format!("{before} before, {most} at most, {after} after");
            if after > before {
                found.push_str(&format!(" ({})", evidence.more.join(", ")));
            }
            checks.push(check(what, after <= before, found));
        }
    }
    let most = mib(evidence.resident_max);
    checks.push(match &evidence.memory {
        Some(trend) => {
            let short = trend.minutes < TREND_MIN;
            let found = format!(
                "{:+.2} MiB a minute (± {:.2}, 99 %) over {:.1} minutes, {:.0} to {:.0} MiB, {most:.0} MiB at most{}",
                trend.slope_per_min,
                trend.margin_per_min,
                trend.minutes,
                trend.first,
                trend.last,
                if short { "; too short to judge" } else { "" }
            );
            check("memory is flat", short || !trend.grows_by(GROWTH_MIB_MAX), found)
        }
        None => check("memory is flat", true, "too short to tell".to_owned()),
    });
    checks
}

fn count(number: u64, what: &str) -> String {
    match number {
        0 => format!("no {what}"),
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = |counts: &mut dyn Iterator<Item = (&str, u64)>| {
            let shown: Vec<_> = counts.map(|(name, count)| format!("{name} {count}")).collect();
            shown.join(", ")
        };
        let actions = counts(&mut self.actions.iter().map(|(name, count)| (*name, *count)));
        let outcomes = counts(&mut self.outcomes.iter().map(|(name, count)| (name.as_str(), *count)));
        writeln!(f, "\nactions   {actions}")?;
        writeln!(f, "outcomes  {outcomes}")?;
        writeln!(
            f,
            "besides   {} requests whose client left, {} workers started, {} threads lost, {} moves of connections\n",
            self.requests_left, self.workers_started, self.threads_lost, self.connection_moves
        )?;
        writeln!(
            f,
            "{:<22} {:>9} {:>19} {:>29}",
            "good requests, ms", "", "alone: p50    p99", "under load: p50    p99    max"
        )?;
        for (kind, under_load) in &self.latencies_under_load {
            let alone = self.latencies_alone.get(kind).copied().unwrap_or_default();
            writeln!(
                f,
                "{kind:<22} {:>9} {:>12.1} {:>6.1} {:>15.1} {:>6.1} {:>6.0}",
                under_load.count, alone.p50_ms, alone.p99_ms, under_load.p50_ms, under_load.p99_ms, under_load.max_ms
            )?;
        }
        writeln!(f)?;
        for fault in &self.faults {
            writeln!(f, "fault: {fault}")?;
        }
        for Check { what, passed, found } in &self.checks {
            writeln!(f, "{}  {what}: {found}", if *passed { "pass" } else { "FAIL" })?;
        }
        let verdict = if self.passed { "PASS" } else { "FAIL" };
        let flags = if self.lose_threads { " --lose-threads" } else { "" };
        write!(
            f,
            "\n{verdict} after {}:{:02}; again with `cargo xtask soak --seed {} --rate {}{flags}`",
            self.lasted_s / 60,
            self.lasted_s % 60,
            self.seed,
            self.rate
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn footprint(threads: usize, descriptors: usize) -> Footprint {
        Footprint {
            resident_bytes: 0,
            threads,
            descriptors,
        }
    }

    fn sound() -> Evidence {
        Evidence {
            ended: None,
            before: Some(footprint(40, 90)),
            after: Some(footprint(38, 90)),
            ..Evidence::of_end(String::new())
        }
    }

    fn failed(evidence: &Evidence, tally: &Tally, stopped: Option<String>, panics: &[String]) -> Vec<&'static str> {
        let checks = checks(evidence, tally, stopped, panics);
        checks
            .iter()
            .filter(|check| !check.passed)
            .map(|check| check.what)
            .collect()
    }

    #[test]
    fn each_condition_can_fail_and_none_does_without_cause() {
        let good = Tally::new();
        assert_eq!(failed(&sound(), &good, None, &[]), [""; 0]);
        let mut wrong = Tally::new();
        wrong.fault("an answer for somebody else".to_owned());
        assert_eq!(
            failed(&sound(), &wrong, None, &[]),
            ["every answer is one that it may be"]
        );
        let mut silent = Tally::new();
        silent.unanswered = 1;
        assert_eq!(
            failed(&sound(), &silent, None, &[]),
            ["every answer is one that it may be"]
        );
        let twice = Evidence {
            disagreements: vec!["two outcomes".to_owned()],
            ..sound()
        };
        assert_eq!(
            failed(&twice, &good, None, &[]),
            ["every event has exactly one outcome"]
        );
        let leaks = Evidence {
            after: Some(footprint(41, 91)),
            ..sound()
        };
        assert_eq!(
            failed(&leaks, &good, None, &[]),
            ["no thread leaked", "no descriptor leaked"]
        );
        let grows = Evidence {
            memory: Some(Trend {
                slope_per_min: 2.0,
                margin_per_min: 0.5,
                first: 100.0,
                last: 140.0,
                minutes: 20.0,
            }),
            ..sound()
        };
        assert_eq!(failed(&grows, &good, None, &[]), ["memory is flat"]);
        let short = Evidence {
            memory: grows.memory.map(|trend| Trend { minutes: 1.0, ..trend }),
            ..sound()
        };
        assert_eq!(failed(&short, &good, None, &[]), [""; 0]);
        assert_eq!(
            failed(&sound(), &good, None, &["panicked at".to_owned()]),
            ["nothing panicked"]
        );
        let (lives, stuck) = (
            "the process lives, and ends when it is told to",
            Some("stuck".to_owned()),
        );
        assert_eq!(failed(&sound(), &good, stuck, &[]), [lives]);
        assert_eq!(
            failed(&Evidence::of_end("killed".to_owned()), &good, None, &[]),
            [lives]
        );
    }
}
