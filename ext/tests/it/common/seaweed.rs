//! SeaweedFS for one test: a service with the interface of S3.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The time that the program has to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server on ports of its own. Buckets are created when they are first written to.
pub(crate) struct Seaweed {
    folder: TempDir,
    process: Option<Child>,
    ports: Vec<u16>,
}

impl Seaweed {
    /// The access key's id and its secret.
    pub(crate) const CREDENTIALS: (&'static str, &'static str) = ("test-key", "test-secret");

    pub(crate) fn start() -> Self {
        let mut server = Self::stopped();
        server.run();
        server
    }

    /// One that has its ports, and does not run yet.
    pub(crate) fn stopped() -> Self {
        let folder = TempDir::new().unwrap();
        let (id, secret) = Self::CREDENTIALS;
        let identities = format!(
            r#"{{"identities":[{{"name":"test","credentials":[{{"accessKey":"{id}","secretKey":"{secret}"}}],
            "actions":["Admin","Read","Write","List","Tagging"]}}]}}"#
        );
        let config = folder.path().join("s3.json");
        std::fs::write(&config, identities).unwrap();
        // All are taken before the first is given back.
        let taken: Vec<_> = (0..8).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports: Vec<_> = taken.iter().map(|one| one.local_addr().unwrap().port()).collect();
        drop(taken);
        Self {
            folder,
            process: None,
            ports,
        }
    }

    pub(crate) fn run(&mut self) {
        let folder = self.folder.path();
        let names = [
            "master.port",
            "master.port.grpc",
            "volume.port",
            "volume.port.grpc",
            "filer.port",
            "filer.port.grpc",
            "s3.port",
            "s3.port.grpc",
        ];
        let ports_of = names
            .iter()
            .zip(&self.ports)
            .map(|(name, port)| format!("-{name}={port}"));
        let process = Command::new(program())
            .args(["server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"])
            .args(["-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.iam=false"])
            .args(["-volume.max=50", "-master.volumeSizeLimitMB=64"])
            .arg(format!("-dir={}", folder.display()))
            .arg(format!("-s3.config={}", folder.join("s3.json").display()))
            .args(ports_of)
            .current_dir(folder)
            .env("HOME", folder)
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.join("log")).unwrap())
            .spawn()
            .unwrap();
        self.process = Some(process);
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.ports[6])).is_err() {
            assert!(begun.elapsed() < PATIENCE, "SeaweedFS has not started");
            // tidy:allow(sleep): between two checks of a condition in another process, which cannot signal it
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[6])
    }
}

impl Drop for Seaweed {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            drop(process.kill());
            drop(process.wait());
        }
    }
}

/// The program, in the folder that `cargo xtask test` installs servers in.
fn program() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("the target folder");
    let program = target.join("servers/bin/weed");
    assert!(
        program.is_file(),
        "{} is not there: `cargo xtask test` installs what the tests need",
        program.display()
    );
    program
}
