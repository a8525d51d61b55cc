//! Servers of many scripts: each request goes to another one.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;

use super::{Effort, wrk};
use crate::process::{Running, free_port};
use crate::programs::Programs;
use crate::table::{Row, Table};

/// The scripts, and the order in which they are requested.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scripts {
    /// 32, one after another.
    Turn,
    /// 1,000, by Zipf's law.
    Zipf,
}

impl Scripts {
    const fn count(self) -> usize {
        match self {
            Self::Turn => 32,
            Self::Zipf => 1000,
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Turn => "32 scripts in turn over HTTP",
            Self::Zipf => "1,000 scripts by Zipf's law over HTTP",
        }
    }

    const fn order(self) -> &'static str {
        match self {
            Self::Turn => "turn",
            Self::Zipf => "zipf",
        }
    }
}

#[derive(Clone, Copy)]
pub(super) enum Server {
    Isopod,
    Workerd,
    /// Isopod with one of the scripts.
    One,
}

const SERVERS: [(&str, Server); 3] = [
    ("Isopod, `isopod serve`", Server::Isopod),
    (
        "workerd, `workerd serve`, a worker that routes by service bindings",
        Server::Workerd,
    ),
    ("Isopod, the same requests of one script", Server::One),
];

/// Before each turn: every script starts.
const WARM_UP: Duration = Duration::from_secs(4);

/// The configurations and scripts of all servers.
pub(super) struct Served(TempDir);

impl Served {
    pub(super) fn prepare(count: usize) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path();
        for n in 0..count {
            let script = format!("export default {{ fetch: () => new Response('hello from {n}') }};\n");
            fs::write(path.join(format!("w{n}.js")), script)?;
        }
        fs::write(path.join("isopod.toml"), isopod_toml(count)?)?;
        fs::write(path.join("router.js"), ROUTER)?;
        fs::write(path.join("workerd.capnp"), workerd_capnp(count)?)?;
        let one = path.join("one");
        fs::create_dir(&one)?;
        fs::copy(path.join("w0.js"), one.join("w0.js"))?;
        Ok(Self(folder))
    }

    pub(super) fn command(&self, server: Server, port: u16, programs: &Programs) -> Result<Command> {
        let address = format!("127.0.0.1:{port}");
        let folder = self.0.path();
        Ok(match server {
            Server::Isopod | Server::One => {
                let served = match server {
                    Server::One => folder.join("one/w0.js"),
                    _ => folder.to_owned(),
                };
                programs.serve(&served, &address)?
            }
            Server::Workerd => programs.workerd(&folder.join("workerd.capnp"), &address)?,
        })
    }
}

const ROUTER: &str = "export default {
  fetch(request, env) {
    const { pathname } = new URL(request.url);
    return env[pathname.slice(1, pathname.indexOf('/', 1))].fetch(request);
  },
};
";

fn isopod_toml(count: usize) -> Result<String> {
    let mut toml = String::new();
    for n in 0..count {
        writeln!(toml, "[workers.w{n}]\nmain = \"w{n}.js\"")?;
        writeln!(toml, "[[routes]]\npath = \"/w{n}/*\"\nworker = \"w{n}\"")?;
    }
    Ok(toml)
}

fn workerd_capnp(count: usize) -> Result<String> {
    let mut services = String::new();
    let mut bindings = String::new();
    let mut workers = String::new();
    for n in 0..count {
        writeln!(services, "    (name = \"w{n}\", worker = .w{n}),")?;
        writeln!(bindings, "    (name = \"w{n}\", service = \"w{n}\"),")?;
        writeln!(
            workers,
            "const w{n} :Workerd.Worker = (modules = [(name = \"w{n}.js\", esModule = embed \"w{n}.js\")], compatibilityDate = \"2026-01-01\");"
        )?;
    }
    Ok(format!(
        "using Workerd = import \"/workerd/workerd.capnp\";
const config :Workerd.Config = (
  services = [
    (name = \"main\", worker = .router),
{services}  ],
  sockets = [(name = \"http\", address = \"127.0.0.1:0\", http = (), service = \"main\")],
);
const router :Workerd.Worker = (
  modules = [(name = \"router.js\", esModule = embed \"router.js\")],
  compatibilityDate = \"2026-01-01\",
  bindings = [
{bindings}  ],
);
{workers}"
    ))
}

fn turn(scripts: Scripts, server: Server, served: &Served, programs: &Programs, effort: &Effort) -> Result<Vec<f64>> {
    let port = free_port()?;
    let running = Running::until_listening(&mut served.command(server, port, programs)?, port)?;
    let url = format!("http://127.0.0.1:{port}/");
    let script = programs.peer_file("many.lua");
    let count = scripts.count().to_string();
    wrk::measure(&running, WARM_UP, effort.load, |time| {
        wrk::load(
            &url,
            wrk::CONNECTIONS,
            time,
            Some(script.as_os_str()),
            &[&count, scripts.order()],
        )
    })
}

pub(super) fn measure(scripts: Scripts, programs: &Programs, effort: &Effort) -> Result<Table> {
    eprintln!("{}", scripts.title());
    let served = Served::prepare(scripts.count())?;
    let medians = effort.medians(&SERVERS, |(_, server)| {
        turn(scripts, *server, &served, programs, effort)
    })?;
    Ok(Table {
        title: scripts.title().to_owned(),
        how: format!(
            "`wrk -t1 -c{} -d{}s` on the same machine, after {} s of warm-up; every connection requests all scripts. Default \
             settings.",
            wrk::CONNECTIONS,
            effort.load.as_secs(),
            WARM_UP.as_secs(),
        ),
        columns: wrk::columns(),
        rows: Row::all(SERVERS.map(|(subject, _)| subject), medians),
    })
}
