//! The checks and transformations of SQL, for the fuzz targets.

use super::lexer;
use super::statement::parse;

/// The dialect of SQL.
#[derive(Clone, Copy, Debug)]
pub enum Dialect {
    /// SQLite's.
    Sqlite,
    /// PostgreSQL's.
    Postgres,
}

/// A statement as the database receives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// Its text.
    pub sql: String,
    /// True if it may change something.
    pub changes: bool,
    /// Number of bound values.
    pub params: usize,
}

/// Parses the statements of a text.
///
/// # Errors
/// The reason for a rejection.
pub fn statements(sql: &str, dialect: Dialect, params_max: usize) -> Result<Vec<Parsed>, String> {
    let dialect = match dialect {
        Dialect::Sqlite => lexer::Dialect::Sqlite,
        Dialect::Postgres => lexer::Dialect::Postgres,
    };
    let parsed = parse(sql, dialect, params_max).map_err(|error| error.to_string())?;
    Ok(parsed
        .into_iter()
        .map(|statement| Parsed {
            changes: statement.kind != super::statement::Kind::Read,
            sql: statement.sql,
            params: statement.params,
        })
        .collect())
}
