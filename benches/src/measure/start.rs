//! A process from start to end, with one result in between.

use std::process::Command;

use anyhow::Result;

use super::Effort;
use crate::process::whole_run;
use crate::programs::Programs;
use crate::samples::Samples;
use crate::table::{Better, Column, Row, Table};

/// Creates the command of a subject for each run.
type Make<'a> = Box<dyn Fn() -> Result<Command> + 'a>;

pub(super) fn measure(programs: &Programs, effort: &Effort) -> Result<Table> {
    eprintln!("processes");
    let isopod = programs.isopod()?;
    let script = programs.peer_file("run.js");
    let subjects: Vec<(&str, Make<'_>)> = vec![
        (
            "`isopod run`",
            Box::new(|| {
                let mut command = Command::new(&isopod);
                command.arg("run").arg(&script);
                Ok(command)
            }),
        ),
        (
            "a program that builds a pool and makes one call",
            Box::new(|| Ok(programs.own(["first"]))),
        ),
        (
            "`deno run`",
            Box::new(|| {
                let mut command = programs.deno()?;
                command.args(["run", "--quiet"]).arg(&script);
                Ok(command)
            }),
        ),
        ("`node`", Box::new(|| Ok(programs.node("run.js")))),
    ];
    let medians = effort.medians(&subjects, |(_, make)| {
        let runs = (0..effort.starts).map(|_| Ok(whole_run(&mut make()?)?.as_secs_f64() * 1e3));
        let samples = Samples::new(runs.collect::<Result<_>>()?);
        Ok([50.0, 90.0].map(|percent| samples.percentile(percent)).to_vec())
    })?;
    let column = |title| Column {
        title,
        better: Some(Better::Lower),
    };
    let rows = subjects.iter().zip(medians).map(|((subject, _), values)| Row {
        subject: (*subject).to_owned(),
        values,
    });
    Ok(Table {
        title: "Process start to exit with one result".to_owned(),
        how: format!("{} runs a round, from process start to exit.", effort.starts),
        columns: vec![column("median, ms"), column("90 %, ms")],
        rows: rows.collect(),
    })
}
