//! A NATS server for one test.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The time that the program has to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server on a port of its own, with JetStream.
pub(crate) struct Nats {
    folder: TempDir,
    port: u16,
    process: Mutex<Option<Child>>,
}

impl Nats {
    pub(crate) fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Self {
            folder: TempDir::new().unwrap(),
            port,
            process: Mutex::default(),
        };
        server.run();
        server
    }

    /// Starts the server on its data.
    pub(crate) fn run(&self) {
        let process = Command::new(program())
            .args(["-a", "127.0.0.1", "-js", "--user", "app", "--pass", "hidden"])
            .args(["-p", &self.port.to_string()])
            .arg("-sd")
            .arg(self.folder.path())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(self.folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(process);
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(begun.elapsed() < PATIENCE, "NATS has not started");
            // tidy:allow(sleep): between two checks of a condition in another process, which cannot signal it
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends the server at once, as a crash does.
    pub(crate) fn crash(&self) {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut process) = process {
            drop(process.kill());
            drop(process.wait());
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://app:hidden@127.0.0.1:{}", self.port)
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.crash();
    }
}

/// The program, in the folder that `cargo xtask test` installs servers in.
fn program() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("the target folder");
    let program = target.join("servers/bin/nats-server");
    assert!(
        program.is_file(),
        "{} is not there: `cargo xtask test` installs what the tests need",
        program.display()
    );
    program
}
