//! Requirements of every hostile scenario: other workers keep answering, each event has exactly one outcome, which its
//! response names, the process survives and releases its resources.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::client::Answer;
use crate::process::{Footprint, eventually, until, within};
use crate::program::Serving;
use crate::project::fixture;

/// Time for threads and descriptors to return to the baseline.
pub(crate) const RECOVERY: Duration = Duration::from_secs(30);

/// A server with a hostile worker and a well-behaved one.
pub(crate) struct Arena {
    pub(crate) server: Serving,
    before: Footprint,
    /// Number of requests, each of which is one event.
    asked: AtomicU64,
}

impl Arena {
    /// Serves the fixture `hostile`.
    pub(crate) fn start() -> Self {
        Self::of(fixture("hostile"))
    }

    /// Serves a project with the same workers.
    pub(crate) fn of(project: impl AsRef<Path>) -> Self {
        let server = Serving::start(project);
        let asked = AtomicU64::new(0);
        let get = |path| {
            asked.fetch_add(1, Ordering::SeqCst);
            assert_eq!(server.get(path).verdict(), (200, "ok"));
        };
        // Every thread has a worker at the baseline, so that growth comes from misbehavior. This many requests at once
        // are enough for a worker to be placed on the remaining thread.
        ["/fresh", "/fine", "/beside"].into_iter().for_each(get);
        until("every thread has a worker", || {
            std::thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(|| get("/patient/slow")))));
            (server.metric_over_all("isopod_workers") == 4).then_some(())
        });
        let before = Footprint::at_rest(server.pid());
        Self { server, before, asked }
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.server.get(path)
    }

    /// Counts requests that were sent in another way.
    pub(crate) fn sent(&self, requests: u64) {
        self.asked.fetch_add(requests, Ordering::SeqCst);
    }

    /// Runs misbehaviors concurrently while probing the other worker, which must answer every probe. Each response must
    /// name its outcome.
    #[track_caller]
    pub(crate) fn commit(&self, misdeeds: &[&str]) -> Vec<Answer> {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            // At least one each: a misbehavior may end before they start.
            let probe = || self.probe_until(|answered| answered > 0 && done.load(Ordering::SeqCst));
            let probes = [(); 2].map(|()| scope.spawn(probe));
            let asked: Vec<_> = misdeeds.iter().map(|path| scope.spawn(|| self.get(path))).collect();
            let answers: Vec<_> = asked.into_iter().map(|asked| asked.join()).collect();
            done.store(true, Ordering::SeqCst);
            for probe in probes {
                probe.join().expect("probes that are all answered");
            }
            answers
                .into_iter()
                .map(|answer| answer.expect("an answer"))
                .inspect(|answer| assert!(answer.header("x-isopod-outcome").is_some(), "{answer:?}"))
                .collect()
        })
    }

    /// The latency of this many probes by each of two clients, while a deed is repeated.
    pub(crate) fn probe_beside(&self, probes: usize, deed: &str) -> Vec<Duration> {
        let left = AtomicUsize::new(2);
        std::thread::scope(|scope| {
            let probe = || {
                let times = self.probe_until(|answered| answered == probes);
                left.fetch_sub(1, Ordering::SeqCst);
                times
            };
            let probes = [(); 2].map(|()| scope.spawn(probe));
            while left.load(Ordering::SeqCst) > 0 {
                assert!(self.get(deed).header("x-isopod-outcome").is_some(), "{deed}");
            }
            probes
                .map(|probe| probe.join().expect("probes that are all answered"))
                .concat()
        })
    }

    /// Probes the other worker repeatedly; returns each latency.
    fn probe_until(&self, done: impl Fn(usize) -> bool) -> Vec<Duration> {
        let (mut connection, mut times) = (self.server.connect(), Vec::new());
        while !done(times.len()) {
            let start = Instant::now();
            let answer = connection.get("/beside").expect("an answer to a probe");
            assert_eq!(answer.verdict(), (200, "ok"));
            self.asked.fetch_add(1, Ordering::SeqCst);
            times.push(start.elapsed());
        }
        times
    }

    /// Checks that the hostile script answers again, every event has an outcome, and resources are released.
    #[track_caller]
    pub(crate) fn recovers(mut self) {
        assert_eq!(self.get("/fine").body, "fine");
        assert!(self.server.lives());
        within(RECOVERY, "each event ends in exactly one outcome", || {
            let ended = self.server.metric_over_all("isopod_events_total");
            let asked = self.asked.load(Ordering::SeqCst);
            assert!(ended <= asked, "{ended} outcomes of {asked} events");
            (ended == asked && self.server.metric_over_all("isopod_events_in_flight") == 0).then_some(())
        });
        let (before, pid) = (self.before, self.server.pid());
        let is_back = |now: Footprint| now.threads <= before.threads && now.descriptors <= before.descriptors;
        let mut now = before;
        let back = eventually(RECOVERY, || {
            now = Footprint::of(pid);
            is_back(now).then_some(())
        });
        assert!(back.is_some(), "{now:?} after {RECOVERY:?}, and {before:?} before");
    }
}

/// Runs these misbehaviors, checks that each has this outcome, and checks recovery.
#[track_caller]
pub(crate) fn all_end_as(misdeeds: &[&str], verdict: (u16, &str)) {
    let arena = Arena::start();
    for (misdeed, answer) in misdeeds.iter().zip(arena.commit(misdeeds)) {
        assert_eq!(answer.verdict(), verdict, "{misdeed}: {}", answer.body);
    }
    arena.recovers();
}

/// Runs a misbehavior that the script survives, and checks recovery. Returns its response.
#[track_caller]
pub(crate) fn answer_to(misdeed: &str) -> String {
    let arena = Arena::start();
    let answer = arena.commit(&[misdeed]).remove(0);
    assert_eq!(answer.verdict(), (200, "ok"), "{}", answer.body);
    arena.recovers();
    answer.body
}
