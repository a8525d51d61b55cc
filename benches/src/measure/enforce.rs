//! The cost of limits, and how late they are enforced.

use anyhow::Result;

use super::Effort;
use crate::process::answer;
use crate::programs::Programs;
use crate::samples::Samples;
use crate::table::{Column, Row, Table};

pub(super) fn enforced(programs: &Programs, effort: &Effort) -> Result<Table> {
    eprintln!("hello world, limits off and on");
    let blocks = effort.starts * 5;
    let pairs: Vec<(f64, f64)> = answer(programs.own(["enforced"]).arg(blocks.to_string()))?;
    let median = |of: fn(&(f64, f64)) -> f64| Samples::new(pairs.iter().map(of).collect()).median();
    let (off, on, ratio) = (
        median(|pair| pair.0),
        median(|pair| pair.1),
        median(|pair| pair.1 / pair.0),
    );
    Ok(Table {
        title: "Cost of limits".to_owned(),
        how: format!(
            "`pool.fetch` without HTTP, where the watchdog and the memory gauge are a larger part of the cost than in a request \
             to a server. {blocks} pairs of blocks of 6,400 requests by 64 callers, one worker each, alternating in one \
             process; medians of the blocks. The median of the pairs' ratios: {ratio:.3}."
        ),
        columns: Column::lower(["µs a request"]),
        rows: Row::all(["limits off", "limits on"], vec![vec![off], vec![on]]),
    })
}

pub(super) fn breach(programs: &Programs, effort: &Effort) -> Result<Table> {
    eprintln!("endless loops on all processors");
    let loops = effort.starts;
    let late: Vec<(f64, bool)> = answer(programs.own(["breach"]).arg(loops.to_string()))?;
    let of = |late: Vec<f64>| {
        let late = Samples::new(late);
        [50.0, 99.0, 100.0].map(|percent| late.percentile(percent)).to_vec()
    };
    let all = of(late.iter().map(|late| late.0).collect());
    let undisturbed: Vec<_> = late.iter().filter(|late| !late.1).map(|late| late.0).collect();
    let name = format!(
        "those undisturbed by the hypervisor ({} of {})",
        undisturbed.len(),
        late.len()
    );
    Ok(Table {
        title: "Termination of endless loops".to_owned(),
        how: format!(
            "One loop on every processor at any time, {loops} each, with a limit of 100 ms of CPU time: the wall time from the \
             limit to the caller's answer, less the time for which the loop's thread waited for a processor. A hypervisor may \
             take processors away, which these numbers cannot exclude."
        ),
        columns: Column::lower(["median, ms", "99 %, ms", "longest, ms"]),
        rows: Row::all(["all", name.as_str()], vec![all, of(undisturbed)]),
    })
}
