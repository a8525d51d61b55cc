//! Results as Markdown tables.

use std::fmt;

use serde::Serialize;

/// The better direction.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    Lower,
    Higher,
}

/// One measured quantity. Each has a column, and a second one with its ratio to the table's first row.
#[derive(Serialize)]
pub(crate) struct Column {
    pub(crate) title: &'static str,
    /// None if a ratio would be meaningless.
    pub(crate) better: Option<Better>,
}

#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) subject: String,
    /// One value per column; NaN (in JSON: null) if not measured.
    pub(crate) values: Vec<f64>,
}

/// A measurement of several subjects, which are compared with the first row.
#[derive(Serialize)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) how: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Row>,
}

impl Column {
    /// Columns in which less is better.
    pub(crate) fn lower<const N: usize>(titles: [&'static str; N]) -> Vec<Self> {
        let column = |title| Self {
            title,
            better: Some(Better::Lower),
        };
        titles.map(column).into()
    }
}

impl Row {
    /// One row per subject, in order.
    pub(crate) fn all<'a>(subjects: impl IntoIterator<Item = &'a str>, values: Vec<Vec<f64>>) -> Vec<Self> {
        let row = |(subject, values): (&str, _)| Self {
            subject: subject.to_owned(),
            values,
        };
        subjects.into_iter().zip(values).map(row).collect()
    }
}

impl Table {
    fn cell(&self, row: &Row, index: usize) -> String {
        let (value, column) = (row.values[index], &self.columns[index]);
        let first = self.rows[0].values[index];
        if value.is_nan() {
            return "–".to_owned();
        }
        let Some(better) = column
            .better
            .filter(|_| !std::ptr::eq(row, &raw const self.rows[0]) && first > 0.0)
        else {
            return number(value);
        };
        let ratio = match better {
            Better::Lower => value / first,
            Better::Higher => first / value,
        };
        format!("{} ({ratio:.2})", number(value))
    }
}

/// Three significant digits, with thousands separators.
fn number(value: f64) -> String {
    match value.abs() {
        big if big >= 1000.0 => {
            let digits = format!("{value:.0}");
            let groups: Vec<_> = digits
                .as_bytes()
                .rchunks(3)
                .rev()
                .map(String::from_utf8_lossy)
                .collect();
            groups.join(",")
        }
        big if big >= 100.0 => format!("{value:.0}"),
        big if big >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "### {}\n\n{}\n", self.title, self.how)?;
        let titles: Vec<_> = self.columns.iter().map(|column| column.title).collect();
        writeln!(f, "| | {} |", titles.join(" | "))?;
        writeln!(f, "|---|{}", "---:|".repeat(titles.len()))?;
        for row in &self.rows {
            let cells: Vec<_> = (0..row.values.len()).map(|index| self.cell(row, index)).collect();
            writeln!(f, "| {} | {} |", row.subject, cells.join(" | "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Better, Column, Row, Table, number};

    #[test]
    fn ratios_above_one_favor_the_first_row() {
        let columns = vec![
            Column {
                title: "us",
                better: Some(Better::Lower),
            },
            Column {
                title: "/s",
                better: Some(Better::Higher),
            },
        ];
        let row = |subject: &str, values: [f64; 2]| Row {
            subject: subject.to_owned(),
            values: values.to_vec(),
        };
        let rows = vec![row("ours", [2.0, 4000.0]), row("theirs", [3.0, 1000.0])];
        let text = Table {
            title: String::new(),
            how: String::new(),
            columns,
            rows,
        }
        .to_string();
        assert!(text.contains("| theirs | 3.00 (1.50) | 1,000 (4.00) |"), "{text}");
    }

    #[test]
    fn numbers_keep_three_digits() {
        assert_eq!(
            [1_234_567.0, 123.4, 12.34, 1.234].map(number),
            ["1,234,567", "123", "12.3", "1.23"]
        );
    }
}
