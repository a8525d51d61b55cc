//! Restart decisions. Time and randomness are passed in, and the group carries the decisions out.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

/// The condition under which a child that has ended is restarted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    /// Always.
    #[default]
    Permanent,
    /// Restarted after a crash; done after success.
    Transient,
    /// Never.
    Temporary,
}

/// The children that are restarted together with one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// None: children are independent.
    #[default]
    OneForOne,
    /// All: children depend on each other.
    OneForAll,
    /// The children after it: each may depend on those before it.
    RestForOne,
}

/// Wait before a restart, doubled after each consecutive crash.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Backoff {
    /// After the first crash. Default: 100 ms.
    pub min: Duration,
    /// Maximum wait. Default: 30 s.
    pub max: Duration,
    /// The random part of the wait, from 0 to 1, so that children that crash together are not restarted together. Default: 0.2.
    pub jitter: f64,
    /// Running time after which earlier crashes no longer count. Default: 60 s.
    pub reset_after: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            min: Duration::from_millis(100),
            max: Duration::from_secs(30),
            jitter: 0.2,
            reset_after: Duration::from_secs(60),
        }
    }
}

isopod_outcome::setters!(Backoff {
    min: Duration,
    max: Duration,
    jitter: f64,
    reset_after: Duration,
});

impl Backoff {
    /// Returns the wait after this many consecutive crashes. `random` is from 0 to 1. Jitter only shortens the wait, by at
    /// most its part.
    #[must_use]
    pub fn delay(&self, crashes: u32, random: f64) -> Duration {
        let factor = 2_u32.saturating_pow(crashes.saturating_sub(1));
        let whole = self.min.saturating_mul(factor).min(self.max);
        whole.mul_f64(1.0 - self.jitter.clamp(0.0, 1.0) * random.clamp(0.0, 1.0))
    }
}

/// Restart intensity of a group. Above it the group gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Intensity {
    /// Maximum number of restarts. Default: 5.
    pub restarts: usize,
    /// The time within which they are counted. Default: 60 s.
    pub within: Duration,
}

impl Default for Intensity {
    fn default() -> Self {
        Self {
            restarts: 5,
            within: Duration::from_secs(60),
        }
    }
}

isopod_outcome::setters!(Intensity {
    restarts: usize,
    within: Duration,
});

/// Decision about the end of a child.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// No action: the child is done.
    Done,
    /// The running ones among these children are stopped, the last one first. All of them are restarted later.
    Restart(Range<usize>),
    /// Too many restarts: everything is stopped, and the group returns an error.
    Escalate,
}

/// Restart state of the children of a group.
#[derive(Debug)]
pub(super) struct Plan {
    strategy: Strategy,
    intensity: Intensity,
    children: Vec<Child>,
    /// The times of restarts that still count.
    restarts: VecDeque<Instant>,
}

#[derive(Debug)]
struct Child {
    restart: Restart,
    backoff: Backoff,
    crashes: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Due { at: Instant },
    Runs { since: Instant },
    Done,
}

impl Plan {
    /// Creates the state in which all children are due now.
    pub(super) fn new(
        strategy: Strategy,
        intensity: Intensity,
        children: impl IntoIterator<Item = (Restart, Backoff)>,
        now: Instant,
    ) -> Self {
        let child = |(restart, backoff)| Child {
            restart,
            backoff,
            crashes: 0,
            state: State::Due { at: now },
        };
        Self {
            strategy,
            intensity,
            children: children.into_iter().map(child).collect(),
            restarts: VecDeque::new(),
        }
    }

    /// Returns the time at which the next child is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.children
            .iter()
            .filter_map(|child| match child.state {
                State::Due { at } => Some(at),
                _ => None,
            })
            .min()
    }

    /// Takes the first child that is due now. It counts as running from then on.
    pub(super) fn start_due(&mut self, now: Instant) -> Option<usize> {
        let index = self
            .children
            .iter()
            .position(|child| matches!(child.state, State::Due { at } if at <= now))?;
        self.children[index].state = State::Runs { since: now };
        Some(index)
    }

    /// Returns true if no child runs or will run.
    pub(super) fn is_done(&self) -> bool {
        self.children.iter().all(|child| child.state == State::Done)
    }

    /// Decides about a child that has ended by itself, with success or not.
    pub(super) fn ended(&mut self, index: usize, well: bool, now: Instant, random: f64) -> Decision {
        let child = &mut self.children[index];
        let again = match child.restart {
            Restart::Permanent => true,
            Restart::Transient => !well,
            Restart::Temporary => false,
        };
        if let State::Runs { since } = child.state
            && now.saturating_duration_since(since) >= child.backoff.reset_after
        {
            child.crashes = 0;
        }
        child.state = State::Done;
        if !again {
            return Decision::Done;
        }
        child.crashes += 1;
        let wait = child.backoff.delay(child.crashes, random);
        if self.is_exceeded(now) {
            return Decision::Escalate;
        }
        self.restarts.push_back(now);
        let affected = match self.strategy {
            Strategy::OneForOne => index..index + 1,
            Strategy::OneForAll => 0..self.children.len(),
            Strategy::RestForOne => index..self.children.len(),
        };
        for place in affected.clone() {
            let other = &mut self.children[place];
            // A temporary child is never restarted, nor is one that was done.
            other.state = match other.state {
                _ if place == index => State::Due { at: now + wait },
                State::Done => State::Done,
                _ if other.restart == Restart::Temporary => State::Done,
                _ => State::Due { at: now + wait },
            };
        }
        Decision::Restart(affected)
    }

    fn is_exceeded(&mut self, now: Instant) -> bool {
        let within = self.intensity.within;
        while self
            .restarts
            .front()
            .is_some_and(|at| now.saturating_duration_since(*at) >= within)
        {
            self.restarts.pop_front();
        }
        self.restarts.len() >= self.intensity.restarts
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};

    use super::*;

    #[test]
    fn waits_double_up_to_a_maximum_and_jitter_only_shortens_them() {
        let backoff = Backoff::default();
        let millis = |crashes, random| backoff.delay(crashes, random).as_millis();
        assert_eq!(
            [1, 2, 3, 9, 10, 99].map(|n| millis(n, 0.0)),
            [100, 200, 400, 25_600, 30_000, 30_000]
        );
        assert_eq!((millis(1, 0.5), millis(1, 1.0)), (90, 80));
    }

    #[test]
    fn each_strategy_restarts_its_children_except_finished_ones() {
        let now = Instant::now();
        let restarted = |strategy| {
            let restarts = [
                Restart::Permanent,
                Restart::Transient,
                Restart::Permanent,
                Restart::Temporary,
            ];
            let backoff = Backoff {
                min: Duration::ZERO,
                ..Backoff::default()
            };
            let children = restarts.map(|restart| (restart, backoff));
            let mut plan = Plan::new(strategy, Intensity::default(), children, now);
            assert_eq!(std::iter::from_fn(|| plan.start_due(now)).count(), 4);
            assert_eq!(plan.ended(1, true, now, 0.0), Decision::Done);
            assert!(matches!(plan.ended(2, false, now, 0.0), Decision::Restart(_)));
            std::iter::from_fn(|| plan.start_due(now)).collect::<Vec<_>>()
        };
        assert_eq!(restarted(Strategy::OneForOne), [2]);
        assert_eq!(restarted(Strategy::RestForOne), [2]);
        assert_eq!(restarted(Strategy::OneForAll), [0, 2]);
    }

    fn restart() -> impl proptest::strategy::Strategy<Value = Restart> {
        prop_oneof![
            Just(Restart::Permanent),
            Just(Restart::Transient),
            Just(Restart::Temporary)
        ]
    }

    fn strategy() -> impl proptest::strategy::Strategy<Value = Strategy> {
        prop_oneof![
            Just(Strategy::OneForOne),
            Just(Strategy::OneForAll),
            Just(Strategy::RestForOne)
        ]
    }

    proptest! {
        /// Children end in any way, one at a time; all due children are started.
        #[test]
        fn restarts_keep_within_their_intensity_and_children_within_their_kind(
            strategy in strategy(),
            restarts_max in 0_usize..5,
            restarts in prop::collection::vec(restart(), 1..5),
            ends in prop::collection::vec((0_usize..5, any::<bool>(), 0_u64..3000), 1..60),
        ) {
            let intensity = Intensity { restarts: restarts_max, within: Duration::from_secs(5) };
            let (mut now, count) = (Instant::now(), restarts.len());
            let backoff = Backoff::default();
            let mut plan = Plan::new(strategy, intensity, restarts.iter().map(|kind| (*kind, backoff)), now);
            let (mut starts, mut restarted): (Vec<usize>, Vec<Instant>) = (vec![0; count], Vec::new());
            let mut running: Vec<bool> = vec![false; count];
            for (index, well, millis) in ends {
                now += Duration::from_millis(millis);
                let mut last = None;
                while let Some(index) = plan.start_due(now) {
                    prop_assert!(!running[index], "started twice");
                    prop_assert!(last < Some(index), "not in order");
                    (last, running[index]) = (Some(index), true);
                    starts[index] += 1;
                }
                prop_assert!(plan.next_due().is_none_or(|due| due > now));
                let index = index % count;
                if !running[index] {
                    continue;
                }
                running[index] = false;
                let recent = restarted.iter().filter(|at| now - **at < intensity.within).count();
                match plan.ended(index, well, now, 0.5) {
                    Decision::Done => prop_assert!(
                        restarts[index] == Restart::Temporary || (restarts[index] == Restart::Transient && well)
                    ),
                    Decision::Escalate => {
                        prop_assert_eq!(recent, restarts_max);
                        return Ok(());
                    }
                    Decision::Restart(affected) => {
                        prop_assert!(recent < restarts_max);
                        prop_assert!(affected.contains(&index));
                        restarted.push(now);
                        affected.for_each(|index| running[index] = false);
                    }
                }
                for (kind, starts) in restarts.iter().zip(&starts) {
                    prop_assert!(*kind != Restart::Temporary || *starts <= 1);
                }
                prop_assert!(!plan.is_done() || running.iter().all(|running| !running));
            }
        }
    }
}
