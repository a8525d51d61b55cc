//! Calls of an empty function, and of one with small objects as argument and result, next to Piscina's.

use std::process::Command;

use anyhow::Result;

use super::Effort;
use crate::own::Function;
use crate::process::answer;
use crate::programs::Programs;
use crate::samples::Samples;
use crate::table::{Better, Column, Row, Table};

#[derive(Clone, Copy)]
enum Subject {
    /// With this many workers.
    Isopod(usize),
    /// The pool without V8.
    Fake,
    /// With two workers.
    Piscina,
}

impl Subject {
    fn name(self) -> String {
        match self {
            Self::Isopod(2) => "Isopod, `pool.call`".to_owned(),
            Self::Isopod(workers) => format!("Isopod, `pool.call`, on {workers}"),
            Self::Fake => "Isopod's pool without V8".to_owned(),
            Self::Piscina => "Piscina, `pool.run`".to_owned(),
        }
    }

    fn command(self, mode: &str, function: Function, programs: &Programs, effort: &Effort) -> Command {
        let calls = effort.calls.to_string();
        match self {
            Self::Isopod(workers) => {
                programs.own([&*format!("call-{mode}"), function.name(), &workers.to_string(), &calls])
            }
            Self::Fake => programs.own([&*format!("fake-{mode}"), &calls]),
            Self::Piscina => {
                let mut node = programs.node("piscina.mjs");
                node.args([mode, function.name(), &calls]);
                node
            }
        }
    }
}

fn about(function: Function) -> &'static str {
    match function {
        Function::Nothing => "an empty function",
        Function::Total => "a function with structured values",
        Function::Work => "a function that computes for 0.1 ms",
    }
}

fn rows(subjects: &[Subject], medians: Vec<Vec<f64>>) -> Vec<Row> {
    let row = |(subject, values): (&Subject, Vec<f64>)| Row {
        subject: subject.name(),
        values,
    };
    subjects.iter().zip(medians).map(row).collect()
}

pub(super) fn latency(programs: &Programs, effort: &Effort, function: Function) -> Result<Table> {
    eprintln!("a call, one caller");
    let subjects: &[Subject] = match function {
        Function::Nothing => &[Subject::Isopod(2), Subject::Fake, Subject::Piscina],
        Function::Total | Function::Work => &[Subject::Isopod(2), Subject::Piscina],
    };
    let medians = effort.medians(subjects, |subject| {
        let samples = Samples::new(answer(&mut subject.command("latency", function, programs, effort))?);
        Ok([50.0, 90.0, 99.0].map(|percent| samples.percentile(percent)).to_vec())
    })?;
    let column = |title| Column {
        title,
        better: Some(Better::Lower),
    };
    Ok(Table {
        title: format!("Calls of {}, one caller", about(function)),
        how: format!("Two warm workers, {} sequential calls a round.", effort.calls),
        columns: vec![column("median, µs"), column("90 %, µs"), column("99 %, µs")],
        rows: rows(subjects, medians),
    })
}

pub(super) fn throughput(programs: &Programs, effort: &Effort, function: Function) -> Result<Table> {
    eprintln!("calls, 64 callers");
    let subjects: &[Subject] = match function {
        Function::Nothing => &[Subject::Isopod(2), Subject::Fake, Subject::Piscina],
        Function::Total | Function::Work => &[Subject::Isopod(2), Subject::Isopod(1), Subject::Piscina],
    };
    let medians = effort.medians(subjects, |subject| {
        Ok(vec![answer(&mut subject.command(
            "throughput",
            function,
            programs,
            effort,
        ))?])
    })?;
    Ok(Table {
        title: format!("Calls of {}, 64 callers on two workers", about(function)),
        how: format!("{} calls a round; the callers share a thread.", effort.calls),
        columns: vec![Column {
            title: "calls/s",
            better: Some(Better::Higher),
        }],
        rows: rows(subjects, medians),
    })
}
