//! Results of the suite, and their table.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde_json::Value;

const BEGIN: &str = "<!-- autobahn: written by `cargo xtask autobahn` -->\n";
const END: &str = "<!-- end of autobahn -->\n";

/// The groups of cases, by their first number.
const GROUPS: [(u32, &str); 9] = [
    (1, "framing"),
    (2, "pings and pongs"),
    (3, "reserved bits"),
    (4, "opcodes"),
    (5, "fragmentation"),
    (6, "UTF-8"),
    (7, "close handshake"),
    (9, "large messages, many messages"),
    (10, "automatic fragmentation"),
];

/// The behavior in each case, by its number: `OK`, `NON-STRICT`, `INFORMATIONAL`, `FAILED` and others.
pub(super) struct Results(BTreeMap<Vec<u32>, (String, String)>);

impl Results {
    /// Reads the suite's index of one agent.
    pub(super) fn of(index: &Value) -> Result<Self> {
        let cases = index.as_object().and_then(|agents| agents.values().next()?.as_object());
        let mut results = BTreeMap::new();
        for (case, result) in cases.context("the results of the suite have no agent")? {
            let number: Result<Vec<u32>, _> = case.split('.').map(str::parse).collect();
            let text = |name: &str| result[name].as_str().unwrap_or("FAILED").to_owned();
            results.insert(number?, (text("behavior"), text("behaviorClose")));
        }
        Ok(Self(results))
    }

    /// Returns the cases that were not passed.
    pub(super) fn failed(&self) -> Vec<String> {
        let passed = ["OK", "NON-STRICT", "INFORMATIONAL"];
        let failed = self
            .0
            .iter()
            .filter(|(_, (behavior, close))| !passed.contains(&behavior.as_str()) || !passed.contains(&close.as_str()));
        failed.map(|(number, _)| show(number)).collect()
    }

    /// Returns the cells of a group: passed, passed less strictly, informational, failed.
    fn cells(&self, group: u32) -> String {
        let of = |wanted: &str| -> Vec<String> {
            let cases = self.0.iter().filter(|(number, _)| number[0] == group);
            let cases = cases.filter(|(_, (behavior, _))| behavior == wanted);
            cases.map(|(number, _)| show(number)).collect()
        };
        let mut cells = of("OK").len().to_string();
        for (name, cases) in [
            ("non-strict", of("NON-STRICT")),
            ("informational", of("INFORMATIONAL")),
            ("**failed**", of("FAILED")),
        ] {
            if !cases.is_empty() {
                let _ = write!(cells, "; {name}: {}", cases.join(", "));
            }
        }
        cells
    }
}

fn show(number: &[u32]) -> String {
    let numbers: Vec<_> = number.iter().map(u32::to_string).collect();
    numbers.join(".")
}

/// Puts the table into the document.
pub(super) fn put(document: &str, server: &Results, client: &Results) -> Result<String> {
    let (before, rest) = document
        .split_once(BEGIN)
        .context("the document has no place for the table")?;
    let (_, after) = rest.split_once(END).context("the place of the table has no end")?;
    let mut table = String::from("\n| cases | server: passed | client: passed |\n|---|---|---|\n");
    for (group, name) in GROUPS {
        let _ = writeln!(
            table,
            "| {group}.\\* {name} | {} | {} |",
            server.cells(group),
            client.cells(group)
        );
    }
    Ok(format!("{before}{BEGIN}{table}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn failures_and_the_table() {
        let index = json!({ "isopod": {
            "1.1.1": { "behavior": "OK", "behaviorClose": "OK" },
            "1.1.10": { "behavior": "OK", "behaviorClose": "FAILED" },
            "3.2": { "behavior": "NON-STRICT", "behaviorClose": "OK" },
            "7.1.6": { "behavior": "INFORMATIONAL", "behaviorClose": "INFORMATIONAL" },
            "9.1.1": { "behavior": "FAILED", "behaviorClose": "OK" },
        }});
        let results = Results::of(&index).unwrap();
        assert_eq!(results.failed(), ["1.1.10", "9.1.1"]);
        let document = format!("before\n{BEGIN}old\n{END}after\n");
        let written = put(&document, &results, &results).unwrap();
        for line in [
            "| 1.\\* framing | 2 | 2 |",
            "| 3.\\* reserved bits | 0; non-strict: 3.2 | 0; non-strict: 3.2 |",
            "| 9.\\* large messages, many messages | 0; **failed**: 9.1.1 | 0; **failed**: 9.1.1 |",
        ] {
            assert!(written.contains(line), "{written}");
        }
        assert!(written.starts_with("before\n") && written.ends_with("after\n") && !written.contains("old"));
        assert_eq!(put(&written, &results, &results).unwrap(), written);
    }
}
