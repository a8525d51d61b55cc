//! Sixteen attackers and one good worker in one pool. Prints a line per second with the good worker's latency, then a
//! table of how the attacks ended. `--seconds N` sets the duration. The exit code is 0 if every attack ended as it has
//! to.

mod attacks;

use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use isopod::{Failure, Options, Pool, Script};

use attacks::{ATTACKS, Attack, Ends};

/// Pause of the good worker's callers between calls, and of an attacker between attacks.
const CALL_EVERY: Duration = Duration::from_millis(5);
const ATTACK_EVERY: Duration = Duration::from_secs(1);

/// The results so far.
#[derive(Default)]
struct Seen {
    /// Latencies in the current second.
    times: Vec<Duration>,
    answered: u64,
    failed: Vec<String>,
    /// Number of endings by attack and kind.
    ended: BTreeMap<&'static str, BTreeMap<String, u64>>,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let seconds = seconds()?;
    // One thread per worker, so that the results show only how workers affect each other.
    let pool = Pool::builder().threads(ATTACKS.len() + 1).build()?;
    deploy(&pool)?;
    let (seen, over) = (Mutex::default(), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| be_good(&pool, &seen, &over));
        // One second without attacks, for comparison.
        report(1, &seen, "alone");
        for attack in &ATTACKS {
            let (pool, seen, over) = (&pool, &seen, &over);
            scope.spawn(move || repeat(attack, pool, seen, over));
        }
        report(seconds, &seen, "under attack");
        over.store(true, Ordering::SeqCst);
    });
    let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    let ended_well = table(&seen);
    let lost = pool.stats().threads.lost;
    let report = pool.shutdown_blocking(Duration::from_secs(10));
    println!(
        "\ngood worker: {} answers, {} failures; threads: {} joined, {} stuck, {lost} lost",
        seen.answered,
        seen.failed.len(),
        report.threads_joined,
        report.threads_stuck
    );
    for failure in &seen.failed {
        eprintln!("failed: {failure}");
    }
    let fine = ended_well && seen.failed.is_empty() && report.threads_stuck == 0 && lost == 0;
    println!("{}", if fine { "PASS" } else { "FAIL" });
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn seconds() -> Result<u64, Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Ok(30),
        ["--seconds", number] => Ok(number.parse::<u64>()?.max(1)),
        _ => Err("usage: example-hostile [--seconds N]".into()),
    }
}

fn deploy(pool: &Pool) -> Result<(), Box<dyn Error>> {
    let good = Script::builder("good").source("let count = 0; export const next = () => ++count;");
    pool.deploy("good", good.build()?, &Options::default())?;
    pool.warm_blocking("good")?;
    for attack in &ATTACKS {
        let script = Script::builder(attack.name).source(attack.source());
        let options = Options::default().wall_timeout(attack.wall());
        pool.deploy(attack.name, script.limits(attack.limits()).build()?, &options)?;
    }
    Ok(())
}

/// Calls the good worker repeatedly. It counts its calls, so that a lost or repeated answer is noticed.
fn be_good(pool: &Pool, seen: &Mutex<Seen>, over: &AtomicBool) {
    let mut last = 0;
    while !over.load(Ordering::SeqCst) {
        let start = Instant::now();
        let answer = pool.call_blocking::<_, u64>("good", "next", ());
        let took = start.elapsed();
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(count) if count == last + 1 => seen.answered += 1,
            Ok(count) => seen.failed.push(format!("{count} came after {last}")),
            Err(failure) => seen.failed.push(failure.to_string()),
        }
        seen.times.push(took);
        drop(seen);
        last += 1;
        thread::sleep(CALL_EVERY);
    }
}

/// Attacks repeatedly.
fn repeat(attack: &Attack, pool: &Pool, seen: &Mutex<Seen>, over: &AtomicBool) {
    while !over.load(Ordering::SeqCst) {
        let ended = pool.call_blocking::<_, String>(attack.name, attack.name, ());
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen
            .ended
            .entry(attack.name)
            .or_default()
            .entry(told(&ended))
            .or_default() += 1;
        drop(seen);
        thread::sleep(ATTACK_EVERY);
    }
}

fn told(ended: &Result<String, Failure>) -> String {
    match ended {
        Ok(answer) => format!("ok: {answer}"),
        Err(failure) => failure.outcome.to_string(),
    }
}

/// Prints a line about the last second.
fn report(seconds: u64, seen: &Mutex<Seen>, when: &str) {
    for _ in 0..seconds {
        thread::sleep(Duration::from_secs(1));
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut times = std::mem::take(&mut seen.times);
        times.sort();
        let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
        let attacks: u64 = seen.ended.values().flat_map(BTreeMap::values).sum();
        println!(
            "{when}: {} answers, p50 {:.1?}, p99 {:.1?}, max {:.1?}; {attacks} attacks ended",
            times.len(),
            at(50),
            at(99),
            times.last().copied().unwrap_or_default()
        );
    }
}

/// Prints how the attacks ended. Returns true if all ended as they have to.
fn table(seen: &Seen) -> bool {
    println!();
    let mut well = true;
    for Attack { name, what, ends } in &ATTACKS {
        let right = match ends {
            Ends::As(outcome) => outcome.to_string(),
            Ends::Answering(answer) => format!("ok: {answer}"),
        };
        let ended = seen.ended.get(name).cloned().unwrap_or_default();
        well &= ended.keys().eq([&right]);
        let shown: Vec<_> = ended.iter().map(|(how, count)| format!("{how} × {count}")).collect();
        println!("{name:<14} {what:<36} {}", shown.join(", "));
    }
    well
}
