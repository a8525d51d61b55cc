//! What a request needs from storage, over HTTP: a key, a row, a file.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;

use super::{Effort, wrk};
use crate::process::{Running, free_port};
use crate::programs::Programs;
use crate::table::{Row, Table};

/// The thing that each request needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    Key,
    Row,
    File,
}

#[derive(Clone, Copy)]
enum Server {
    Isopod,
    Miniflare,
    Workerd,
    Plain,
}

impl Needs {
    const fn title(self) -> &'static str {
        match self {
            Self::Key => "A key of KV over HTTP",
            Self::Row => "A row of D1 over HTTP",
            Self::File => "A static asset of 16 KB over HTTP",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Key => "/kv",
            Self::Row => "/d1",
            Self::File => "/page.html",
        }
    }

    const fn servers(self) -> &'static [(&'static str, Server)] {
        match self {
            Self::Key | Self::Row => &[
                ("Isopod, `isopod serve`", Server::Isopod),
                ("miniflare", Server::Miniflare),
                ("hyper and rusqlite, no JavaScript", Server::Plain),
            ],
            Self::File => &[
                ("Isopod, `isopod serve`", Server::Isopod),
                ("workerd, a disk service", Server::Workerd),
                (
                    "hyper and `tower_http::services::ServeDir`, no JavaScript",
                    Server::Plain,
                ),
            ],
        }
    }
}

const WARM_UP: Duration = Duration::from_secs(1);
const CONFIGURATION: &str = "name = 'worker'\nmain = 'storage.js'\nkv_namespaces = [{ binding = 'KV' }]\n\
    databases = [{ binding = 'DB', url = 'sqlite:db.sqlite' }]\n";

/// The folders of the servers.
struct Folders {
    folder: TempDir,
    isopod: PathBuf,
}

impl Folders {
    fn prepare(programs: &Programs) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        for name in ["worker", "site", "plain", "miniflare"] {
            std::fs::create_dir(folder.path().join(name))?;
        }
        let worker = folder.path().join("worker");
        std::fs::copy(programs.peer_file("storage.js"), worker.join("storage.js"))?;
        std::fs::write(worker.join("isopod.toml"), CONFIGURATION)?;
        std::fs::write(folder.path().join("site/page.html"), "x".repeat(16 << 10))?;
        let capnp = std::fs::read_to_string(programs.peer_file("workerd-disk.capnp"))?;
        let site = folder.path().join("site").display().to_string();
        std::fs::write(folder.path().join("workerd.capnp"), capnp.replace("SITE", &site))?;
        Ok(Self {
            folder,
            isopod: programs.isopod()?,
        })
    }

    fn command(&self, needs: Needs, server: Server, port: u16, programs: &Programs) -> Result<Command> {
        let folder = |name: &str| self.folder.path().join(name);
        let (port_text, address) = (port.to_string(), format!("127.0.0.1:{port}"));
        Ok(match server {
            Server::Isopod => {
                let mut isopod = Command::new(&self.isopod);
                let served = folder(if needs == Needs::File { "site" } else { "worker" });
                isopod
                    .arg("serve")
                    .arg(served)
                    .args(["--listen", &address, "--log", "warn"]);
                isopod
            }
            Server::Miniflare => {
                let mut node = programs.node("miniflare.mjs");
                node.arg(&port_text).arg(folder("miniflare"));
                node
            }
            Server::Workerd => programs.workerd(&folder("workerd.capnp"), &address)?,
            Server::Plain if needs == Needs::File => {
                let mut own = programs.own(["files", &port_text]);
                own.arg(folder("site"));
                own
            }
            Server::Plain => {
                let mut own = programs.own(["rows", &port_text]);
                own.arg(tempfile::tempdir_in(folder("plain"))?.keep());
                own
            }
        })
    }
}

pub(super) fn measure(needs: Needs, programs: &Programs, effort: &Effort) -> Result<Table> {
    eprintln!("{}", needs.title());
    let folders = Folders::prepare(programs)?;
    let servers = needs.servers();
    let medians = effort.medians(servers, |(_, server)| {
        let port = free_port()?;
        let running = Running::until_listening(&mut folders.command(needs, *server, port, programs)?, port)?;
        if needs != Needs::File && !matches!(server, Server::Plain) {
            let filled = wrk::once(&format!("http://127.0.0.1:{port}/fill"));
            filled?;
        }
        let url = format!("http://127.0.0.1:{port}{}", needs.path());
        wrk::measure(&running, WARM_UP, effort.load, |time| {
            wrk::load(&url, wrk::CONNECTIONS, time, None, &[])
        })
    })?;
    Ok(Table {
        title: needs.title().to_owned(),
        how: format!(
            "`wrk -t1 -c{} -d{}s` on the same machine, after {} s of warm-up; one of 1,000 keys or rows at random. Processor time is the \
             server's, user and system, all threads and children.",
            wrk::CONNECTIONS,
            effort.load.as_secs(),
            WARM_UP.as_secs(),
        ),
        columns: wrk::columns(),
        rows: Row::all(servers.iter().map(|(subject, _)| *subject), medians),
    })
}
