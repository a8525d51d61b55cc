//! Lost cells: which events fail, and which resources are released.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::executor::block_on;
use futures::future::join_all;
use isopod::{Arguments, Body, Failure, Limits, Meta, NativeFunction, Options, Outcome, Pool, Script};

use crate::pools::{TestPool, cells, one_thread, pool_of};
use crate::process::until;

/// Returns the child processes, all of which are cells.
fn children() -> Vec<u32> {
    let own = std::fs::read_dir("/proc/self/task").expect("a list of threads");
    let of_thread = own.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("children")).ok());
    let pids: Vec<u32> = of_thread
        .flat_map(|list| {
            list.split_whitespace()
                .map(|pid| pid.parse().expect("a number"))
                .collect::<Vec<_>>()
        })
        .collect();
    pids
}

fn signal(pid: u32, name: &str) {
    // It may have ended meanwhile.
    drop(
        std::process::Command::new("kill")
            .args(["-s", name, &pid.to_string()])
            .output(),
    );
}

/// `wait` never ends, and `waits` says whether it has begun.
const WAITING: &str = "let isWaiting = false; export const waits = () => isWaiting; export const fine = () => 1;
    export const wait = () => { isWaiting = true; return new Promise((done) => setTimeout(done, 60_000)); };";

fn call<R: isopod::FromScript>(pool: &TestPool, function: &str) -> Result<R, Failure> {
    block_on(pool.call("s", function, ()))
}

fn limited(source: &str, limits: Limits) -> TestPool {
    let pool = one_thread()
        .lost_grace(Duration::from_millis(200))
        .build()
        .expect("a pool");
    let script = Script::builder("s")
        .source(source)
        .limits(limits)
        .build()
        .expect("a script");
    pool.deploy("s", script, &Options::default()).expect("deployed");
    pool
}

#[test]
fn a_worker_whose_start_computes_for_long_gets_events() {
    let source = "const sums = []; for (let at = 0; at < 3e6; at++) sums[at % 100] = `${at}`; \
                  const until = Date.now() + 200; while (Date.now() < until); export const fine = () => 1;";
    let pool = limited(source, Limits::default());
    assert_eq!(call::<u8>(&pool, "fine").expect("an answer"), 1);
}

// row 50
#[test]
fn uninterruptible_code_costs_its_cell_and_no_thread() {
    let source =
        "export const search = () => [].includes.call({ length: 2 ** 53 - 1 }, 1); export const fine = () => 1;";
    let pool = limited(source, Limits::default().cpu(Duration::from_millis(100)));
    for _ in 0..2 {
        let failure = call::<bool>(&pool, "search").expect_err("it never ends");
        assert_eq!(failure.outcome, Outcome::ExceededCpu, "{failure}");
        let begun = Instant::now();
        assert_eq!(call::<u32>(&pool, "fine").expect("the replacement"), 1);
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
    let threads = pool.stats().threads;
    assert_eq!((threads.lost, threads.stuck), (0, 0));
}

#[test]
fn events_behind_endless_code_go_to_the_next_cell() {
    let source = "export const spin = () => { for (;;); };
        export const search = () => [].includes.call({ length: 2 ** 53 - 1 }, 1);
        export const read = async (prefix, body, upper) => prefix + await upper(await new Response(body).text());";
    let pool = limited(source, Limits::default().cpu(Duration::from_millis(100)));
    let arguments = |prefix: &str| {
        let upper = NativeFunction::new(|(text,): (String,)| async move { Ok(text.to_uppercase()) });
        // Longer than a body that is sent with its event.
        let body = Body::from("body ".repeat(100_000));
        Arguments::new().value(prefix.to_owned()).stream(body).function(upper)
    };
    for deed in ["spin", "search"] {
        let answer = block_on(pool.call::<_, String>("s", "read", arguments(deed))).expect("it is warm");
        assert_eq!(answer.len(), deed.len() + 500_000);
        let lost = pool.call::<_, ()>("s", deed, ());
        // Concurrent, so that they are in the cell's mailbox when it begins the first.
        let behind = join_all((0..8).map(|n| pool.call::<_, String>("s", "read", arguments(&format!("{n} ")))));
        let (lost, behind) = block_on(async { futures::join!(lost, behind) });
        assert_eq!(lost.expect_err("it is endless").outcome, Outcome::ExceededCpu);
        for (n, answer) in behind.into_iter().enumerate() {
            let answer = answer.unwrap_or_else(|failure| panic!("{deed}, {n}: {failure}"));
            assert!(
                answer.starts_with(&format!("{n} BODY ")) && answer.len() == 500_002,
                "{deed}"
            );
        }
    }
}

// row 50
#[test]
fn uncounted_memory_ends_only_the_cell() {
    let source = "export const spread = () => [...'.'.repeat(2 ** 28)].length;
        export const power = () => String(2n ** (2n ** 30n)).length;
        export const fine = () => 1;";
    let limits = Limits::default().memory_bytes(64 << 20).cpu(Duration::from_secs(2));
    let pool = limited(source, limits);
    for deed in ["spread", "power"] {
        let failure = call::<u64>(&pool, deed).expect_err("there is no room");
        let allowed = [
            Outcome::ExceededMemory,
            Outcome::ExceededCpu,
            Outcome::WorkerLost,
            Outcome::Exception,
        ];
        assert!(allowed.contains(&failure.outcome), "{deed}: {failure}");
        until("the replacement answers", || call::<u32>(&pool, "fine").ok());
    }
}

// row 51
#[test]
fn an_event_whose_process_is_killed_is_lost_and_the_next_is_answered() {
    let pool = pool_of(WAITING, vec![]);
    for _ in 0..3 {
        assert_eq!(call::<u32>(&pool, "fine").expect("an answer"), 1);
        let waiting = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| call::<()>(&pool, "wait"));
            until("the event has begun", || {
                call::<bool>(&pool, "waits").expect("an answer").then_some(())
            });
            children().into_iter().for_each(|pid| signal(pid, "KILL"));
            waiting.join().expect("an end")
        });
        let failure = waiting.expect_err("its process is gone");
        assert_eq!(failure.outcome, Outcome::WorkerLost, "{failure}");
        assert!(failure.message.contains("signal: 9"), "{failure}");
        let begun = Instant::now();
        assert_eq!(call::<u32>(&pool, "fine").expect("the replacement"), 1);
        eprintln!("replaced after {:?}", begun.elapsed());
    }
}

/// Runs each event once: those that had not begun when their process was killed run in the next one.
// row 51
#[test]
fn events_that_a_killed_process_has_not_begun_are_answered_by_the_next() {
    let begun = Arc::new(Mutex::new(Vec::<String>::new()));
    let notes = Arc::clone(&begun);
    let note = NativeFunction::new(move |(name,): (String,)| {
        notes.lock().expect("no panic").push(name);
        async { Ok(()) }
    });
    let source = "export const wait = async (name, note) => { await note(name); await new Promise(() => setTimeout(() => {}, 60_000)); };
        export const read = async (name, note, body, upper) => {
            await note(name);
            return name + await upper(await new Response(body).text());
        };
        export const fine = () => 1;";
    let pool = pool_of(source, vec![]);
    for round in 0..4 {
        assert_eq!(call::<u32>(&pool, "fine").expect("an answer"), 1);
        let own = children();
        let name = |event: &str| format!("{round} {event}");
        let read = |event: &str| {
            let upper = NativeFunction::new(|(text,): (String,)| async move { Ok(text.to_uppercase()) });
            // Longer than a body that is sent with its event.
            let body = Body::from("body ".repeat(100_000));
            let arguments = Arguments::new().value(name(event)).function(note.clone());
            block_on(pool.call::<_, String>("s", "read", arguments.stream(body).function(upper)))
        };
        std::thread::scope(|scope| {
            let waits = Arguments::new().value(name("waits")).function(note.clone());
            let waiting = scope.spawn(|| block_on(pool.call::<_, ()>("s", "wait", waits)));
            until("the event has begun", || {
                begun.lock().expect("no panic").contains(&name("waits")).then_some(())
            });
            own.iter().for_each(|pid| signal(*pid, "STOP"));
            let behind: Vec<_> = (0..8).map(|n| scope.spawn(move || read(&format!("{n} ")))).collect();
            until("they are in the process", || {
                (pool.stats().scripts["s"].in_flight == 9).then_some(())
            });
            own.iter().for_each(|pid| signal(*pid, "KILL"));
            let failure = waiting.join().expect("an end").expect_err("its process is gone");
            assert_eq!(failure.outcome, Outcome::WorkerLost, "{failure}");
            for (n, answer) in behind.into_iter().enumerate() {
                let answer = answer.join().expect("an end").expect("an answer of the next process");
                assert!(answer.starts_with(&name(&format!("{n} BODY "))), "{n}");
            }
        });
        let begun = begun.lock().expect("no panic");
        let own: Vec<_> = begun
            .iter()
            .filter(|name| name.starts_with(&format!("{round} ")))
            .collect();
        let distinct: HashSet<_> = own.iter().collect();
        assert_eq!((own.len(), distinct.len()), (9, 9), "{own:?}");
    }
}

// row 51
#[test]
fn no_event_begins_twice_while_processes_are_killed() {
    let begun = Arc::new(Mutex::new(Vec::<u32>::new()));
    let notes = Arc::clone(&begun);
    let note = NativeFunction::new(move |(number,): (u32,)| {
        notes.lock().expect("no panic").push(number);
        async { Ok(()) }
    });
    let pool = one_thread().threads(2).build().expect("a pool");
    let source = "export const run = async (number, note) => { await note(number); return number; }";
    let script = Script::builder("s").source(source).build().expect("a script");
    pool.deploy("s", script, &Options::default()).expect("deployed");
    let is_done = AtomicBool::new(false);
    let (numbers, answered) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let run = || {
            while !is_done.load(Ordering::Relaxed) {
                let number = u32::try_from(numbers.fetch_add(1, Ordering::Relaxed)).expect("few");
                let arguments = Arguments::new().value(number).function(note.clone());
                match block_on(pool.call::<_, u32>("s", "run", arguments)) {
                    Ok(_) => drop(answered.fetch_add(1, Ordering::Relaxed)),
                    Err(failure) => {
                        let allowed = [Outcome::WorkerLost, Outcome::BootFailed];
                        assert!(allowed.contains(&failure.outcome), "{failure}");
                    }
                }
            }
        };
        (0..8).for_each(|_| drop(scope.spawn(run)));
        for round in 0..40 {
            let wanted = answered.load(Ordering::Relaxed) + 10 + round;
            until("others are answered", || {
                (answered.load(Ordering::Relaxed) >= wanted).then_some(())
            });
            children().into_iter().for_each(|pid| signal(pid, "KILL"));
        }
        is_done.store(true, Ordering::Relaxed);
    });
    let answered = answered.into_inner();
    let begun = begun.lock().expect("no panic");
    eprintln!(
        "{answered} answered, {} begun, {} sent",
        begun.len(),
        numbers.into_inner()
    );
    assert_eq!(begun.iter().collect::<HashSet<_>>().len(), begun.len());
    assert!(answered <= begun.len());
}

// row 52
#[test]
fn a_process_that_is_stopped_is_killed_at_the_deadline_of_its_event() {
    let pool = pool_of(
        "export const wait = () => new Promise((done) => setTimeout(done, 60_000)); export const fine = () => 1;",
        vec![],
    );
    assert_eq!(call::<u32>(&pool, "fine").expect("an answer"), 1);
    children().into_iter().for_each(|pid| signal(pid, "STOP"));
    let meta = Meta::default().deadline(Instant::now() + Duration::from_millis(200));
    let waiting = pool.call_with::<_, ()>("s", "wait", (), meta);
    let behind = pool.call::<_, u32>("s", "fine", ());
    let (failed, answer) = block_on(async { futures::join!(waiting, behind) });
    let failure = failed.expect_err("it does not move");
    assert_eq!(failure.outcome, Outcome::ExceededWall, "{failure}");
    // It has not begun, and is answered by the replacement.
    assert_eq!(answer.expect("an answer"), 1);
}

// row 52
#[test]
fn a_process_without_heartbeats_is_killed() {
    let builder = one_thread().cells(cells().silence_max(Duration::from_millis(400)));
    let pool = builder.build().expect("a pool");
    let script = Script::builder("s").source(WAITING).build().expect("a script");
    pool.deploy("s", script, &Options::default()).expect("deployed");
    assert_eq!(call::<u32>(&pool, "fine").expect("an answer"), 1);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| call::<()>(&pool, "wait"));
        until("the event has begun", || {
            call::<bool>(&pool, "waits").expect("an answer").then_some(())
        });
        children().into_iter().for_each(|pid| signal(pid, "STOP"));
        // It has not begun, and is answered by the replacement.
        assert_eq!(call::<u32>(&pool, "fine").expect("an answer"), 1);
        let failure = waiting.join().expect("an end").expect_err("it does not move");
        assert_eq!(failure.outcome, Outcome::ExceededWall, "{failure}");
        assert!(failure.message.contains("no sign of life"), "{failure}");
    });
}

#[test]
fn a_process_that_computes_for_longer_gives_heartbeats() {
    let builder = one_thread().cells(cells().silence_max(Duration::from_millis(400)));
    let pool = builder.build().expect("a pool");
    let source =
        "export const compute = () => { const until = Date.now() + 1500; while (Date.now() < until); return 1; };";
    let script = Script::builder("s").source(source).build().expect("a script");
    pool.deploy("s", script, &Options::default()).expect("deployed");
    assert_eq!(call::<u32>(&pool, "compute").expect("an answer"), 1);
}

#[test]
fn an_event_wakes_only_the_thread_of_the_worker() {
    const EVENTS: u64 = 400;
    let switches = || -> u64 {
        let main_thread = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/status")).ok();
        let of_one = |status: String| -> Option<u64> {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
            line.trim().parse().ok()
        };
        children().iter().filter_map(main_thread).filter_map(of_one).sum()
    };
    let pool = pool_of("export const fine = () => 1;", vec![]);
    let fine = || assert_eq!(call::<u32>(&pool, "fine").expect("an answer"), 1);
    (0..10).for_each(|_| fine());
    until("there is a spare", || (children().len() >= 2).then_some(()));
    // The spare starts meanwhile.
    until("the other threads sleep", || {
        let before = switches();
        (0..EVENTS).for_each(|_| fine());
        (switches() - before < EVENTS / 10).then_some(())
    });
}

// row 53
#[test]
fn no_process_outlives_its_pool() {
    let pool = pool_of("export const fine = () => 1;", vec![]);
    assert_eq!(call::<u32>(&pool, "fine").expect("an answer"), 1);
    assert!(!children().is_empty());
    drop(pool);
    until("the cells end", || children().is_empty().then_some(()));
}

// row 51
#[test]
fn repeated_kills_lose_no_answer_and_leave_nothing() {
    const ROUNDS: usize = 20;
    kill_again_and_again(ROUNDS);
}

// row 51
#[test]
#[ignore = "nightly: takes minutes"]
fn a_thousand_kills_lose_no_answer_and_leave_nothing() {
    kill_again_and_again(1_000);
}

fn kill_again_and_again(rounds: usize) {
    let pool = one_thread().threads(2).build().expect("a pool");
    let source = "export default { async fetch(request) {
        await new Promise((done) => setTimeout(done, 1));
        return new Response(request.body);
    } };";
    let script = Script::builder("s").source(source).build().expect("a script");
    pool.deploy("s", script, &Options::default()).expect("deployed");
    let ask = || -> Result<bool, Failure> {
        let request = http::Request::post("http://example.com/").body(Body::from("x".repeat(100_000)));
        let response = block_on(pool.fetch("s", request.expect("a request"), Meta::default()))?;
        // The body may break off with its process.
        let body = block_on(http_body_util::BodyExt::collect(response.into_body()));
        Ok(body.is_ok_and(|body| body.to_bytes().len() == 100_000))
    };
    assert_eq!(ask().ok(), Some(true));
    let files = || std::fs::read_dir("/proc/self/fd").expect("descriptors").count();
    let threads = || std::fs::read_dir("/proc/self/task").expect("threads").count();
    until("there is a spare", || (children().len() >= 2).then_some(()));
    let (files_before, threads_before) = (files(), threads());
    let done = AtomicBool::new(false);
    let answered = AtomicUsize::new(0);
    let (mut lost, mut waited) = (0, Vec::new());
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut lost = 0;
                    while !done.load(Ordering::Relaxed) {
                        match ask() {
                            Ok(true) => drop(answered.fetch_add(1, Ordering::Relaxed)),
                            Ok(false) => lost += 1,
                            Err(failure) => {
                                // A process may have been killed while it started, twice.
                                let allowed = [Outcome::WorkerLost, Outcome::BootFailed];
                                assert!(allowed.contains(&failure.outcome), "{failure}");
                                lost += 1;
                            }
                        }
                    }
                    lost
                })
            })
            .collect();
        for round in 0..rounds {
            let before = answered.load(Ordering::Relaxed);
            if let Some(pid) = children().get(round % 3) {
                signal(*pid, "KILL");
            }
            let killed = Instant::now();
            until("others are answered", || {
                (answered.load(Ordering::Relaxed) > before + 2).then_some(())
            });
            waited.push(killed.elapsed());
        }
        done.store(true, Ordering::Relaxed);
        lost = clients
            .into_iter()
            .map(|client| client.join().expect("a client"))
            .sum::<usize>();
    });
    waited.sort();
    let (median, longest) = (waited[waited.len() / 2], waited[waited.len() - 1]);
    let answered = answered.into_inner();
    eprintln!(
        "{answered} answered, {lost} lost with {rounds} kills; answered again after {median:?}, at most {longest:?}"
    );
    assert_eq!(ask().ok(), Some(true));
    until("what they held is given back", || {
        // One cell for each worker, and a spare.
        let as_before = files() <= files_before + 8 && threads() <= threads_before + 4 && children().len() <= 3;
        as_before.then_some(())
    });
}

#[test]
fn a_failed_start_names_its_place() {
    let pool: Pool = pool_of("export const a = 1;\nthrow new Error('not today');", vec![]);
    let failure = block_on(pool.call::<_, ()>("s", "a", ())).expect_err("no start");
    assert_eq!(failure.outcome, Outcome::BootFailed);
    assert!(failure.message.contains("not today"), "{failure}");
    assert!(
        failure
            .detail
            .as_deref()
            .is_some_and(|detail| detail.contains("main.js:2")),
        "{failure:?}"
    );
}
