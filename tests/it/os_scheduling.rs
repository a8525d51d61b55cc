//! The scheduling of the pool's threads, as the operating system reports it.

use std::fs::read_to_string;
use std::sync::mpsc::{TryRecvError, sync_channel};
use std::time::Duration;

use futures::executor::block_on;
use isopod::{Limits, Options, OsScheduling, Outcome, Pool, Script};

use crate::process::until;

/// See sched(7).
const SCHED_OTHER: u32 = 0;
const SCHED_IDLE: u32 = 5;

/// A pool of two threads with this name: one has a worker that loops until it is ended, the other one that answers
/// immediately.
fn pool(name: &'static str, scheduling: OsScheduling) -> Pool {
    let pool = Pool::builder()
        .threads(2)
        .os_scheduling(scheduling)
        .thread_name(name)
        .build()
        .expect("a pool");
    let sources = [
        (
            "loops",
            "export const run = () => { for (;;); };
             export const search = () => [].includes.call({ length: 2 ** 53 - 1 }, 1);
             export const ready = () => 1;",
        ),
        ("quick", "export const ready = () => 1;"),
    ];
    for (script, source) in sources {
        let options = Options::default().workers_min(1).workers_max(1);
        let limits = Limits::default().cpu(Duration::from_millis(300));
        let built = Script::builder(script)
            .source(source)
            .limits(limits)
            .build()
            .expect("a script");
        pool.deploy(script, built, &options).expect("a pool that runs");
        block_on(pool.warm(script)).expect("a worker");
    }
    pool
}

/// The scheduling policies of this pool's two worker threads: field 41 of their `stat`, see proc(5).
fn policies(name: &str) -> Vec<u32> {
    let names = [format!("{name}-0"), format!("{name}-1")];
    let tasks = std::fs::read_dir("/proc/self/task").expect("threads");
    let policies: Vec<_> = tasks
        .filter_map(|task| {
            let task = task.ok()?.path();
            let comm = read_to_string(task.join("comm")).ok()?;
            names.iter().any(|name| *name == comm.trim_end()).then_some(task)
        })
        .filter_map(|task| {
            let stat = read_to_string(task.join("stat")).ok()?;
            // The second field is the name in parentheses, which may contain spaces.
            let after_name = stat.rsplit_once(") ")?.1;
            after_name.split(' ').nth(38)?.parse().ok()
        })
        .collect();
    assert_eq!(policies.len(), 2, "{names:?}");
    policies
}

/// Every pair of policies seen while one worker loops to its limit and the other is called repeatedly.
fn seen_beside_a_loop(pool: &Pool, name: &str) -> Vec<Vec<u32>> {
    std::thread::scope(|scope| {
        let (ended, end) = sync_channel(1);
        scope.spawn(move || ended.send(block_on(pool.call::<_, ()>("loops", "run", ()))));
        let mut seen = Vec::new();
        loop {
            let one: i32 = block_on(pool.call("quick", "ready", ())).expect("an answer");
            assert_eq!(one, 1);
            seen.push(policies(name));
            match end.try_recv() {
                Ok(result) => {
                    assert_eq!(result.map_err(|failure| failure.outcome), Err(Outcome::ExceededCpu));
                    return seen;
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => panic!("an endless loop that has no end"),
            }
        }
    })
}

/// Returns true if this process may raise a lowered priority: by `CAP_SYS_NICE`, capability 23, or by its limit.
fn may_raise() -> bool {
    let status = read_to_string("/proc/self/status").expect("a status");
    let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let capabilities = capabilities.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    let limits = read_to_string("/proc/self/limits").expect("limits");
    let nice = limits.lines().find_map(|line| line.strip_prefix("Max nice priority"));
    let nice = nice.and_then(|limits| limits.split_ascii_whitespace().next());
    let nice = nice.map_or(0, |nice| nice.parse().unwrap_or(u32::MAX));
    capabilities.is_some_and(|bits| bits & (1 << 23) != 0) || nice >= 20
}

#[test]
fn the_thread_of_a_long_turn_lets_others_go_first_until_the_turn_ends() {
    let name = "long-turn";
    let pool = pool(name, OsScheduling::Tuned);
    let seen = seen_beside_a_loop(&pool, name);
    let lowered = |policies: &Vec<u32>| policies.iter().filter(|policy| **policy == SCHED_IDLE).count();
    // Never the other worker's thread.
    assert!(seen.iter().all(|policies| lowered(policies) <= 1), "{seen:?}");
    assert_eq!(
        seen.iter().any(|policies| lowered(policies) == 1),
        may_raise(),
        "{seen:?}"
    );
    let ready: i32 = block_on(pool.call("loops", "ready", ())).expect("a worker after it");
    assert_eq!(ready, 1);
    until("its thread is as it was", || {
        (policies(name) == [SCHED_OTHER; 2]).then_some(())
    });
}

#[test]
fn a_stuck_thread_gets_the_lowest_priority() {
    let name = "lost-thread";
    let pool = pool(name, OsScheduling::Tuned);
    let search = block_on(pool.call::<_, bool>("loops", "search", ()));
    assert_eq!(search.map_err(|failure| failure.outcome), Err(Outcome::ExceededCpu));
    if may_raise() {
        let lowered = || policies(name).contains(&SCHED_IDLE).then_some(());
        until("its thread is lowered", lowered);
    }
}

#[test]
fn a_pool_that_leaves_threads_alone_lowers_none() {
    let name = "untouched";
    let pool = pool(name, OsScheduling::Untouched);
    let seen = seen_beside_a_loop(&pool, name);
    assert!(seen.iter().all(|policies| *policies == [SCHED_OTHER; 2]), "{seen:?}");
}
