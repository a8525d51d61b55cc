//! The times at which a worker's loop has work, and the timer for the nearest of them.

use std::future::Future as _;
use std::task::{Context, Poll};
use std::time::Instant;

use super::EventLoop;
use crate::engine::{Engine, Trim};
use crate::sync::clock;
use crate::time::after;

impl<E: Engine> EventLoop<'_, E> {
    /// Returns the time at which the worker becomes too old, until this was reported to the pool.
    pub(super) fn age_ends(&self) -> Option<Instant> {
        let age_max = self.assignment.version.limits.age_max.filter(|_| !self.aged);
        age_max.map(|age| after(self.ready_at, age))
    }

    /// Returns the resource that an idle worker releases next, and the time.
    pub(super) fn next_trim(&self) -> Option<(Trim, Instant)> {
        let settings = &self.shared.settings;
        let (next, idle) = match self.trimmed {
            _ if self.runs() => return None,
            None => (Trim::Memory, settings.trim_after),
            Some(Trim::Memory) => (Trim::Io, settings.io_idle_timeout),
            Some(Trim::Io) => return None,
        };
        Some((next, after(self.idle_since, idle)))
    }

    pub(super) fn idle_ends(&self) -> Option<Instant> {
        let timeout = self.shared.settings.idle_timeout.filter(|_| !self.runs());
        timeout.map(|timeout| after(self.idle_since, timeout))
    }

    /// Ready when a deadline has passed.
    pub(super) fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let now = clock::now();
            let age = self.age_ends();
            let deadline = self.slots().nearest_deadline();
            let nearest = [deadline, age, self.idle_ends(), self.next_trim().map(|(_, at)| at)]
                .into_iter()
                .flatten()
                .min();
            let Some(nearest) = nearest else { return Poll::Pending };
            if nearest <= now {
                return Poll::Ready(());
            }
            let (_, timer) = match &mut self.timer {
                Some(armed) if armed.0 <= nearest && armed.0 > now => armed,
                Some(armed) => {
                    armed.0 = nearest;
                    clock::reset(armed.1.as_mut(), nearest);
                    armed
                }
                none => none.insert((nearest, Box::pin(clock::sleep_until(nearest)))),
            };
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.timer = None;
        }
    }
}
