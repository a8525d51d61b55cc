//! Queues, calls between workers and large objects, in one process each.

use anyhow::Result;

use super::Effort;
use crate::process::answer;
use crate::programs::Programs;
use crate::samples::Samples;
use crate::table::{Better, Column, Row, Table};

pub(super) fn queue(programs: &Programs, effort: &Effort) -> Result<Table> {
    eprintln!("a queue");
    let messages = (effort.calls * 4).to_string();
    let subjects = ["Isopod, `env.QUEUE.sendBatch` on SQLite"];
    let medians = effort.medians(&subjects, |_| answer(programs.own(["queue"]).arg(&messages)))?;
    let column = |title| Column {
        title,
        better: Some(Better::Higher),
    };
    Ok(Table {
        title: "Messages of a queue".to_owned(),
        how: format!(
            "{messages} messages of 50 bytes a round, sent by four callers in batches of 100, each of which is on the disk when its \
             `sendBatch` resolves; another worker handles them in batches of 100."
        ),
        columns: vec![column("sent/s"), column("sent and handled/s")],
        rows: Row::all(subjects, medians),
    })
}

pub(super) fn service(programs: &Programs, effort: &Effort) -> Result<Table> {
    eprintln!("calls between workers");
    let calls = effort.calls.to_string();
    let subjects = ["Isopod, `await env.OTHER.add(1, 2)`"];
    let medians = effort.medians(&subjects, |_| {
        let samples = Samples::new(answer(programs.own(["service"]).arg(&calls))?);
        Ok([50.0, 90.0, 99.0].map(|percent| samples.percentile(percent)).to_vec())
    })?;
    Ok(Table {
        title: "Calls of another worker's method".to_owned(),
        how: format!("{calls} calls a round, one after another, between two workers on two threads; averages of 50."),
        columns: Column::lower(["median, µs", "90 %, µs", "99 %, µs"]),
        rows: Row::all(subjects, medians),
    })
}

pub(super) fn object(programs: &Programs, effort: &Effort) -> Result<Table> {
    eprintln!("a large object");
    let megabytes = effort.object_megabytes.to_string();
    let subjects = ["Isopod, `env.BUCKET` in a folder"];
    let medians = effort.medians(&subjects, |_| answer(programs.own(["object"]).arg(&megabytes)))?;
    let column = |title, better| Column {
        title,
        better: Some(better),
    };
    Ok(Table {
        title: "A large object".to_owned(),
        how: format!(
            "An object of {megabytes} MB, put as a stream of 64 KiB chunks, and read as a stream, by one worker."
        ),
        columns: vec![
            column("put, MB/s", Better::Higher),
            column("get, MB/s", Better::Higher),
            column("growth of memory at its largest, MiB", Better::Lower),
        ],
        rows: Row::all(subjects, medians),
    })
}
