//! The servers that some packages are clients of: a PostgreSQL with TLS and a Redis, from Debian's packages, and an HTTP server.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::setup;
use crate::shell;

/// Running servers. They end when this is dropped.
pub(super) struct Services {
    folder: TempDir,
    postgres: Option<Postgres>,
    redis: Option<Child>,
    origin: Option<Child>,
    /// Environment variables for workers: names and values.
    pub(super) variables: Vec<(&'static str, String)>,
}

/// A PostgreSQL server, by its programs and its data.
struct Postgres {
    programs: PathBuf,
    data: PathBuf,
}

impl Services {
    /// Installs missing servers, and starts all of them.
    ///
    /// `folder`: that of the packages, with the script of the HTTP server.
    pub(super) fn start(folder: &Path) -> Result<Self> {
        setup::for_packages()?;
        let mut services = Self {
            folder: tempfile::tempdir()?,
            postgres: None,
            redis: None,
            origin: None,
            variables: Vec::new(),
        };
        services.start_postgres()?;
        services.start_redis()?;
        services.start_origin(folder)?;
        Ok(services)
    }

    fn start_postgres(&mut self) -> Result<()> {
        let programs = setup::postgres_programs().context("PostgreSQL is not installed")?;
        let folder = self.folder.path();
        if setup::is_root() {
            shell::capture(Command::new("chown").arg("postgres").arg(folder))?;
        }
        let data = folder.join("data");
        let server = Postgres { programs, data };
        server.command(
            "initdb",
            &["-U", "app", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"],
        )?;
        let (key, certificate) = (server.data.join("server.key"), server.data.join("server.crt"));
        server.certify(&key, &certificate)?;
        let port = free_port()?;
        let options = format!(
            "-p {port} -k {} -c listen_addresses=127.0.0.1 -c fsync=off -c ssl=on",
            folder.display()
        );
        let log = folder.join("log").display().to_string();
        server.command("pg_ctl", &["-o", &options, "-l", &log, "-w", "start"])?;
        self.variables.extend([
            ("POSTGRES_URL", format!("postgres://app@127.0.0.1:{port}/postgres")),
            ("POSTGRES_CA", fs::read_to_string(certificate)?),
        ]);
        self.postgres = Some(server);
        Ok(())
    }

    fn start_redis(&mut self) -> Result<()> {
        let port = free_port()?;
        let server = Command::new(shell::need("redis-server", "redis-server")?)
            .args(["--bind", "127.0.0.1", "--save", "", "--port", &port.to_string()])
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start redis-server")?;
        self.redis = Some(server);
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if begun.elapsed() > Duration::from_secs(30) {
                bail!("redis-server does not accept connections");
            }
            thread::sleep(Duration::from_millis(20));
        }
        self.variables.push(("REDIS_URL", format!("redis://127.0.0.1:{port}")));
        Ok(())
    }

    fn start_origin(&mut self, folder: &Path) -> Result<()> {
        let mut server = Command::new(shell::need("node", "nodejs")?)
            .arg("origin.js")
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start origin.js")?;
        let output = server.stdout.take().context("the output of origin.js")?;
        self.origin = Some(server);
        let mut address = String::new();
        BufReader::new(output).read_line(&mut address)?;
        self.variables.push(("ORIGIN_URL", address.trim().to_owned()));
        Ok(())
    }

    /// Writes the configuration of a worker that reaches the servers. Returns its folder.
    pub(super) fn configure(&self, root: &Path, worker: &Path) -> Result<PathBuf> {
        let name = worker.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let folder = self.folder.path().join(name);
        fs::create_dir_all(&folder)?;
        let vars: toml::Table = self
            .variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone().into()))
            .collect();
        let text = |path: &Path| path.display().to_string();
        let mut config = toml::Table::new();
        config.insert("main".into(), text(&root.join(worker)).into());
        config.insert("root".into(), text(root).into());
        config.insert("vars".into(), vars.into());
        config.insert("network".into(), toml::toml! { allow_private = true }.into());
        // Large packages start slowly on the development build.
        config.insert("limits".into(), toml::toml! { boot = "60s" }.into());
        fs::write(folder.join("isopod.toml"), config.to_string())?;
        Ok(folder)
    }
}

impl Postgres {
    /// Runs a program of the server, which refuses to run as root, the user in many containers.
    fn command(&self, program: &str, arguments: &[&str]) -> Result<()> {
        let program = self.programs.join(program);
        let mut command = if setup::is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        let folder = self.data.parent().unwrap_or(&self.data);
        command.current_dir(folder).arg("-D").arg(&self.data).args(arguments);
        // Not captured, because a server that keeps running would keep the pipe open.
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status()?;
        if !status.success() {
            bail!("{command:?} failed ({status})");
        }
        Ok(())
    }

    /// Creates a self-signed certificate.
    fn certify(&self, key: &Path, certificate: &Path) -> Result<()> {
        let mut openssl = Command::new(shell::need("openssl", "openssl")?);
        openssl
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"])
            .args([
                "-subj",
                "/CN=localhost",
                "-addext",
                "subjectAltName=DNS:localhost,IP:127.0.0.1",
            ])
            .arg("-keyout")
            .arg(key)
            .arg("-out")
            .arg(certificate);
        shell::capture(&mut openssl)?;
        shell::capture(Command::new("chmod").arg("600").arg(key))?;
        if setup::is_root() {
            shell::capture(Command::new("chown").arg("postgres").args([key, certificate]))?;
        }
        Ok(())
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        if let Some(server) = &self.postgres
            && let Err(error) = server.command("pg_ctl", &["-m", "immediate", "-w", "stop"])
        {
            shell::say(&format!("PostgreSQL goes on running: {error:#}"));
        }
        for server in [&mut self.redis, &mut self.origin].into_iter().flatten() {
            // The server may have ended already.
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
