//! A configuration file's text, and places in it: line, column and code excerpt.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::ConfigError;
use super::place::Place;

/// Byte offsets into a [`Source`].
pub(super) type Span = Range<usize>;

/// The contents of a file.
pub(super) struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Self::new(path, text)),
            Err(cause) => Err(ConfigError::Read {
                path: path.to_owned(),
                cause,
            }),
        }
    }

    pub(super) fn new(path: &Path, text: String) -> Self {
        // Some editors write a byte order mark, which neither TOML's nor JSON's parser accepts.
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        Self {
            path: path.to_owned(),
            text,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the folder that relative paths in this file refer to.
    pub(super) fn folder(&self) -> &Path {
        folder_of(&self.path)
    }

    pub(super) fn place(&self, span: &Span) -> Place {
        let start = floor_boundary(&self.text, span.start);
        let line_start = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = self.text[start..].find('\n').map_or(self.text.len(), |at| start + at);
        let line_text = self.text[line_start..line_end].trim_end_matches('\r');
        let line = self.text[..start].matches('\n').count() + 1;
        let indent = self.text[line_start..start].chars().count();
        let end = floor_boundary(&self.text, span.end.clamp(start, line_end));
        let width = self.text[start..end].trim_end().chars().count().max(1);

        let number = line.to_string();
        let gutter = " ".repeat(number.len());
        // Tabs are kept in the padding, so that the underline is below its text for any width of tabs.
        let padding: String = line_text
            .chars()
            .take(indent)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        let mut frame = String::new();
        // No line is shown for the file as a whole, nor for a URL with a password.
        if *span == (0..0) || has_credentials(line_text) {
            return Place {
                file: self.path.clone(),
                line,
                column: indent + 1,
                frame,
            };
        }
        let _ = write!(
            frame,
            " {gutter} |\n {number} | {line_text}\n {gutter} | {padding}{}",
            "^".repeat(width)
        );
        Place {
            file: self.path.clone(),
            line,
            column: indent + 1,
            frame,
        }
    }
}

/// Returns the folder of a file; `.` for a bare name.
pub(super) fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Returns whether the line may contain a URL with a password.
fn has_credentials(line: &str) -> bool {
    line.split("://").skip(1).any(|rest| rest.contains('@'))
}

fn floor_boundary(text: &str, offset: usize) -> usize {
    let mut at = offset.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
