//! Calls between two workers of a server, by a service binding.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;

use super::{Effort, wrk};
use crate::process::{Running, free_port};
use crate::programs::Programs;
use crate::table::{Better, Column, Row, Table};

/// Calls of a request (`calls.js`).
const CALLS: f64 = 100.0;
/// Before each turn, so that code is compiled.
const WARM_UP: Duration = Duration::from_secs(1);

#[derive(Clone, Copy)]
enum Server {
    Isopod,
    Workerd,
}

const SUBJECTS: [(&str, Server, &str); 4] = [
    ("Isopod, `await env.OTHER.add(sum, 1)`", Server::Isopod, "rpc"),
    ("workerd, the same", Server::Workerd, "rpc"),
    (
        "Isopod, `await env.OTHER.fetch(url)` and its text",
        Server::Isopod,
        "fetch",
    ),
    ("workerd, the same", Server::Workerd, "fetch"),
];

const CONFIGURATION: &str = "[workers.calls]\nmain = 'calls.js'\nservices = [{ binding = 'OTHER', service = 'called' }]\n\
    [workers.called]\nmain = 'called.js'\n[[routes]]\npath = '/*'\nworker = 'calls'\n";

fn prepare(programs: &Programs) -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    for name in ["calls.js", "called.js", "workerd-calls.capnp"] {
        std::fs::copy(programs.peer_file(name), folder.path().join(name))?;
    }
    std::fs::write(folder.path().join("isopod.toml"), CONFIGURATION)?;
    Ok(folder)
}

fn command(server: Server, folder: &Path, port: u16, programs: &Programs) -> Result<Command> {
    let address = format!("127.0.0.1:{port}");
    match server {
        Server::Isopod => programs.serve(folder, &address),
        Server::Workerd => programs.workerd(&folder.join("workerd-calls.capnp"), &address),
    }
}

pub(super) fn measure(programs: &Programs, effort: &Effort) -> Result<Table> {
    eprintln!("calls between workers of a server");
    let folder = prepare(programs)?;
    let medians = effort.medians(&SUBJECTS, |(_, server, kind)| {
        let port = free_port()?;
        let running = Running::until_listening(&mut command(*server, folder.path(), port, programs)?, port)?;
        let url = format!("http://127.0.0.1:{port}/{kind}");
        let mut values = Vec::new();
        for connections in [1, wrk::CONNECTIONS] {
            let load = |time| wrk::load(&url, connections, time, None, &[]);
            let measured = wrk::measure(&running, WARM_UP, effort.load, load)?;
            let (requests, processor) = (measured[0], measured[1]);
            values.push(match connections {
                1 => 1e6 / requests / CALLS,
                _ => requests * CALLS,
            });
            values.push(processor / CALLS);
        }
        Ok(values)
    })?;
    let column = |title, better| Column {
        title,
        better: Some(better),
    };
    Ok(Table {
        title: "Calls between two workers of a server".to_owned(),
        how: format!(
            "A request makes {CALLS} calls of another worker, one after another; `wrk -t1 -c1 -d{seconds}s`, then `-c{many}`. Processor \
             time is the server's, user and system, all threads, with the request's own part.",
            seconds = effort.load.as_secs(),
            many = wrk::CONNECTIONS,
        ),
        columns: vec![
            column("one caller: µs a call", Better::Lower),
            column("processor time a call, µs", Better::Lower),
            column("32 callers: calls/s", Better::Higher),
            column("processor time a call, µs", Better::Lower),
        ],
        rows: Row::all(SUBJECTS.map(|(subject, ..)| subject), medians),
    })
}
