//! Eviction of idle objects, and alarms.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use isopod_outcome::{Failure, Outcome};
#[cfg(doc)]
use isopod_runtime::objects::ObjectClass;
use isopod_runtime::objects::{AlarmResult, DueAlarm, ObjectAlarm, ObjectEviction, entry_point};

use super::super::engine::ScriptEngine;
use super::live::{Found, Live, Stage};
use super::{Alarms, Objects, WeakObjects};
use crate::Meta;

/// Polling interval for changes without a notification: idle objects, workers that must end, alarms set by another process.
const LOOK: Duration = Duration::from_secs(1);
/// Maximum number of concurrent alarms of a class.
const ALARMS_MAX: usize = 100;
/// Maximum number of retries of an alarm: <https://developers.cloudflare.com/durable-objects/api/alarms/>.
const RETRIES: u32 = 6;
/// Delay of the first retry, doubled for each further one.
const RETRY_DELAY: Duration = Duration::from_secs(2);
/// Delay of an alarm that did not reach its object, because the object runs elsewhere or the pool is full. Not a retry.
const UNREACHED_DELAY: Duration = Duration::from_secs(2);

impl<E: ScriptEngine> Objects<E> {
    /// Evicts idle objects ([`ObjectClass::idle`]) and fires alarms, until the pool ends. Needs the timers of a Tokio
    /// runtime. If it does not run, objects live as long as their workers, and alarms do not fire.
    pub async fn run(self) {
        let changed = Arc::clone(&self.0.changed);
        let objects = WeakObjects(Arc::downgrade(&self.0));
        drop(self);
        let mut work = FuturesUnordered::<BoxFuture<'static, Done>>::new();
        let mut busy = HashSet::new();
        let mut looked = Instant::now();
        loop {
            let Some(strong) = objects.upgrade() else { return };
            strong.0.sweep();
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                strong.evictions(&mut work);
            }
            let next = strong.alarms(&mut work, &mut busy).await;
            drop(strong);
            let pause = next.map_or(LOOK, |next| next.min(LOOK));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = changed.notified() => {}
                Some(done) = work.next(), if !work.is_empty() => {
                    if let Done::Alarm(id) = done {
                        busy.remove(&id);
                    }
                }
            }
        }
    }

    /// Asks objects to end that are idle, or whose worker must end.
    fn evictions(&self, work: &mut FuturesUnordered<BoxFuture<'static, Done>>) {
        let now = Instant::now();
        let is_over = |live: &Live| live.must_go() || live.is_idle(now);
        let leaving: Vec<_> = {
            let all = self.0.live();
            all.values()
                .filter(|live| is_over(live) && live.enter(Stage::Leaving))
                .cloned()
                .collect()
        };
        for live in leaving {
            work.push(evict(live).boxed());
        }
    }

    /// Starts the alarms that are due. Returns the time until the next one.
    async fn alarms(
        &self,
        work: &mut FuturesUnordered<BoxFuture<'static, Done>>,
        busy: &mut HashSet<Arc<str>>,
    ) -> Option<Duration> {
        let classes: Vec<Alarms> = {
            let all = self.0.alarms.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            all.values().cloned().collect()
        };
        let mut next: Option<i64> = None;
        for alarms in classes {
            let now = now_ms();
            let (due, later) = match alarms.store.due(now, ALARMS_MAX).await {
                Ok(found) => found,
                Err(error) => {
                    tracing::warn!(target: "isopod::storage", class = &*alarms.class.class, "cannot read alarms: {error}");
                    continue;
                }
            };
            next = next.into_iter().chain(later.map(|at| at.saturating_sub(now))).min();
            for alarm in due {
                let key: Arc<str> = format!("{}{}", alarms.class.script, entry_point(&alarms.class, &alarm.id)).into();
                if busy.len() < ALARMS_MAX && busy.insert(Arc::clone(&key)) {
                    let (objects, alarms) = (self.clone(), alarms.clone());
                    work.push(async move { objects.fire(&alarms, alarm, key).await }.boxed());
                }
            }
        }
        next.map(|ms| Duration::from_millis(ms.max(0).unsigned_abs()))
    }

    async fn fire(self, alarms: &Alarms, alarm: DueAlarm, key: Arc<str>) -> Done {
        let fired = async {
            let Found::Here(live) = self.0.find(&alarms.class, &alarm.id, true).await? else {
                return Err(Failure::new(Outcome::WorkerLost, "another process has it"));
            };
            let input = ObjectAlarm {
                entry_point: entry_point(&alarms.class, &alarm.id),
                retry_count: alarm.tries,
                is_last: alarm.tries >= RETRIES,
            };
            live.handle::<_, AlarmResult>(input, Meta::default()).await
        };
        let fired = fired.await;
        drop(self);
        let stored = match Verdict::of(fired.as_ref(), alarm.tries) {
            Verdict::Done => alarms.store.done(&alarm).await,
            Verdict::Again(delay) => {
                let due = now_ms().saturating_add(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX));
                alarms.store.failed(&alarm, due).await
            }
            Verdict::Unreached => {
                tokio::time::sleep(UNREACHED_DELAY).await;
                Ok(())
            }
        };
        if let Err(error) = stored {
            tracing::warn!(target: "isopod::storage", object = %alarm.id, "cannot store what became of an alarm: {error}");
        }
        Done::Alarm(key)
    }
}

/// Asks an object to end.
async fn evict(live: Arc<Live>) -> Done {
    let eviction = ObjectEviction {
        entry_point: live.key.1.to_string(),
    };
    let evicted = live.handle::<_, bool>(eviction, Meta::default()).await;
    if !matches!(evicted, Ok(true)) {
        live.touch();
        live.enter(Stage::Open);
    }
    Done::Eviction
}

/// Completed work.
enum Done {
    Eviction,
    /// With the key of its object.
    Alarm(Arc<str>),
}

/// The decision about an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Done,
    Again(Duration),
    /// The alarm did not reach its object.
    Unreached,
}

impl Verdict {
    /// Decides about an alarm after an attempt, given the number of earlier failures.
    fn of(fired: Result<&AlarmResult, &Failure>, tries: u32) -> Self {
        match fired {
            Ok(AlarmResult::Done) => Self::Done,
            Ok(AlarmResult::Failed) => Self::again(tries),
            Err(failure) => match failure.outcome {
                Outcome::Exception | Outcome::ExceededCpu | Outcome::ExceededMemory | Outcome::ExceededWall => {
                    Self::again(tries)
                }
                _ => Self::Unreached,
            },
        }
    }

    fn again(tries: u32) -> Self {
        match tries >= RETRIES {
            true => Self::Done,
            false => Self::Again(RETRY_DELAY.saturating_mul(1 << tries)),
        }
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_is_retried_six_times_with_backoff() {
        let delays: Vec<_> = (0..=RETRIES)
            .map(|tries| Verdict::of(Ok(&AlarmResult::Failed), tries))
            .collect();
        let expected = [2, 4, 8, 16, 32, 64].map(|seconds| Verdict::Again(Duration::from_secs(seconds)));
        assert_eq!(delays[..6], expected);
        assert_eq!(delays[6], Verdict::Done);
    }

    #[test]
    fn an_alarm_that_did_not_reach_its_object_is_not_counted() {
        let refused = Failure::new(Outcome::WorkerLost, "it runs elsewhere");
        assert_eq!(Verdict::of(Err(&refused), 6), Verdict::Unreached);
        let threw = Failure::new(Outcome::ExceededCpu, "too long");
        assert_eq!(Verdict::of(Err(&threw), 0), Verdict::Again(RETRY_DELAY));
    }
}
