//! What becomes of SQL before a database sees it, for the fuzz targets.

use super::lexer;
use super::statement::parse;

/// Whose SQL it is.
#[derive(Clone, Copy, Debug)]
pub enum Dialect {
    /// SQLite's.
    Sqlite,
    /// PostgreSQL's.
    Postgres,
}

/// A statement as the database gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// Its text.
    pub sql: String,
    /// Whether it may change something.
    pub changes: bool,
    /// How many values are bound.
    pub params: usize,
}

/// The statements of a text.
///
/// # Errors
/// Why it is refused.
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
