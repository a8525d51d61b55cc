//! A call of a function that does nothing, beside Piscina's.

use std::process::Command;

use anyhow::Result;

use super::Effort;
use crate::process::answer;
use crate::programs::Programs;
use crate::samples::Samples;
use crate::table::{Better, Column, Row, Table};

const SUBJECTS: [&str; 3] = ["Isopod, `pool.call`", "Isopod's pool without V8", "Piscina, `pool.run`"];

/// The command of a subject.
fn command(subject: &str, mode: &str, programs: &Programs, effort: &Effort) -> Command {
    let calls = effort.calls.to_string();
    match subject {
        "Piscina, `pool.run`" => {
            let mut node = programs.node("piscina.mjs");
            node.args([mode, &calls]);
            node
        }
        "Isopod, `pool.call`" => programs.own([&*format!("call-{mode}"), &calls]),
        _ => programs.own([&*format!("fake-{mode}"), &calls]),
    }
}

fn rows(medians: Vec<Vec<f64>>) -> Vec<Row> {
    let row = |(subject, values): (&str, Vec<f64>)| Row {
        subject: subject.to_owned(),
        values,
    };
    SUBJECTS.into_iter().zip(medians).map(row).collect()
}

pub(super) fn latency(programs: &Programs, effort: &Effort) -> Result<Table> {
    eprintln!("a call, one caller");
    let medians = effort.medians(&SUBJECTS, |subject| {
        let samples = Samples::new(answer(&mut command(subject, "latency", programs, effort))?);
        Ok([50.0, 90.0, 99.0].map(|percent| samples.percentile(percent)).to_vec())
    })?;
    let column = |title| Column {
        title,
        better: Some(Better::Lower),
    };
    Ok(Table {
        title: "A call of an empty function, one caller".to_owned(),
        how: format!("Two warm workers, {} calls a round, one after the other.", effort.calls),
        columns: vec![column("median, µs"), column("90 %, µs"), column("99 %, µs")],
        rows: rows(medians),
    })
}

pub(super) fn throughput(programs: &Programs, effort: &Effort) -> Result<Table> {
    eprintln!("calls, 64 callers");
    let medians = effort.medians(&SUBJECTS, |subject| {
        Ok(vec![answer(&mut command(subject, "throughput", programs, effort))?])
    })?;
    Ok(Table {
        title: "Calls of an empty function, 64 callers on two workers".to_owned(),
        how: format!("{} calls a round; the callers share one thread.", effort.calls),
        columns: vec![Column {
            title: "calls/s",
            better: Some(Better::Higher),
        }],
        rows: rows(medians),
    })
}
