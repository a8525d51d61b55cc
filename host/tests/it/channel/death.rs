//! SIGKILL of a process under load, and of its host.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::executor::block_on;
use isopod_host::process::ModuleRequest;
use isopod_pool::Outcome;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{channel, child, start};
use crate::signals::wait_for;

pub(super) fn kill(pid: &Value) {
    let pid = Pid::from_raw(i32::try_from(pid.as_i64().unwrap()).unwrap()).unwrap();
    // It may have been killed since it sent its number.
    let _ = kill_process(pid, Signal::KILL);
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn children() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let of = |task: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(task.unwrap().path().join("children"));
    tasks
        .map(|task| of(task).unwrap_or_default().split_whitespace().count())
        .sum()
}

/// Kills the process again and again while four threads ask for tasks. Returns the number of each outcome.
fn under_fire(kills: usize, retries: u32) -> HashMap<Outcome, usize> {
    let host = start(child("work").channel(channel().retries(retries)));
    // Descriptors that are opened once are open now.
    host.run("add", json!([1, 2])).unwrap();
    let baseline = descriptors();
    let over = AtomicBool::new(false);
    let outcomes = std::thread::scope(|threads| {
        let ask = || {
            let mut outcomes = HashMap::new();
            for n in 0.. {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                let request = ModuleRequest::new("add").payload(json!([n, 1]));
                let outcome = match block_on(host.tasks.run(request).finish()) {
                    Ok(sum) => {
                        assert_eq!(sum.as_json(), Some(&json!(n + 1)));
                        Outcome::Ok
                    }
                    Err(failure) => failure.outcome,
                };
                *outcomes.entry(outcome).or_insert(0) += 1;
            }
            outcomes
        };
        let asking: Vec<_> = (0..4).map(|_| threads.spawn(ask)).collect();
        let (mut killed, mut replaced) = (None::<Instant>, Vec::new());
        while replaced.len() < kills {
            if let Ok(pid) = host.run("pid", json!(null)) {
                // The answer of the replacement process.
                replaced.extend(killed.map(|killed| killed.elapsed()));
                kill(&pid);
                killed = Some(Instant::now());
            }
        }
        replaced.sort_unstable();
        eprintln!(
            "replaced after {:.1?}, at most {:.1?}",
            replaced[kills / 2],
            replaced[kills - 1]
        );
        over.store(true, Ordering::Relaxed);
        let mut all = HashMap::new();
        for outcomes in asking {
            for (outcome, count) in outcomes.join().unwrap() {
                *all.entry(outcome).or_insert(0) += count;
            }
        }
        all
    });
    host.run("add", json!([1, 2])).unwrap();
    wait_for("the descriptors of one process", || {
        (descriptors() <= baseline).then_some(())
    });
    wait_for("one process", || (children() == 1).then_some(()));
    host.stop();
    assert_eq!(children(), 0);
    outcomes
}

/// The number of kills of a test: 100, or what the environment says.
pub(super) fn kills() -> usize {
    let said = std::env::var("ISOPOD_TEST_KILLS").ok();
    said.and_then(|kills| kills.parse().ok()).unwrap_or(100)
}

/// Runs a test in a process of its own, whose descriptors and children are those of the test alone.
pub(super) fn alone(test: &str) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("channel::{test}"), "--ignored", "--nocapture"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

// row 45
#[test]
fn the_tasks_of_a_killed_process_end_as_lost() {
    alone("death::lost");
}

// row 45
#[test]
fn a_killed_process_loses_no_task_that_may_be_retried() {
    alone("death::retried");
}

#[test]
#[ignore = "is run by another test, alone in a process"]
fn lost() {
    let outcomes = under_fire(kills(), 0);
    assert!(outcomes[&Outcome::Ok] > 0, "{outcomes:?}");
    let others = outcomes
        .keys()
        .filter(|outcome| !matches!(outcome, Outcome::Ok | Outcome::WorkerLost));
    assert_eq!(others.count(), 0, "{outcomes:?}");
}

#[test]
#[ignore = "is run by another test, alone in a process"]
fn retried() {
    let outcomes = under_fire(kills(), 16);
    assert_eq!(outcomes.keys().collect::<Vec<_>>(), [&Outcome::Ok], "{outcomes:?}");
}

/// Runs only in a process that the test below has started.
#[test]
#[ignore = "is the host of another test"]
fn host() {
    let host = start(child("work").channel(channel()));
    let hangs = host.tasks.run(ModuleRequest::new("spin"));
    let pid = host.run("pid", json!(null)).unwrap();
    std::fs::write(std::env::var("ISOPOD_TEST_PID").unwrap(), pid.to_string()).unwrap();
    block_on(hangs.finish()).unwrap();
}

// row 49
#[test]
fn busy_processes_end_with_a_killed_host() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let mut host = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "channel::death::host", "--ignored", "--nocapture"])
        .env("ISOPOD_TEST_PID", &file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = wait_for("the process's number", || {
        std::fs::read_to_string(&file).ok().filter(|text| !text.is_empty())
    });
    let process = Path::new("/proc").join(pid.trim());
    assert!(process.exists());
    host.kill().unwrap();
    host.wait().unwrap();
    let killed = Instant::now();
    // It is the child of another process now, which may be slow to collect it.
    let is_gone = || {
        let state = std::fs::read_to_string(process.join("stat"));
        state.map_or(true, |stat| stat.contains(") Z "))
    };
    wait_for("the end of the process", || is_gone().then_some(()));
    assert!(killed.elapsed() < Duration::from_secs(10));
}
