//! Starting a worker: to its script's first line, and to its answer.

use anyhow::Result;

use super::Effort;
use crate::process::answer;
use crate::programs::Programs;
use crate::samples::Samples;
use crate::table::{Column, Row, Table};

#[derive(Clone, Copy)]
enum Subject {
    Boot,
    BootWithBuffer,
    Isopod,
    Bare,
    Deno,
    Node,
}

const SUBJECTS: [(&str, Subject); 6] = [
    ("Isopod, on its thread, to the script's first line", Subject::Boot),
    (
        "Isopod with `nodejs_compat` and `Buffer`, on its thread, to the script's first line",
        Subject::BootWithBuffer,
    ),
    ("Isopod, a call with `Policy::PerRequest`", Subject::Isopod),
    ("Isopod's extensions without the snapshot, isolate only", Subject::Bare),
    ("Deno, `new Worker` to its first message", Subject::Deno),
    ("Node, `new Worker` to its first message", Subject::Node),
];

pub(super) fn measure(programs: &Programs, effort: &Effort) -> Result<Table> {
    eprintln!("a fresh worker");
    let starts = effort.starts.to_string();
    let medians = effort.medians(&SUBJECTS, |(_, subject)| {
        let mut command = match subject {
            Subject::Boot => programs.own(["boot"]),
            Subject::BootWithBuffer => programs.own(["boot", "--node"]),
            Subject::Isopod => programs.own(["fresh"]),
            Subject::Bare => programs.own(["bare"]),
            Subject::Deno => {
                let mut deno = programs.deno()?;
                deno.args(["run", "--quiet", "--allow-read"])
                    .arg(programs.peer_file("fresh-deno.js"));
                deno
            }
            Subject::Node => programs.node("fresh-node.mjs"),
        };
        let samples = Samples::new(answer::<Vec<f64>>(command.arg(&starts))?);
        Ok([50.0, 90.0].map(|percent| samples.percentile(percent) / 1e3).to_vec())
    })?;
    Ok(Table {
        title: "Worker start".to_owned(),
        how: format!(
            "{starts} a round, each after the previous one has ended: event loop, isolate and the script's code; except in the \
             first two rows, also a message and its answer."
        ),
        columns: Column::lower(["median, ms", "90 %, ms"]),
        rows: Row::all(SUBJECTS.map(|(subject, _)| subject), medians),
    })
}
