//! The built program: run to its end, or serving.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use crate::client::{Answer, Connection};
use crate::process::until;

pub(crate) fn program() -> PathBuf {
    let beside = || {
        let test = std::env::current_exe().expect("this test's own path");
        test.parent()
            .and_then(Path::parent)
            .expect("target/PROFILE/deps")
            .join("isopod")
    };
    let program = std::env::var_os("ISOPOD_BIN").map_or_else(beside, PathBuf::from);
    assert!(
        program.is_file(),
        "{} is not there: `cargo xtask test` builds it, then runs the tests",
        program.display()
    );
    program
}

/// The program without this process's environment.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        // With this one, its workers run in processes of their own.
        .envs(std::env::var_os("ISOPOD_ISOLATION").map(|isolation| ("ISOPOD_ISOLATION", isolation)));
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The result of a run.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the program to its end.
pub(crate) fn isopod(arguments: &[&str]) -> Ended {
    isopod_with(arguments, &[], "")
}

/// Runs the program to its end, with an environment and a standard input.
pub(crate) fn isopod_with(arguments: &[&str], environment: &[(&str, &str)], stdin: &str) -> Ended {
    let mut child = command(arguments)
        .envs(environment.iter().copied())
        .spawn()
        .expect("a program that starts");
    let stdout = read_all(child.stdout.take().expect("piped"));
    let stderr = read_all(child.stderr.take().expect("piped"));
    // A script that does not read its input closes it early.
    drop(child.stdin.take().expect("piped").write_all(stdin.as_bytes()));
    let mut child = Running(child);
    let status = child.exit();
    let text = |reader: JoinHandle<String>| reader.join().expect("a reader that reads");
    Ended {
        code: status.code(),
        stdout: text(stdout),
        stderr: text(stderr),
    }
}

/// Runs the program to its end, with a standard input that stays open.
pub(crate) fn isopod_with_open_stdin(arguments: &[&str], stdin: &str) -> Ended {
    let mut child = command(arguments).spawn().expect("a program that starts");
    let stdout = read_all(child.stdout.take().expect("piped"));
    let stderr = read_all(child.stderr.take().expect("piped"));
    let mut open = child.stdin.take().expect("piped");
    open.write_all(stdin.as_bytes()).expect("a pipe with room");
    let mut child = Running(child);
    let status = child.exit();
    drop(open);
    Ended {
        code: status.code(),
        stdout: stdout.join().expect("a reader that reads"),
        stderr: stderr.join().expect("a reader that reads"),
    }
}

/// Runs the program to its end in a folder, with a standard input.
pub(crate) fn isopod_in(folder: &Path, arguments: &[&str], stdin: &str) -> Ended {
    let mut child = command(arguments)
        .current_dir(folder)
        .spawn()
        .expect("a program that starts");
    drop(child.stdin.take().expect("piped").write_all(stdin.as_bytes()));
    let output = child.wait_with_output().expect("an end");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ended {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// Starts the program without waiting for it.
pub(crate) fn isopod_running(arguments: &[&str]) -> Child {
    command(arguments).spawn().expect("a program that starts")
}

fn read_all(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).expect("output to read");
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// A process that is killed when its test ends.
struct Running(Child);

impl Running {
    fn exit(&mut self) -> ExitStatus {
        until("the program ends", || self.0.try_wait().expect("a child to wait for"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// `isopod serve`, in any state.
pub(crate) struct Server {
    process: Running,
    log: Arc<Mutex<String>>,
}

/// `isopod serve`, ready for requests.
pub(crate) struct Serving {
    server: Server,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Server {
    /// Starts serving on a port, with an admin listener on a port chosen by the system.
    pub(crate) fn start(path: impl AsRef<Path>, listen: &str, arguments: &[&str]) -> Self {
        let path = path.as_ref().to_str().expect("a path in UTF-8");
        let arguments = [
            &["serve", path, "--listen", listen, "--admin", "127.0.0.1:0"],
            arguments,
        ]
        .concat();
        let mut child = command(&arguments)
            .stdout(Stdio::null())
            .spawn()
            .expect("a program that starts");
        let log = Arc::new(Mutex::new(String::new()));
        let (stderr, writer) = (child.stderr.take().expect("piped"), log.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = writer.lock().expect("a log");
                log.push_str(&line);
                log.push('\n');
            }
        });
        Self {
            process: Running(child),
            log,
        }
    }

    /// The address that the log names after these words. Waits for it.
    pub(crate) fn address_after(&mut self, words: &str) -> SocketAddr {
        until("it tells where it listens", || {
            let text = self.log();
            if let Ok(Some(status)) = self.process.0.try_wait() {
                panic!("isopod serve ended with {status}:\n{text}");
            }
            text.split_once(words)?.1.split([' ', '\n']).next()?.parse().ok()
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.0.id()
    }

    pub(crate) fn lives(&mut self) -> bool {
        matches!(self.process.0.try_wait(), Ok(None))
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("a log").clone()
    }

    /// The outcome in the access log's line for a path. Waits for the line.
    pub(crate) fn logged_outcome(&self, path: &str) -> String {
        until("it is in the access log", || {
            let log = self.log();
            let line = log.lines().rfind(|line| line.contains(&format!("path=\"{path}\"")))?;
            Some(line.split("outcome=\"").nth(1)?.split('"').next()?.to_owned())
        })
    }

    /// Stops reading the log while the guard is held.
    pub(crate) fn log_unread(&self) -> MutexGuard<'_, String> {
        self.log.lock().expect("a log")
    }

    /// Sends a signal by name: `TERM`, `INT`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.pid().to_string()])
            .status()
            .expect("the command kill");
        assert!(sent.success(), "no process to signal");
    }

    /// Waits for the process, and returns its exit code.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        self.process.exit().code()
    }
}

impl std::ops::Deref for Serving {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl std::ops::DerefMut for Serving {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}

impl Serving {
    /// Serves a script, folder or configuration on ports chosen by the system.
    pub(crate) fn start(path: impl AsRef<Path>) -> Self {
        Self::start_with(path, &[])
    }

    pub(crate) fn start_with(path: impl AsRef<Path>, arguments: &[&str]) -> Self {
        let mut server = Server::start(path, "127.0.0.1:0", arguments);
        Self {
            address: server.address_after("listening on http://"),
            admin: server.address_after("admin on http://"),
            server,
        }
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address).expect("a listener that accepts")
    }

    /// Sends one request on its own connection.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.connect().get(path).expect("an answer")
    }

    /// The value of a line of `/metrics`, such as `isopod_events_total{outcome="ok"}`; 0 if missing.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        self.sum(|rest| rest.strip_prefix(name).filter(|rest| rest.starts_with(' ')))
    }

    /// The sum over all labels.
    pub(crate) fn metric_over_all(&self, name: &str) -> u64 {
        self.sum(|rest| {
            rest.strip_prefix(name)?
                .strip_prefix('{')?
                .split_once('}')
                .map(|(_, rest)| rest)
        })
    }

    /// Returns true if the metric exists.
    pub(crate) fn has_metric(&self, name: &str) -> bool {
        self.metrics().lines().any(|line| line.starts_with(name))
    }

    fn metrics(&self) -> String {
        let admin = Connection::open(self.admin);
        admin.and_then(|mut admin| admin.get("/metrics")).expect("metrics").body
    }

    fn sum(&self, value: impl Fn(&str) -> Option<&str>) -> u64 {
        self.metrics()
            .lines()
            .filter_map(value)
            .map(|number| number.trim().parse::<u64>().expect("a whole number"))
            .sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- what isopod serve said\n{}", self.log());
        }
    }
}
