//! A place in a configuration file.

use std::path::PathBuf;

/// A place in a file, for display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The line with the place underlined; empty if it may contain a password.
    pub frame: String,
}
