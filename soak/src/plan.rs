//! The sequence of actions. It is determined by its seed, independent of the server's responses.

use std::fmt;
use std::time::Duration;

use crate::random::Random;

/// A request to a good worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Good {
    Hello,
    /// JSON in both directions, with this many numbers.
    Echo(u64),
    /// An echoed body of this many kilobytes.
    Back(u64),
    /// A streamed body of this many kilobytes.
    Stream(u64),
    Sql,
    Timers(u64),
    /// A response, and work after it.
    Later,
    /// Subrequests.
    Relay,
    /// In an isolate of its own.
    Fresh,
    /// To the last deployed version.
    Deployed,
    /// Several in a row to one of the plain workers.
    Plain(u64),
}

/// Isolates of misbehaviors: shared or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Company {
    Alone,
    Crowd,
}

/// The moment when a client disconnects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    AtOnce,
    BeforeAnswer,
    InAnswer,
    InRequest,
}

/// Requests that the server itself rejects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    NoRoute,
    GiantHead,
    GiantBody,
}

/// An action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Good(Good),
    /// A misbehavior of the hostile script.
    Misdeed(&'static str, Company),
    /// This many concurrent requests to a worker with little capacity.
    Burst(u64),
    /// Reads a body of this many kilobytes slowly.
    SlowReader(u64),
    /// Sends a body slowly in this many pieces.
    SlowWriter(u64),
    Leave(Leave),
    /// Sends this much of a request's head, and nothing more.
    Stall(u64),
    Refused(Refusal),
    Deploy,
    /// Deploys a version that cannot start, then one that can.
    DeployBroken,
    LoseThread,
}

/// An action, and the delay before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) gap: Duration,
    pub(crate) action: Action,
    /// A unique number, for actions that need a name.
    pub(crate) number: u64,
    /// True to use a new connection.
    pub(crate) anew: bool,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            gap,
            action,
            number,
            anew,
        } = self;
        let connection = if *anew { ", on a new connection" } else { "" };
        write!(f, "{number}: after {gap:?} {action:?}{connection}")
    }
}

/// The composition of the sequence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mix {
    /// Actions per second, on average.
    pub(crate) rate: u32,
    pub(crate) lose_threads: bool,
    /// Number of plain workers beside those of the project.
    pub(crate) plain: u64,
}

/// The hostile script's paths that use CPU time up to the limit, and those that cost little.
pub(crate) const BURNERS: [&str; 8] = [
    "/loop",
    "/microtasks",
    "/sort",
    "/proxy",
    "/to-json",
    "/regexp",
    "/heap-large",
    "/heap-small",
];
pub(crate) const NUISANCES: [&str; 6] = ["/wasm-memory", "/recursion", "/never", "/late", "/trap", "/deno"];

/// Shares, in thousandths, of everything except good requests.
const SHARES: [(u64, Kind); 11] = [
    (8, Kind::Burner),
    (22, Kind::Nuisance),
    (3, Kind::Burst),
    (10, Kind::SlowReader),
    (10, Kind::SlowWriter),
    (40, Kind::Leave),
    (10, Kind::Stall),
    (20, Kind::Refused),
    (2, Kind::Deploy),
    (1, Kind::DeployBroken),
    (1, Kind::LoseThread),
];

#[derive(Clone, Copy)]
enum Kind {
    Burner,
    Nuisance,
    Burst,
    SlowReader,
    SlowWriter,
    Leave,
    Stall,
    Refused,
    Deploy,
    DeployBroken,
    LoseThread,
}

/// The sequence of a seed, which is infinite.
#[derive(Debug)]
pub(crate) struct Plan {
    random: Random,
    mix: Mix,
    number: u64,
    only_good: bool,
}

impl Plan {
    pub(crate) const fn new(seed: u64, mix: Mix) -> Self {
        Self {
            random: Random::new(seed),
            mix,
            number: 0,
            only_good: false,
        }
    }

    /// Good requests only, at the same rate.
    pub(crate) const fn of_good(seed: u64, mix: Mix) -> Self {
        Self {
            random: Random::new(!seed),
            mix,
            number: 1 << 32,
            only_good: true,
        }
    }

    fn action(&mut self) -> Action {
        let mut share = self.random.below(1000);
        // Drawn in any case, so that leaving actions out does not change the others.
        let good = self.good();
        if self.only_good {
            return Action::Good(good);
        }
        for (part, kind) in SHARES {
            if share < part {
                return self.other(kind).unwrap_or(Action::Good(good));
            }
            share -= part;
        }
        Action::Good(good)
    }

    const fn good(&mut self) -> Good {
        match self.random.below(20) {
            0..4 if self.mix.plain > 0 => Good::Plain(self.random.below(self.mix.plain)),
            0..4 => Good::Hello,
            4..7 => Good::Echo(self.random.between(1, 200)),
            7..9 => Good::Back(self.random.between(1, 200)),
            9..11 => Good::Stream(self.random.between(1, 200)),
            11..14 => Good::Sql,
            14 => Good::Timers(self.random.between(1, 50)),
            15 => Good::Later,
            16..18 => Good::Relay,
            18 => Good::Fresh,
            _ => Good::Deployed,
        }
    }

    fn other(&mut self, kind: Kind) -> Option<Action> {
        let random = &mut self.random;
        Some(match kind {
            Kind::Burner => Action::Misdeed(random.one_of(&BURNERS), company(random)),
            Kind::Nuisance => Action::Misdeed(random.one_of(&NUISANCES), company(random)),
            Kind::Burst => Action::Burst(random.between(32, 192)),
            Kind::SlowReader => Action::SlowReader(random.between(500, 3000)),
            Kind::SlowWriter => Action::SlowWriter(random.between(5, 40)),
            Kind::Leave => {
                Action::Leave(random.one_of(&[Leave::AtOnce, Leave::BeforeAnswer, Leave::InAnswer, Leave::InRequest]))
            }
            Kind::Stall => Action::Stall(random.between(0, 40)),
            Kind::Refused => {
                Action::Refused(random.one_of(&[Refusal::NoRoute, Refusal::GiantHead, Refusal::GiantBody]))
            }
            Kind::Deploy => Action::Deploy,
            Kind::DeployBroken => Action::DeployBroken,
            Kind::LoseThread => return self.mix.lose_threads.then_some(Action::LoseThread),
        })
    }
}

fn company(random: &mut Random) -> Company {
    random.one_of(&[Company::Alone, Company::Crowd])
}

impl Iterator for Plan {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let action = self.action();
        let mean_us = 1_000_000 / u64::from(self.mix.rate);
        self.number += 1;
        Some(Step {
            gap: Duration::from_micros(self.random.below(2 * mean_us + 1)),
            action,
            number: self.number,
            anew: self.random.below(4) == 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const MIX: Mix = Mix {
        rate: 100,
        lose_threads: true,
        plain: 0,
    };

    fn steps(seed: u64, mix: Mix) -> Vec<Step> {
        Plan::new(seed, mix).take(20_000).collect()
    }

    #[test]
    fn a_seed_determines_the_actions() {
        assert_eq!(steps(7, MIX), steps(7, MIX));
        assert_ne!(steps(7, MIX), steps(8, MIX));
    }

    #[test]
    fn every_kind_of_action_comes_at_its_rate() {
        let steps = steps(7, MIX);
        let name = |action: &Action| {
            let text = format!("{action:?}");
            let end = text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len());
            text[..end].to_owned()
        };
        let seen: BTreeSet<_> = steps.iter().map(|step| name(&step.action)).collect();
        // Ten kinds of good requests, each misbehavior with and without a shared isolate, four ways to disconnect,
        // three rejections, seven others.
        assert_eq!(
            seen.len(),
            10 + 2 * (BURNERS.len() + NUISANCES.len()) + 4 + 3 + 7,
            "{seen:?}"
        );
        let lasted: Duration = steps.iter().map(|step| step.gap).sum();
        assert!((190..=210).contains(&lasted.as_secs()), "{lasted:?}");
    }

    #[test]
    fn omitted_settings_change_nothing_else() {
        let without = Mix {
            lose_threads: false,
            ..MIX
        };
        for (with, without) in steps(7, MIX).into_iter().zip(steps(7, without)) {
            if with.action == Action::LoseThread {
                assert!(matches!(without.action, Action::Good(_)));
            } else {
                assert_eq!(with, without);
            }
        }
    }
}
