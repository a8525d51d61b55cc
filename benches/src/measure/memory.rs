//! Memory of each additional idle worker, including its thread.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::Effort;
use crate::process::Running;
use crate::programs::Programs;
use crate::table::{Column, Row, Table};

/// Enough to make random differences between runs negligible.
const MANY: u32 = 50;

/// Time for allocators and garbage collectors to settle.
const SETTLE: Duration = Duration::from_secs(1);

const SUBJECTS: [&str; 4] = [
    "Isopod",
    "Isopod with `nodejs_compat` and `Buffer`",
    "Deno, `Worker`",
    "Node, `worker_threads`",
];

/// The command of a subject; its last argument is the number of workers.
pub(super) fn command(subject: &str, programs: &Programs) -> Result<Command> {
    Ok(match subject {
        "Isopod" => programs.own(["idle"]),
        "Isopod with `nodejs_compat` and `Buffer`" => programs.own(["idle", "--node"]),
        "Deno, `Worker`" => {
            let mut deno = programs.deno()?;
            deno.args(["run", "--quiet", "--allow-read"])
                .arg(programs.peer_file("idle-deno.js"));
            deno
        }
        _ => programs.node("idle-node.mjs"),
    })
}

fn resident(subject: &str, workers: u32, programs: &Programs) -> Result<f64> {
    let workers = workers.to_string();
    let mut command = command(subject, programs)?;
    let running = Running::until_first_line(command.arg(workers))?;
    // tidy:allow(sleep): lets the process settle, or polls it.
    std::thread::sleep(SETTLE);
    Ok(running.resident_bytes()? / 1e6)
}

pub(super) fn measure(programs: &Programs, effort: &Effort) -> Result<Table> {
    eprintln!("memory of idle workers");
    let medians = effort.medians(&SUBJECTS, |subject| {
        let (one, many) = (resident(subject, 1, programs)?, resident(subject, MANY, programs)?);
        Ok(vec![(many - one) / f64::from(MANY - 1), one, many])
    })?;
    Ok(Table {
        title: "Memory of idle warm workers".to_owned(),
        how: format!(
            "Resident memory of a process with 1 and with {MANY} workers that have answered once, each on its own thread \
             (Isopod: with its I/O runtime of two threads)."
        ),
        columns: Column::lower(["each additional, MB", "with 1, MB", "with 50, MB"]),
        rows: Row::all(SUBJECTS, medians),
    })
}
