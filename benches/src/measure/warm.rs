//! Memory and threads of a server with many workers that have answered and are idle.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::Effort;
use super::many::{Served, Server};
use crate::process::{Running, free_port};
use crate::programs::Programs;
use crate::table::{Column, Row, Table};

const MANY: usize = 1000;

const SERVERS: [(&str, Server); 2] = [
    ("Isopod, `isopod serve`", Server::Isopod),
    ("workerd, `workerd serve`", Server::Workerd),
];

/// Isopod gives free memory back after a worker was idle for five seconds.
const SETTLE: Duration = Duration::from_secs(8);

/// Requests a path, and waits for the whole answer.
fn get(port: u16, path: &str) -> Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    Ok(())
}

/// Resident megabytes and threads of a server with this many workers, each of which has answered once.
fn held(server: Server, workers: usize, programs: &Programs) -> Result<(f64, f64)> {
    let served = Served::prepare(workers)?;
    let port = free_port()?;
    let running = Running::until_listening(&mut served.command(server, port, programs)?, port)?;
    for worker in 0..workers {
        get(port, &format!("/w{worker}/")).with_context(|| format!("worker {worker} of {workers}"))?;
    }
    // tidy:allow(sleep): lets the process settle, or polls it.
    std::thread::sleep(SETTLE);
    #[expect(clippy::cast_precision_loss, reason = "a count")]
    Ok((running.resident_bytes()? / 1e6, running.threads()? as f64))
}

pub(super) fn measure(programs: &Programs, effort: &Effort) -> Result<Table> {
    eprintln!("memory of {MANY} idle workers of a server");
    let medians = effort.medians(&SERVERS, |(_, server)| {
        let (one, threads_of_one) = held(*server, 1, programs)?;
        let (many, threads) = held(*server, MANY, programs)?;
        #[expect(clippy::cast_precision_loss, reason = "a count")]
        let further = (MANY - 1) as f64;
        Ok(vec![
            (many - one) / further,
            (threads - threads_of_one) / further,
            one,
            many,
        ])
    })?;
    Ok(Table {
        title: format!("{MANY} warm idle workers of a server"),
        how: format!(
            "Resident memory and threads of a server with 1 and with {MANY} workers of as many scripts, which have answered \
             once and have been idle for {} s. Default settings.",
            SETTLE.as_secs()
        ),
        columns: Column::lower([
            "each further, MB",
            "threads of each further",
            "with 1, MB",
            "with 1,000, MB",
        ]),
        rows: Row::all(SERVERS.map(|(subject, _)| subject), medians),
    })
}
