//! The activity of an idle pool.

use std::time::Duration;

use anyhow::Result;

use super::Effort;
use crate::process::Running;
use crate::programs::Programs;
use crate::table::{Column, Row, Table};

const WORKERS: u32 = 32;

/// Time for garbage collectors and allocators to settle.
const SETTLE: Duration = Duration::from_secs(5);

const SUBJECTS: [&str; 3] = ["Isopod", "Deno, `Worker`", "Node, `worker_threads`"];

pub(super) fn measure(programs: &Programs, effort: &Effort) -> Result<Table> {
    eprintln!("an idle pool");
    let watched = effort.idle;
    let medians = effort.medians(&SUBJECTS, |subject| {
        let workers = WORKERS.to_string();
        let mut command = super::memory::command(subject, programs)?;
        let running = Running::until_first_line(command.arg(workers))?;
        // tidy:allow(sleep): lets the process settle, or polls it.
        std::thread::sleep(SETTLE);
        let (switches, cpu) = (running.context_switches()?, running.cpu_time()?);
        // tidy:allow(sleep): lets the process settle, or polls it.
        std::thread::sleep(watched);
        // Of the remaining threads: the last switches of one that ended are unknown.
        let later = running.context_switches()?;
        let before = |thread| switches.get(thread).unwrap_or(&0);
        let switches: u64 = later
            .iter()
            .map(|(thread, count)| count.saturating_sub(*before(thread)))
            .sum();
        let cpu = running.cpu_time()? - cpu;
        let seconds = watched.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a count")]
        let switches = switches as f64 / seconds;
        Ok(vec![switches, cpu.as_secs_f64() / seconds * 100.0])
    })?;
    Ok(Table {
        title: format!("An idle pool of {WORKERS} workers"),
        how: format!(
            "All of them warm, watched from outside for {watched:?}: context switches of all threads, and processor time."
        ),
        columns: Column::lower(["wake-ups a second", "processor, % of a core"]),
        rows: Row::all(SUBJECTS, medians),
    })
}
