//! Servers that answer the same request: requests per second, and CPU time per request.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use tempfile::TempDir;

use super::{Effort, wrk};
use crate::process::{Running, free_port};
use crate::programs::Programs;
use crate::table::{Row, Table};

/// The request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Hello,
    Headers,
    Hono,
    Echo,
    Fetch,
}

impl Route {
    const fn title(self) -> &'static str {
        match self {
            Self::Hello => "Hello world over HTTP",
            Self::Headers => "Reading the URL and three headers over HTTP",
            Self::Hono => "A Hono route with a JSON response over HTTP",
            Self::Echo => "Parsing and serializing 4 KB of JSON over HTTP",
            Self::Fetch => "Fetching 16 KB from a local origin and streaming it through, over HTTP",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Hello => "/",
            Self::Headers => "/some/path?query=7",
            Self::Hono => "/users/7",
            Self::Echo => "/echo",
            Self::Fetch => "/through",
        }
    }

    const fn script(self) -> &'static str {
        match self {
            Self::Hello => "hello.js",
            Self::Headers => "headers.js",
            Self::Hono => "hono.js",
            Self::Echo => "echo.js",
            Self::Fetch => "fetch.js",
        }
    }
}

#[derive(Clone, Copy)]
enum Server {
    Isopod,
    IsopodRouted,
    Workerd,
    Deno,
    Node,
    Hyper,
}

const SERVERS: [(&str, Server); 6] = [
    ("Isopod, `isopod serve`", Server::Isopod),
    ("the same, `pool.connections_per_worker = 0`", Server::IsopodRouted),
    ("workerd, `workerd serve`", Server::Workerd),
    ("Deno, `deno serve`", Server::Deno),
    ("Node, `node:http`", Server::Node),
    ("hyper alone, no JavaScript", Server::Hyper),
];

/// Before each turn, so that code is compiled and connections are open.
const WARM_UP: Duration = Duration::from_secs(1);

/// The folder with the served scripts, each bundled into one file that all servers get.
struct Served {
    folder: TempDir,
    /// The server that the script fetches from, if it does.
    origin: Option<Origin>,
}

/// A server on hyper alone that answers with 16 KB.
struct Origin {
    address: String,
    _running: Running,
}

impl Origin {
    fn start(programs: &Programs) -> Result<Self> {
        let port = free_port()?;
        let running = Running::until_listening(&mut programs.own(["hyper", &port.to_string()]), port)?;
        Ok(Self {
            address: format!("127.0.0.1:{port}"),
            _running: running,
        })
    }
}

impl Served {
    fn prepare(route: Route, programs: &Programs) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let origin = (route == Route::Fetch).then(|| Origin::start(programs)).transpose()?;
        let mut esbuild = programs.esbuild()?;
        esbuild
            .args(["--bundle", "--format=esm", "--log-level=error"])
            .arg(programs.peer_file(route.script()));
        if let Some(origin) = &origin {
            esbuild.arg(format!("--define:ORIGIN=\"http://{}/origin\"", origin.address));
        }
        esbuild.arg(format!("--outfile={}", folder.path().join("worker.js").display()));
        ensure!(esbuild.status()?.success(), "{} cannot be bundled", route.script());
        let network = origin.as_ref().map_or_else(String::new, |origin| {
            format!("network = {{ allow = [\"{}\"] }}\n", origin.address)
        });
        for (name, settings) in [("default", ""), ("routed", "pool = { connections_per_worker = 0 }\n")] {
            let project = folder.path().join(name);
            std::fs::create_dir(&project)?;
            std::fs::copy(folder.path().join("worker.js"), project.join("worker.js"))?;
            let settings = format!("name = \"worker\"\nmain = \"worker.js\"\n{network}{settings}");
            std::fs::write(project.join("isopod.toml"), settings)?;
        }
        std::fs::copy(programs.peer_file("workerd.capnp"), folder.path().join("workerd.capnp"))?;
        Ok(Self { folder, origin })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, server: Server, route: Route, port: u16, programs: &Programs) -> Result<Command> {
        let port_text = port.to_string();
        let address = format!("127.0.0.1:{port}");
        Ok(match server {
            Server::Isopod | Server::IsopodRouted => {
                let served = match server {
                    Server::IsopodRouted => "routed",
                    _ => "default",
                };
                programs.serve(&self.file(served), &address)?
            }
            Server::Workerd => programs.workerd(&self.file("workerd.capnp"), &address)?,
            Server::Deno => {
                let mut deno = programs.deno()?;
                deno.args(["serve", "--quiet", "--host", "127.0.0.1", "--port", &port_text]);
                if let Some(origin) = &self.origin {
                    deno.arg(format!("--allow-net={address},{}", origin.address));
                }
                deno.arg(self.file("worker.js"));
                deno
            }
            Server::Node => {
                let mut node = programs.node(if route == Route::Hono {
                    "hono-node.mjs"
                } else {
                    "http-node.mjs"
                });
                node.arg(port_text);
                if let Some(origin) = &self.origin {
                    node.arg(format!("http://{}/origin", origin.address));
                }
                node
            }
            Server::Hyper => programs.own(["hyper", &port_text]),
        })
    }
}

fn turn(route: Route, server: Server, served: &Served, programs: &Programs, effort: &Effort) -> Result<Vec<f64>> {
    let port = free_port()?;
    let running = Running::until_listening(&mut served.command(server, route, port, programs)?, port)?;
    let url = format!("http://127.0.0.1:{port}{}", route.path());
    let post = programs.peer_file("echo.lua");
    let script = (route == Route::Echo).then_some::<&OsStr>(Path::as_os_str(&post));
    wrk::measure(&running, WARM_UP, effort.load, |time| {
        wrk::load(&url, wrk::CONNECTIONS, time, script, &[])
    })
}

pub(super) fn measure(route: Route, programs: &Programs, effort: &Effort) -> Result<Table> {
    eprintln!("{}", route.title());
    let served = Served::prepare(route, programs)?;
    // hyper alone reads nothing of a request, and fetches nothing.
    let servers = match route {
        Route::Headers | Route::Fetch => &SERVERS[..SERVERS.len() - 1],
        _ => &SERVERS[..],
    };
    let medians = effort.medians(servers, |(_, server)| turn(route, *server, &served, programs, effort))?;
    Ok(Table {
        title: route.title().to_owned(),
        how: format!(
            "`wrk -t1 -c{} -d{}s` on the same machine, after {} s of warm-up. Processor time is the server's, user and \
             system, all threads and children.",
            wrk::CONNECTIONS,
            effort.load.as_secs(),
            WARM_UP.as_secs(),
        ),
        columns: wrk::columns(),
        rows: Row::all(servers.iter().map(|(subject, _)| *subject), medians),
    })
}
