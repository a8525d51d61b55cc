//! Subjects as processes: their output, memory and CPU time.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;

/// Time limit for a subject to become ready: a server of 1,000 scripts starts a worker of each first.
const READY_WITHIN: Duration = Duration::from_secs(180);

/// Runs a subject to its end, and parses its output as JSON.
pub(crate) fn answer<T: DeserializeOwned>(command: &mut Command) -> Result<T> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("{command:?} did not start"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", output.status);
    }
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("{command:?} printed {:?}", String::from_utf8_lossy(&output.stdout)))
}

/// The time from the start of a command to its end; it must print something.
pub(crate) fn whole_run(command: &mut Command) -> Result<Duration> {
    let begun = Instant::now();
    let output = command.output().with_context(|| format!("{command:?} did not start"))?;
    let took = begun.elapsed();
    if !output.status.success() || output.stdout.is_empty() {
        bail!(
            "{command:?} failed: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(took)
}

/// A process that runs until this is dropped.
pub(crate) struct Running {
    child: Child,
    /// The subject ends when this closes, even if this program is killed.
    _stdin: Option<ChildStdin>,
}

impl Running {
    /// Starts a subject, and waits until it has printed a line.
    pub(crate) fn until_first_line(command: &mut Command) -> Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("it was asked for")?;
        let running = Self { child, _stdin: stdin };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        if line.is_empty() {
            bail!("{command:?} ended before it was ready");
        }
        Ok(running)
    }

    /// Starts a subject, and waits until it accepts connections on the port.
    pub(crate) fn until_listening(command: &mut Command, port: u16) -> Result<Self> {
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        let mut child = child.with_context(|| format!("{command:?} did not start"))?;
        let stdin = child.stdin.take();
        let mut running = Self { child, _stdin: stdin };
        let begun = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if let Some(status) = running.child.try_wait()? {
                bail!("{command:?} ended instead of listening: {status}");
            }
            if begun.elapsed() > READY_WITHIN {
                bail!("{command:?} does not listen on port {port} after {READY_WITHIN:?}");
            }
            // tidy:allow(sleep): lets the process settle, or polls it.
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(running)
    }

    /// Resident memory in bytes.
    pub(crate) fn resident_bytes(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: f64 = line.context("no VmRSS")?.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1024.0)
    }

    /// The number of threads.
    pub(crate) fn threads(&self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/task", self.child.id()))?.count())
    }

    /// The number of context switches of each thread so far; each is followed by a wake-up.
    pub(crate) fn context_switches(&self) -> Result<BTreeMap<OsString, u64>> {
        let mut switches = BTreeMap::new();
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let thread = thread?;
            // A thread may end meanwhile.
            let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
            let mut of_thread = 0;
            for line in status.lines() {
                if let Some((_, count)) = line.split_once("voluntary_ctxt_switches:") {
                    of_thread += count.trim().parse::<u64>()?;
                }
            }
            switches.insert(thread.file_name(), of_thread);
        }
        Ok(switches)
    }

    /// CPU time so far, user and system, of the process, its threads and its children.
    pub(crate) fn cpu_time(&self) -> Result<Duration> {
        let ticks = tree_ticks(self.child.id())?;
        // Linux reports hundredths of a second, independently of the kernel's tick (USER_HZ).
        Ok(Duration::from_millis(ticks * 10))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // miniflare starts another process, which does not end with it.
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill")
            .args(["-KILL", "--", &group])
            .stderr(Stdio::null())
            .status();
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Clock ticks of a process and its descendants.
fn tree_ticks(pid: u32) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, may contain anything; fields are counted from its end.
    let fields: Vec<_> = stat.rsplit_once(')').context("no name")?.1.split_whitespace().collect();
    let mut ticks = 0;
    for field in [11, 12, 13, 14] {
        // utime and stime, and those of ended children.
        ticks += fields.get(field).context("too few fields")?.parse::<u64>()?;
    }
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let children = fs::read_to_string(thread?.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace() {
            ticks += tree_ticks(child.parse()?).unwrap_or(0);
        }
    }
    Ok(ticks)
}

/// A port that is free now.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
