//! Large payloads and results in memory that the host and the process share.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::executor::block_on;
use isopod_host::TaskResponse;
use isopod_host::bus::{Delivery, Payload, Results, Source, SubscribeOptions};
use isopod_host::process::{ModuleRequest, SharedMemory};
use isopod_pool::{Failure, Outcome};
use serde_json::{Value, json};

use super::death::{alone, kill, kills};
use super::{Started, channel, child, start};
use crate::signals::wait_for;

const MIB: usize = 1 << 20;

/// The names of the objects and folders of the host with this process number.
fn left_by(host: u32, folder: &Path) -> Vec<String> {
    let prefix = format!("isopod_{host}_");
    let names = |folder: &Path| -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(folder) else {
            return Vec::new();
        };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(&prefix)).collect()
    };
    [names(Path::new("/dev/shm")), names(folder)].concat()
}

fn own(folder: &Path) -> Vec<String> {
    left_by(std::process::id(), folder)
}

fn memory(folder: &Path) -> SharedMemory {
    SharedMemory::default().folder(folder)
}

/// Starts a host that keeps no results itself.
fn start_in(folder: &Path) -> Started {
    let none = Results::builder().bytes_max(0).build();
    let channel = channel().shared_memory(memory(folder)).retries(16).results(&none);
    start(child("work").channel(channel))
}

fn echo(host: &Started, bytes: impl Into<Payload>) -> Result<Payload, Failure> {
    block_on(
        host.tasks
            .run(ModuleRequest::new("echo").payload(bytes.into()))
            .finish(),
    )
}

/// Runs a task, and returns its named results and what it returned.
fn results_of(host: &Started, task: &str, payload: Value) -> (Vec<Bytes>, Value) {
    let task = host.tasks.run(ModuleRequest::new(task).payload(payload));
    let (mut results, mut returned) = (Vec::new(), Value::Null);
    for response in block_on(task.collect::<Vec<_>>()) {
        match response {
            TaskResponse::Result { data, .. } => results.push(data.as_bytes().unwrap().clone()),
            TaskResponse::End(value) => returned = value.unwrap().to_json().unwrap(),
            _ => {}
        }
    }
    (results, returned)
}

/// Returns whether bytes are in a mapping of shared memory of this process's areas.
fn is_shared(bytes: &Bytes) -> bool {
    let at = bytes.as_ptr().addr();
    let object = format!("/dev/shm/isopod_{}_", std::process::id());
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.contains(&object)).any(|line| {
        let (from, to) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let address = |text| usize::from_str_radix(text, 16).unwrap();
        (address(from)..address(to)).contains(&at)
    })
}

#[test]
fn large_bodies_go_there_and_back_through_the_memory() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("shared");
    let host = start_in(&folder);
    for size in [0, 1, (16 << 10) - 1, 16 << 10, 100_000, MIB, 8 * MIB] {
        let bytes = Bytes::from(vec![size as u8; size]);
        let Payload::Bytes(echoed) = echo(&host, bytes.clone()).unwrap() else {
            panic!("bytes are returned as bytes")
        };
        assert_eq!(echoed, bytes);
        assert_eq!(is_shared(&echoed), size >= 64 << 10, "{size}");
    }
    let text = json!("text ".repeat(100_000));
    assert_eq!(echo(&host, text.clone()), Ok(Payload::Json(text)));
    let error = echo(&host, Bytes::from(vec![0; 8 * MIB + 1])).unwrap_err();
    assert!(error.message.contains("above the limit of 8388608"), "{error}");
    host.stop();
    assert_eq!(own(&folder), [""; 0]);
}

#[test]
fn a_result_that_is_written_into_the_memory_is_not_copied() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("shared");
    let host = start_in(&folder);
    let (results, was_shared) = results_of(&host, "written", json!(8 * MIB));
    assert_eq!(was_shared, true);
    assert!(is_shared(&results[0]) && results[0].len() == 8 * MIB && results[0].iter().all(|byte| *byte == 9));
    let (results, was_shared) = results_of(&host, "written", json!(1000));
    assert_eq!((was_shared, &results[0][..]), (json!(false), &[9; 1000][..]));
    host.stop();
}

#[test]
fn results_keep_their_order_and_all_arrive_when_the_memory_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("shared");
    let host = start_in(&folder);
    let sizes: Vec<usize> = (0..60).map(|n| [10, 20_000, MIB, 200_000][n % 4]).collect();
    // All are kept, which is more than there is room for in the memory.
    let (results, _) = results_of(&host, "results", json!(sizes));
    assert_eq!(results.len(), sizes.len());
    for (n, (result, size)) in results.iter().zip(sizes).enumerate() {
        assert!(
            result.len() == size && result.iter().all(|byte| usize::from(*byte) == n),
            "{n}"
        );
    }
    let shared = results.iter().filter(|result| is_shared(result)).count();
    assert!((1..=2).contains(&shared), "{shared}");
    host.stop();
    // The memory remains as long as a result is there.
    assert!(!own(&folder).is_empty());
    drop(results);
    assert_eq!(own(&folder), [""; 0]);
}

#[test]
fn results_of_others_are_read_through_the_memory() {
    let folder = tempfile::tempdir().unwrap();
    let results = Results::new();
    let memory = memory(&folder.path().join("shared"));
    let host = start(child("work").channel(channel().shared_memory(memory).results(&results)));
    let mut seen = host.bus.subscribe("child.*", SubscribeOptions::default()).unwrap();
    let bytes = Bytes::from(vec![0; 5 * MIB]);
    results
        .announce(&host.bus, Source::native("source"), "data", bytes)
        .unwrap();
    let Some(Delivery::Message(message)) = seen.recv_timeout(Duration::from_secs(60)) else {
        panic!("the chained task publishes")
    };
    assert_eq!(message.payload.as_json(), Some(&json!(5 * MIB)));
    host.stop();
}

#[test]
fn a_program_without_shared_memory_uses_the_socket() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("shared");
    let host = start(child("plain").channel(channel().shared_memory(memory(&folder))));
    let bytes = Bytes::from(vec![3; MIB]);
    assert_eq!(echo(&host, bytes.clone()), Ok(Payload::Bytes(bytes)));
    // What was made for it is removed.
    assert_eq!(own(&folder), [""; 0]);
    host.stop();
}

#[test]
fn a_host_whose_folder_cannot_be_used_uses_the_socket() {
    let host = start_in(Path::new("/proc/none"));
    let (results, was_shared) = results_of(&host, "written", json!(MIB));
    assert_eq!((was_shared, results[0].len()), (json!(false), MIB));
    host.stop();
}

#[test]
fn memory_that_the_system_does_not_have_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("shared");
    // 4 TiB, of which nothing is written.
    let memory = memory(&folder).bytes_max(u64::MAX).body_bytes_max(u32::MAX);
    let channel = channel().body_bytes_max(u32::MAX).shared_memory(memory);
    let host = start(child("work").channel(channel));
    assert_eq!(own(&folder), [""; 0]);
    let (results, was_shared) = results_of(&host, "written", json!(MIB));
    assert_eq!((was_shared, results[0].len()), (json!(false), MIB));
    host.stop();
}

#[test]
fn a_process_that_announces_bodies_that_are_not_there_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("shared");
    let host = start(child("lies").channel(channel().shared_memory(memory(&folder))));
    let mut told = host.system("isopod.module.exited");
    let (_, signal, reason) = told.exit();
    assert_eq!(signal, Some(9));
    assert!(reason.contains("is not in the shared memory"), "{reason}");
    drop(host.running.stop_blocking());
    let host = start(child("unoffered").channel(channel()));
    let (_, _, reason) = host.system("isopod.module.exited").exit();
    assert!(reason.contains("was not offered"), "{reason}");
    drop(host.running.stop_blocking());
}

#[test]
fn nothing_is_left_of_killed_processes() {
    alone("shared::killed");
}

#[test]
#[ignore = "is run by another test, alone in a process"]
fn killed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("shared");
    let host = start_in(&folder);
    host.run("add", json!([1, 2])).unwrap();
    let of_one = own(&folder).len();
    let (kept, _) = results_of(&host, "written", json!(8 * MIB));
    let over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let bytes = Bytes::from(vec![5; MIB]);
                    match echo(&host, bytes.clone()) {
                        Ok(echoed) => assert_eq!(echoed, Payload::Bytes(bytes)),
                        Err(failure) => assert_eq!(failure.outcome, Outcome::WorkerLost, "{failure}"),
                    }
                }
            });
        }
        for _ in 0..kills() / 4 {
            if let Ok(pid) = host.run("pid", json!(null)) {
                kill(&pid);
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    // A result of a process that was killed is as it was.
    assert!(is_shared(&kept[0]) && kept[0].iter().all(|byte| *byte == 9));
    drop(kept);
    host.run("add", json!([1, 2])).unwrap();
    wait_for("the memory of one process", || {
        (own(&folder).len() <= of_one).then_some(())
    });
    host.stop();
    assert_eq!(own(&folder), [""; 0]);
}

/// Runs only in a process that the test below has started.
#[test]
#[ignore = "is the host of another test"]
fn host() {
    let host = start_in(Path::new(&std::env::var("ISOPOD_TEST_FOLDER").unwrap()));
    let (_kept, _) = results_of(&host, "written", json!(8 * MIB));
    let pid = host.run("pid", json!(null)).unwrap();
    std::fs::write(std::env::var("ISOPOD_TEST_PID").unwrap(), pid.to_string()).unwrap();
    // Until it is killed.
    loop {
        echo(&host, Bytes::from(vec![1; MIB])).unwrap();
    }
}

#[test]
fn the_next_host_removes_what_a_killed_one_has_left() {
    let folder = tempfile::tempdir().unwrap();
    let (file, folder) = (folder.path().join("pid"), folder.path().join("shared"));
    let mut killed = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "channel::shared::host", "--ignored", "--nocapture"])
        .env("ISOPOD_TEST_PID", &file)
        .env("ISOPOD_TEST_FOLDER", &folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = wait_for("the process's number", || {
        std::fs::read_to_string(&file).ok().filter(|text| !text.is_empty())
    });
    killed.kill().unwrap();
    killed.wait().unwrap();
    let process = Path::new("/proc").join(pid.trim());
    wait_for("the end of the module's process", || {
        let state = std::fs::read_to_string(process.join("stat"));
        state.map_or(true, |stat| stat.contains(") Z ")).then_some(())
    });
    assert!(
        !left_by(killed.id(), &folder).is_empty(),
        "SIGKILL leaves no time to remove files"
    );
    let host = start_in(&folder);
    assert_eq!(left_by(killed.id(), &folder), [""; 0]);
    assert_eq!(results_of(&host, "written", json!(MIB)).1, true);
    host.stop();
    assert_eq!(own(&folder), [""; 0]);
    let left: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["lock"]);
}
