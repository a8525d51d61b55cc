//! Properties of the pure placement function, for any state of the threads.

use std::time::Duration;

use isopod_pool::placement::{Grow, Placement, Seat, ThreadView, View, place};
use proptest::prelude::*;

fn thread() -> impl Strategy<Value = ThreadView> {
    prop_oneof![
        Just(ThreadView::Vacant),
        (0..6usize, 0..3usize).prop_map(|(in_flight, sessions)| ThreadView::Warm { in_flight, sessions }),
        Just(ThreadView::Coming),
        (0..200u64, any::<bool>()).prop_map(|(ms, kept)| ThreadView::Idle {
            idle_for: Duration::from_millis(ms),
            kept
        }),
        Just(ThreadView::Taken),
    ]
}

prop_compose! {
    fn case()(
        threads in prop::collection::vec(thread(), 0..6),
        more in 0..3usize, concurrency in 1..6usize, spread in 1..6usize, workers_max in 1..8usize,
        queued in 0..6usize, queue_len_max in 1..6usize, may_boot: bool,
    ) -> (Vec<ThreadView>, View<'static>) {
        let view = View {
            threads: &[], threads_max: threads.len() + more, concurrency, spread_at: spread.min(concurrency), workers_max,
            queued, queue_len_max, may_boot, displace_after: Duration::from_millis(100),
        };
        (threads, view)
    }
}

/// Returns the events and sessions of the least loaded warm worker with room.
fn least(view: &View<'_>) -> Option<(usize, usize)> {
    let loads = view.threads.iter().filter_map(|thread| match *thread {
        ThreadView::Warm { in_flight, sessions } if in_flight < view.concurrency => Some((in_flight, sessions)),
        _ => None,
    });
    loads.min()
}

fn own(view: &View<'_>) -> usize {
    view.threads
        .iter()
        .filter(|thread| matches!(thread, ThreadView::Warm { .. } | ThreadView::Coming))
        .count()
}

fn check(view: &View<'_>, Placement { seat, grow }: Placement) -> Result<(), TestCaseError> {
    match (seat, least(view)) {
        (Seat::Worker(index), Some((in_flight, sessions))) => {
            prop_assert_eq!(view.threads[index], ThreadView::Warm { in_flight, sessions });
        }
        (Seat::Queue, None) => prop_assert!(view.queued < view.queue_len_max),
        (Seat::Shed, None) => prop_assert!(view.queued >= view.queue_len_max),
        (seat, least) => prop_assert!(false, "{:?} with {:?}", seat, least),
    }
    let vacant = view.threads.contains(&ThreadView::Vacant);
    match grow {
        Grow::Keep => {}
        Grow::Vacant(index) => prop_assert_eq!(view.threads[index], ThreadView::Vacant),
        Grow::Displace(index) => {
            let ThreadView::Idle { idle_for, kept } = view.threads[index] else {
                return Err(TestCaseError::fail("displaces what is not idle"));
            };
            prop_assert!(!vacant, "displaces although a thread is vacant");
            prop_assert!(
                view.threads.len() >= view.threads_max,
                "displaces although another thread may be added"
            );
            prop_assert!(own(view) == 0 || (!kept && idle_for >= view.displace_after));
        }
        Grow::NewThread => prop_assert!(!vacant && view.threads.len() < view.threads_max),
    }
    if grow != Grow::Keep {
        prop_assert!(view.may_boot && own(view) < view.workers_max);
        prop_assert!(
            least(view).is_none_or(|(load, _)| load >= view.spread_at),
            "grows while a worker is calm"
        );
    } else if own(view) == 0 && view.may_boot && view.queued == 0 {
        let idle = view
            .threads
            .iter()
            .any(|thread| matches!(thread, ThreadView::Idle { .. }));
        prop_assert!(
            !vacant && !idle && view.threads.len() >= view.threads_max,
            "a script without a worker is left so"
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn events_go_to_the_least_loaded_worker((threads, view) in case()) {
        let view = View { threads: &threads, ..view };
        check(&view, place(&view))?;
    }
}

#[test]
fn a_busy_script_takes_the_thread_that_has_been_idle_longest() {
    let idle = |ms| ThreadView::Idle {
        idle_for: Duration::from_millis(ms),
        kept: false,
    };
    let busy = ThreadView::Warm {
        in_flight: 4,
        sessions: 0,
    };
    let threads = [busy, idle(150), idle(300), idle(50)];
    let view = View {
        threads: &threads,
        threads_max: 4,
        concurrency: 64,
        spread_at: 4,
        workers_max: 4,
        queued: 0,
        queue_len_max: 8,
        may_boot: true,
        displace_after: Duration::from_millis(100),
    };
    assert_eq!(
        place(&view),
        Placement {
            seat: Seat::Worker(0),
            grow: Grow::Displace(2)
        }
    );
}
