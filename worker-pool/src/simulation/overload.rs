//! Pools under more load than their capacity.

use crate::options::{Options, Priority};
use crate::simulation::{Load, MS, Simulation};
use std::time::Duration;

fn one_at_a_time() -> Options {
    Options::default().concurrency(1)
}

const MINUTE: Duration = Duration::from_secs(60);

// row 39
#[test]
fn a_minute_of_tenfold_overload_keeps_the_goodput() {
    // Two workers with 5 ms per event: 400 events per second.
    let fates = Simulation::new(2, &[("s", one_at_a_time())], &[Load::new("s", 4000, 5 * MS)]).play(MINUTE);
    let fate = &fates[0];
    assert!(fate.good >= 400 * 60 * 9 / 10, "{fate:?}");
    assert_eq!(fate.late, 0, "{fate:?}");
    // After the first moments, the excess is refused at dispatch.
    assert!(fate.shed <= fate.refused / 20, "{fate:?}");
}

// row 40
#[test]
fn only_the_noisy_script_is_refused() {
    let quiet = ["q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7"];
    let mut scripts = vec![("noisy", one_at_a_time())];
    scripts.extend(quiet.map(|name| (name, one_at_a_time())));
    let mut loads = vec![Load::new("noisy", 8000, 5 * MS)];
    loads.extend(quiet.map(|name| Load::new(name, 5, 5 * MS)));
    let fates = Simulation::new(4, &scripts, &loads).play(MINUTE / 4);
    assert!(fates[0].refused > fates[0].asked / 2, "{:?}", fates[0]);
    for fate in &fates[1..] {
        assert_eq!(
            (fate.good, fate.refused + fate.shed + fate.late),
            (fate.asked, 0),
            "{fate:?}"
        );
        assert!(fate.slowest <= 300 * MS, "{fate:?}");
    }
    // The busy script gets the threads that the others leave, except for their idle workers, which are kept for a moment.
    assert!(fates[0].good >= 800 * 15 / 3, "{:?}", fates[0]);
}

#[test]
fn scripts_that_want_everything_get_threads_by_their_weight() {
    let heavy = one_at_a_time().weight(3);
    let loads = [Load::new("light", 8000, 5 * MS), Load::new("heavy", 8000, 5 * MS)];
    let fates = Simulation::new(8, &[("light", one_at_a_time()), ("heavy", heavy)], &loads).play(MINUTE / 4);
    let (light, heavy) = (fates[0].good, fates[1].good);
    assert!(light + heavy >= 8 * 200 * 15 * 9 / 10, "{fates:?}");
    assert!(heavy >= light * 5 / 2 && heavy <= light * 7 / 2, "{fates:?}");
}

#[test]
fn high_priority_is_served_and_low_priority_shed_first() {
    let load = |a_second, priority| Load {
        priority,
        ..Load::new("s", a_second, 5 * MS)
    };
    let loads = [
        load(100, Priority::High),
        load(250, Priority::Normal),
        load(2000, Priority::Low),
    ];
    let fates = Simulation::new(2, &[("s", one_at_a_time())], &loads).play(MINUTE);
    let [high, normal, low] = &fates[..] else {
        unreachable!()
    };
    assert_eq!((high.good, high.refused + high.shed), (high.asked, 0), "{fates:?}");
    assert!(high.slowest <= 200 * MS, "{fates:?}");
    assert!(normal.good >= normal.asked * 9 / 10, "{fates:?}");
    assert!(low.refused + low.shed > low.asked * 8 / 10 && low.good > 0, "{fates:?}");
}

#[test]
fn a_short_queue_is_never_overloaded() {
    // Two workers with 1 s per event and never more than a dozen queued: they wait for seconds, and are served.
    let fates = Simulation::new(
        2,
        &[("s", one_at_a_time())],
        &[Load::new("s", 1, Duration::from_secs(1))],
    )
    .play(MINUTE);
    assert_eq!((fates[0].refused, fates[0].shed), (0, 0), "{fates:?}");
}
