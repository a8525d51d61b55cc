//! The output of commands.

use std::fmt::Write as _;
use std::io::{ErrorKind, Write as _};

use anyhow::{Result, bail};
use serde_json::Value as Json;

/// Writes to standard output. A reader that closes it early (`isopod kv key list | head`) is not an error.
pub(crate) fn print(bytes: &[u8]) -> Result<()> {
    match std::io::stdout().lock().write_all(bytes) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => bail!(error),
        _ => Ok(()),
    }
}

/// Prints a value as JSON.
pub(crate) fn print_json(value: &Json) -> Result<()> {
    print(format!("{value:#}\n").as_bytes())
}

/// Aligns rows of equal length in columns. Control characters are escaped.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| one_line(cell)).collect())
        .collect();
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Escapes control characters.
pub(crate) fn one_line(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        match c.is_control() {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a", "long"], ["wider", "b\n"], ["", ""]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows), "a      long\nwider  b\\n\n\n");
        assert_eq!(table(&[]), "");
    }
}
