//! Renders the scenarios as a Markdown table.

use std::fmt::Write;

use anyhow::{Context, Result};

use super::junit::Results;
use super::rows::{Promise, Row, Rows};

const START: &str = "<!-- hostile: written by `cargo xtask hostile` -->\n";
const END: &str = "<!-- end of hostile -->\n";

impl Rows {
    /// Renders the table.
    pub(super) fn table(&self, results: &Results) -> String {
        let mut text = "| # | scenario | expected | tests | |\n|---|---|---|---|---|\n".to_owned();
        let mut part = "";
        for row in &self.0 {
            if row.part != part {
                part = &row.part;
                // Writing to a String cannot fail.
                let _ = writeln!(text, "| | **{part}** | | | |");
            }
            let _ = writeln!(text, "{}", line(row, results));
        }
        text
    }
}

fn line(row: &Row, results: &Results) -> String {
    let shown: Vec<_> = row
        .tests
        .iter()
        .map(|test| format!("`{}`{}", test.name, if test.nightly { " (nightly)" } else { "" }))
        .collect();
    let comes = match &row.promise {
        Promise::Kept(expected) | Promise::Open(expected) => expected.clone(),
        Promise::None(why) => format!("*not promised*: {why}"),
    };
    format!(
        "| {} | {} | {comes} | {} | {} |",
        row.number,
        row.scenario,
        shown.join("<br>"),
        verdict(row, results)
    )
}

/// Nightly tests are not judged here: they do not run together with the others.
fn verdict(row: &Row, results: &Results) -> &'static str {
    let daily = row.tests.iter().filter(|test| !test.nightly);
    let results: Vec<_> = daily.map(|test| results.of(test)).collect();
    match &row.promise {
        Promise::None(_) if row.tests.is_empty() => "",
        Promise::Open(_) => "**open**",
        Promise::Kept(_) if row.tests.is_empty() => "**no test**",
        _ if results.is_empty() => "nightly",
        _ if results.contains(&Some(false)) => "**failed**",
        _ if results.contains(&None) => "**not run**",
        _ => "passed",
    }
}

/// Replaces the table between the document's markers.
pub(super) fn put(document: &str, table: &str) -> Result<String> {
    let missing = || format!("the document lacks the line {START}or the line {END}");
    let (before, rest) = document.split_once(START).with_context(missing)?;
    let (_, after) = rest.split_once(END).with_context(missing)?;
    Ok(format!("{before}{START}\n{table}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_table_replaces_the_old_one() {
        let once = put(&format!("a\n{START}{END}b\n"), "| 1 |\n").expect("markers");
        assert_eq!(once, format!("a\n{START}\n| 1 |\n\n{END}b\n"));
        assert_eq!(put(&once, "| 1 |\n").expect("markers"), once);
        assert!(put("a\n", "| 1 |\n").is_err());
    }

    #[test]
    fn a_row_shows_the_result_of_its_tests() {
        let test = super::super::case::Test {
            package: "p".to_owned(),
            name: "holds".to_owned(),
            nightly: false,
        };
        let mut row = Row {
            number: 8,
            part: "script".to_owned(),
            scenario: "s".to_owned(),
            promise: Promise::Kept("e".to_owned()),
            tests: vec![test],
        };
        let passed = Results::parse("<testcase name=\"m::holds\" classname=\"p\"></testcase>");
        assert_eq!(line(&row, &passed), "| 8 | s | e | `holds` | passed |");
        let failed = Results::parse("<testcase name=\"m::holds\" classname=\"p\"><failure/></testcase>");
        assert!(line(&row, &failed).ends_with("| **failed** |"));
        assert!(line(&row, &Results::default()).ends_with("| **not run** |"));
        row.tests[0].nightly = true;
        assert!(line(&row, &Results::default()).ends_with("| `holds` (nightly) | nightly |"));
        row.tests.clear();
        assert!(line(&row, &passed).ends_with("| **no test** |"));
        row.promise = Promise::None("w".to_owned());
        assert_eq!(line(&row, &passed), "| 8 | s | *not promised*: w |  |  |");
    }
}
