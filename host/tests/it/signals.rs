//! Real signals to real processes: the hosts run in processes of their own, which are this program once more.

use std::fs;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use isopod_host::process::ProcessModule;
use isopod_host::{Host, HostBuilder, Phase, Shutdown};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::common::{Does, Log, Probe};

/// Set in those processes. Without it, the tests that they run do nothing.
const IS_OTHER: &str = "ISOPOD_TEST_OTHER";

const LIMIT: Duration = Duration::from_secs(30);

/// A host in a process of its own, whose working directory is the folder.
struct Other {
    child: Child,
    folder: TempDir,
}

impl Other {
    fn start(test: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("signals::{test}")])
            .env(IS_OTHER, "yes")
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let other = Self { child, folder };
        other.read("ready");
        other
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// The content of a file, once it is there.
    fn read(&self, name: &str) -> String {
        let file = self.folder.path().join(name);
        wait_for(name, || fs::read_to_string(&file).ok().filter(|text| !text.is_empty()))
    }

    fn end(&mut self) -> ExitStatus {
        wait_for("the end", || self.child.try_wait().unwrap())
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < LIMIT, "waited {LIMIT:?} for {what}");
        std::thread::sleep(Duration::from_millis(5)); // tidy:allow(sleep): what it waits for is in another process
    }
}

fn run_until_a_signal_comes(builder: HostBuilder) {
    if std::env::var_os(IS_OTHER).is_none() {
        return;
    }
    let host = builder.shutdown(Shutdown::signals()).build().unwrap();
    let running = host.start_blocking().unwrap();
    fs::write("ready", "yes").unwrap();
    let text = match running.wait_blocking() {
        Ok(report) => report.to_string(),
        Err(error) => error.report().unwrap().to_string(),
    };
    // In one step, so that a reader sees all of it.
    fs::write("report.part", text).unwrap();
    fs::rename("report.part", "report").unwrap();
}

#[test]
fn a_host_until_a_signal() {
    run_until_a_signal_comes(Host::builder().module(Probe::new("a", &Log::default())));
}

#[test]
fn a_host_that_does_not_drain() {
    let module = Probe::new("a", &Log::default()).does(Phase::Drain, Does::Hang);
    run_until_a_signal_comes(Host::builder().module(module).limit(Phase::Drain, 100 * LIMIT));
}

#[test]
fn a_host_with_a_process() {
    let module = ProcessModule::new("child", "/bin/sh")
        .arg("-c")
        .arg("echo yes > up; cat; echo yes > gone");
    run_until_a_signal_comes(Host::builder().module(module));
}

#[test]
fn sigterm_and_ctrl_c_stop_a_host_in_order() {
    for (signal, name) in [
        (Signal::TERM, "SIGTERM"),
        (Signal::INT, "SIGINT"),
        (Signal::QUIT, "SIGQUIT"),
    ] {
        let mut other = Other::start("a_host_until_a_signal");
        other.signal(signal);
        let report = other.read("report");
        assert!(report.contains(&format!("received {name}")), "{report}");
        assert!(report.contains(" drain ") && report.contains(" close "), "{report}");
        assert!(other.end().success());
    }
}

#[test]
fn a_second_signal_cuts_the_drain() {
    let mut other = Other::start("a_host_that_does_not_drain");
    other.signal(Signal::TERM);
    // One signal of a kind is pending at most: until the first has been seen a second one of its kind would be lost.
    other.signal(Signal::INT);
    let report = other.read("report");
    assert!(report.contains(" drain cut ") && report.contains(" close "), "{report}");
    assert!(other.end().success());
}

#[test]
fn a_process_notices_that_its_host_was_killed() {
    let mut other = Other::start("a_host_with_a_process");
    other.read("up");
    other.signal(Signal::KILL);
    other.end();
    other.read("gone");
    assert!(
        !other.folder.path().join("report").exists(),
        "the host had no time to stop"
    );
}
