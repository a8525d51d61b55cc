//! A message that one worker publishes and another handles.

use anyhow::Result;

use super::Effort;
use crate::process::answer;
use crate::programs::Programs;
use crate::samples::Samples;
use crate::table::{Column, Row, Table};

const SUBJECTS: [&str; 1] = ["Isopod, `env.EVENTS.publish` to the other's `message`"];

pub(super) fn measure(programs: &Programs, effort: &Effort) -> Result<Table> {
    eprintln!("messages from worker to worker");
    let chains = (effort.calls / 50).to_string();
    let medians = effort.medians(&SUBJECTS, |_| {
        let samples = Samples::new(answer(programs.own(["events"]).arg(&chains))?);
        Ok([50.0, 90.0, 99.0].map(|percent| samples.percentile(percent)).to_vec())
    })?;
    Ok(Table {
        title: "Messages between workers".to_owned(),
        how: format!(
            "{chains} chains a round of eight hops each, between two workers on two threads; the time of one hop."
        ),
        columns: Column::lower(["median, µs", "90 %, µs", "99 %, µs"]),
        rows: Row::all(SUBJECTS, medians),
    })
}
