//! The process under load: starts it, reads its metrics, observes it from outside, stops it.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::books::Metrics;
use crate::client::{Connection, Pace};

/// Time limit for starting to listen, and for stopping.
const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(60);
/// Number of log lines kept.
const LINES_KEPT: usize = 60;

/// `isopod serve --watch` on ports chosen by the system.
pub(crate) struct Server {
    child: Child,
    log: Arc<Mutex<Log>>,
    pub(crate) address: SocketAddr,
    admin: SocketAddr,
}

/// The last lines of the log, and those that must not occur.
#[derive(Default)]
struct Log {
    last: VecDeque<String>,
    panics: Vec<String>,
    listening: Option<SocketAddr>,
    admin: Option<SocketAddr>,
}

/// The resources of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Footprint {
    pub(crate) resident_bytes: u64,
    pub(crate) threads: usize,
    pub(crate) descriptors: usize,
}

/// The resources of a process, by kind.
#[derive(Debug, Default)]
pub(crate) struct Holdings(BTreeMap<String, usize>);

impl Holdings {
    /// The resources of which there are more than before.
    pub(crate) fn more_than(&self, before: &Self) -> Vec<String> {
        let more = self.0.iter().filter_map(|(kind, now)| {
            let more = now.checked_sub(before.0.get(kind).copied().unwrap_or_default())?;
            (more > 0).then(|| format!("{more} more: {kind}"))
        });
        more.collect()
    }
}

/// A name without its number: `socket:[4711]` is a socket.
fn kind(name: &str) -> &str {
    name.trim_end_matches(|c: char| c.is_ascii_digit() || c.is_whitespace() || "[]:-".contains(c))
}

impl Server {
    pub(crate) async fn start(program: &Path, project: &Path) -> Result<Self> {
        let mut command = Command::new(program);
        command
            .args(["serve", "--watch", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .arg(project)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Ctrl-C on the terminal only reaches the soak, which then stops the server.
            .process_group(0);
        let mut child = command
            .spawn()
            .with_context(|| format!("{} cannot be started", program.display()))?;
        let log = Arc::new(Mutex::new(Log::default()));
        if let Some(stderr) = child.stderr.take() {
            let log = Arc::clone(&log);
            std::thread::Builder::new()
                .name("server-log".to_owned())
                .spawn(move || follow(stderr, &log))?;
        }
        let unset = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut server = Self {
            child,
            log,
            address: unset,
            admin: unset,
        };
        let start = Instant::now();
        loop {
            let (listening, admin) = server.with_log(|log| (log.listening, log.admin));
            if let (Some(listening), Some(admin)) = (listening, admin) {
                (server.address, server.admin) = (listening, admin);
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait()? {
                bail!("isopod serve ended with {status}:\n{}", server.log());
            }
            if start.elapsed() > START {
                bail!("isopod serve does not listen after {START:?}:\n{}", server.log());
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    fn with_log<T>(&self, f: impl FnOnce(&Log) -> T) -> T {
        f(&self.log.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The last lines of its log.
    pub(crate) fn log(&self) -> String {
        self.with_log(|log| log.last.iter().fold(String::new(), |text, line| text + line + "\n"))
    }

    /// Log lines that report panics.
    pub(crate) fn panics(&self) -> Vec<String> {
        self.with_log(|log| log.panics.clone())
    }

    pub(crate) async fn metrics(&self) -> Result<Metrics> {
        let mut connection = Connection::open(self.admin).await?;
        // The admin listener refuses the names of other hosts.
        let request = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n".to_vec();
        let answer = connection.exchange(&[request], Duration::ZERO, Pace::Full).await?;
        if answer.head.status != 200 {
            bail!("/metrics is answered with {}", answer.head.status);
        }
        Ok(Metrics::read(&String::from_utf8_lossy(&answer.body)))
    }

    /// The resources it holds now.
    ///
    /// # Errors
    /// It has ended.
    pub(crate) fn footprint(&self) -> Result<Footprint> {
        let of = format!("/proc/{}", self.child.id());
        let status = fs::read_to_string(format!("{of}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        Ok(Footprint {
            resident_bytes: 1024 * kib.context("the server is gone")?,
            threads: fs::read_dir(format!("{of}/task"))?.count(),
            descriptors: fs::read_dir(format!("{of}/fd"))?.count(),
        })
    }

    /// The kinds of its threads and descriptors.
    pub(crate) fn holdings(&self) -> Result<Holdings> {
        let of = format!("/proc/{}", self.child.id());
        let mut counts = BTreeMap::new();
        // One may end meanwhile.
        for thread in fs::read_dir(format!("{of}/task"))?.flatten() {
            let name = fs::read_to_string(thread.path().join("comm")).unwrap_or_default();
            *counts.entry(format!("thread {}", kind(&name))).or_default() += 1;
        }
        for descriptor in fs::read_dir(format!("{of}/fd"))?.flatten() {
            let target = fs::read_link(descriptor.path()).unwrap_or_default();
            let name = target.file_name().unwrap_or_default().to_string_lossy();
            *counts.entry(format!("descriptor {}", kind(&name))).or_default() += 1;
        }
        Ok(Holdings(counts))
    }

    /// Returns the end of the process, if it has ended.
    pub(crate) fn ended(&mut self) -> Result<Option<String>> {
        let status = self.child.try_wait()?;
        Ok(status.map(|status| format!("isopod serve ended with {status}:\n{}", self.log())))
    }

    /// Tells it to stop, and waits until it has. Returns what went wrong.
    pub(crate) async fn stop(&mut self) -> Result<Option<String>> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-s", "TERM", &pid]).status()?;
        let start = Instant::now();
        while start.elapsed() < STOP {
            if let Some(status) = self.child.try_wait()? {
                return Ok((!status.success()).then(|| format!("it ended with {status}")));
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(Some(format!("it has not ended after {STOP:?}")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Reads the log to its end, so that the server never waits for a reader.
fn follow(stderr: ChildStderr, log: &Mutex<Log>) {
    let address = |line: &str, after: &str| line.split_once(after)?.1.split([' ', '\u{1b}']).next()?.parse().ok();
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(on) = address(&line, "listening on http://") {
            log.listening = Some(on);
        }
        if let Some(on) = address(&line, "admin on http://") {
            log.admin = Some(on);
        }
        if line.contains("panicked at") && log.panics.len() < LINES_KEPT {
            log.panics.push(line.clone());
        }
        if log.last.len() == LINES_KEPT {
            log.last.pop_front();
        }
        log.last.push_back(line);
    }
}
