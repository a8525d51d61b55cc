//! Checks the statements of user code, and rewrites them for each database.
//!
//! Connections are shared by the workers of a thread. Statements must therefore not change the state of a connection
//! (transactions, temporary tables, settings) or leave the database (`ATTACH`, `VACUUM INTO`, extensions, files). Each
//! statement must begin with a permitted keyword, and its tokens are searched for what it could still reach. SQLite's
//! authorizer covers what this check misses; connections are cleaned when they are returned. In PostgreSQL, the role of
//! the connection is the boundary.

use std::ops::Range;

use super::lexer::{Dialect, LexError, Token, in_word, tokens};

/// A checked statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    /// Its text, with every parameter numbered in the database's syntax.
    pub(super) sql: String,
    pub(super) kind: Kind,
    /// Number of values to bind.
    pub(super) params: usize,
}

impl Statement {
    /// Returns true for a statement that reads or changes a setting of SQLite.
    pub(super) fn is_pragma(&self) -> bool {
        self.begins_with("PRAGMA")
    }

    /// Returns true for a statement that only reads rows of tables.
    pub(super) fn is_query(&self) -> bool {
        self.kind == Kind::Read && !self.is_pragma() && !self.begins_with("EXPLAIN")
    }

    fn begins_with(&self, word: &str) -> bool {
        let first = self.sql.get(..word.len());
        first.is_some_and(|first| first.eq_ignore_ascii_case(word))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Changes nothing.
    Read,
    /// Changes rows.
    Change,
    /// Changes tables and the like.
    Schema,
}

/// The reason for rejecting a statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// It ends inside a string, a quoted name or a comment.
    #[error("incomplete input: a quote or a comment is not closed")]
    Incomplete,
    /// It contains a NUL character.
    #[error("a statement cannot contain the character NUL; bind it as a parameter")]
    Nul,
    /// There is no statement.
    #[error("No SQL statements detected.")]
    Empty,
    /// More than one statement instead of exactly one.
    #[error("A prepared SQL statement must contain only one statement.")]
    Several,
    /// Transactions would outlast the call on the connection.
    #[error("to run statements in a transaction, use batch() instead of SQL {0} statements")]
    Transaction(String),
    /// Not permitted in a worker.
    #[error("{0} is not allowed in a worker")]
    NotAllowed(String),
    /// It begins with a word that no statement begins with.
    #[error("near \"{0}\": syntax error")]
    Syntax(String),
    /// SQLite would take too long to compile it.
    #[error("more than {0} SELECTs in one statement")]
    Selects(usize),
    /// A named parameter.
    #[error("named parameters are not supported; use ? or ?1")]
    NamedParameter,
    /// A parameter number that is zero or above the limit.
    #[error("variable number must be between ?1 and ?{0} (params_max)")]
    ParameterNumber(usize),
}

impl StatementError {
    /// The end of the message, as in D1.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Empty => "",
            _ => ": SQLITE_ERROR",
        }
    }
}

/// Splits a text into statements, checks each and numbers its parameters.
pub(super) fn parse(sql: &str, dialect: Dialect, params_max: usize) -> Result<Vec<Statement>, StatementError> {
    let tokens = tokens(sql, dialect).map_err(|error| match error {
        LexError::Unclosed => StatementError::Incomplete,
        LexError::Nul => StatementError::Nul,
    })?;
    split(sql, &tokens, dialect)
        .into_iter()
        .map(|tokens| {
            let view = View { sql, tokens };
            let kind = check(&view, dialect)?;
            let (sql, params) = number(&view, dialect, params_max)?;
            Ok(Statement { sql, kind, params })
        })
        .collect()
}

/// Parses a text that must contain exactly one statement.
pub(super) fn parse_one(sql: &str, dialect: Dialect, params_max: usize) -> Result<Statement, StatementError> {
    let mut statements = parse(sql, dialect, params_max)?;
    match (statements.pop(), statements.is_empty()) {
        (None, _) => Err(StatementError::Empty),
        (Some(_), false) => Err(StatementError::Several),
        (Some(statement), true) => Ok(statement),
    }
}

type Spanned = (Token, Range<usize>);

/// The tokens of one statement.
struct View<'a> {
    sql: &'a str,
    tokens: &'a [Spanned],
}

impl View<'_> {
    /// A word or a quoted name, in lower case.
    fn name(&self, at: usize) -> Option<String> {
        match self.tokens.get(at)? {
            (Token::Word, range) => Some(self.sql[range.clone()].to_ascii_lowercase()),
            (Token::Quoted(text), _) => Some(text.to_ascii_lowercase()),
            _ => None,
        }
    }

    /// An unquoted word, in upper case; only these can be keywords.
    fn word(&self, at: usize) -> Option<String> {
        match self.tokens.get(at)? {
            (Token::Word, range) => Some(self.sql[range.clone()].to_ascii_uppercase()),
            _ => None,
        }
    }

    fn is_sign(&self, at: usize, sign: u8) -> bool {
        matches!(self.tokens.get(at), Some((Token::Sign(found), _)) if *found == sign)
    }

    /// The kind of body whose semicolons do not end the statement.
    fn body(&self, dialect: Dialect) -> Body {
        let word = |at| self.word(at).unwrap_or_default();
        if word(0) != "CREATE" {
            return Body::None;
        }
        match dialect {
            Dialect::Sqlite => {
                let is_trigger =
                    word(1) == "TRIGGER" || (matches!(&*word(1), "TEMP" | "TEMPORARY") && word(2) == "TRIGGER");
                if is_trigger { Body::Trigger } else { Body::None }
            }
            Dialect::Postgres => {
                let at = if word(1) == "OR" && word(2) == "REPLACE" { 3 } else { 1 };
                match &*word(at) {
                    "FUNCTION" | "PROCEDURE" => Body::Routine,
                    "RULE" => Body::Rule,
                    _ => Body::None,
                }
            }
        }
    }

    /// Returns true if a semicolon after these tokens ends the statement.
    fn is_complete(&self, dialect: Dialect) -> bool {
        let last = self.tokens.len().wrapping_sub(1);
        match self.body(dialect) {
            Body::None => true,
            // As in `sqlite3_complete()`: a trigger ends with `; END`. The END of a CASE follows no semicolon.
            Body::Trigger => self.word(last).as_deref() == Some("END") && self.is_sign(last.wrapping_sub(1), b';'),
            // As in psql: `BEGIN ATOMIC … END`, in which CASE … END may be nested.
            Body::Routine => {
                let mut depth = 0_usize;
                for at in 0..self.tokens.len() {
                    match self.word(at).as_deref() {
                        Some("BEGIN") => depth += 1,
                        Some("CASE") if depth > 0 => depth += 1,
                        Some("END") => depth = depth.saturating_sub(1),
                        _ => {}
                    }
                }
                depth == 0
            }
            // `DO ALSO (statement; statement)`.
            Body::Rule => {
                let count = |sign| (0..self.tokens.len()).filter(|at| self.is_sign(*at, sign)).count();
                count(b'(') <= count(b')')
            }
        }
    }
}

/// The constructs with semicolons inside of one statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    None,
    /// The body of a SQLite trigger.
    Trigger,
    /// The SQL body of a PostgreSQL function or procedure.
    Routine,
    /// The actions of a PostgreSQL rule.
    Rule,
}

/// Splits at semicolons, except inside a statement's body.
fn split<'a>(sql: &'a str, tokens: &'a [Spanned], dialect: Dialect) -> Vec<&'a [Spanned]> {
    let mut statements = Vec::new();
    let mut start = 0;
    for at in 0..=tokens.len() {
        let ends = match tokens.get(at) {
            None => true,
            Some((Token::Sign(b';'), _)) => {
                let tokens = &tokens[start..at];
                View { sql, tokens }.is_complete(dialect)
            }
            Some(_) => false,
        };
        if ends {
            if start < at {
                statements.push(&tokens[start..at]);
            }
            start = at + 1;
        }
    }
    statements
}

const SQLITE_FIRST: &[&str] = &[
    "SELECT", "INSERT", "REPLACE", "UPDATE", "DELETE", "WITH", "VALUES", "CREATE", "ALTER", "DROP", "EXPLAIN",
    "PRAGMA", "REINDEX", "ANALYZE",
];
const POSTGRES_FIRST: &[&str] = &[
    "SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "WITH", "VALUES", "TABLE", "CREATE", "ALTER", "DROP", "TRUNCATE",
    "EXPLAIN", "COMMENT", "REINDEX", "ANALYZE", "REFRESH", "GRANT", "REVOKE",
];
const TRANSACTION: &[&str] = &[
    "BEGIN",
    "START",
    "COMMIT",
    "END",
    "ROLLBACK",
    "ABORT",
    "SAVEPOINT",
    "RELEASE",
];
/// Permitted pragmas: those that read, and those whose effect ends with the transaction or belongs to the database.
/// With or without a value.
pub(super) const PRAGMAS: &[&str] = &[
    "table_list",
    "table_info",
    "table_xinfo",
    "index_list",
    "index_info",
    "index_xinfo",
    "foreign_key_list",
    "foreign_key_check",
    "quick_check",
    "integrity_check",
    "collation_list",
    "function_list",
    "module_list",
    "pragma_list",
    "defer_foreign_keys",
    "user_version",
    "application_id",
    "optimize",
];
/// Pragmas that may be read but not set.
pub(super) const PRAGMAS_READ: &[&str] = &[
    "page_count",
    "page_size",
    "freelist_count",
    "data_version",
    "foreign_keys",
    "encoding",
    "journal_mode",
    "schema_version",
];
/// Statements of SQLite that are refused with their name.
const SQLITE_REFUSED: &[&str] = &["ATTACH", "DETACH", "VACUUM"];
pub(super) const VIRTUAL_TABLES: &[&str] = &["fts5", "fts5vocab", "rtree"];
/// `SELECT`s in one statement. SQLite recurses into nested ones, and has no limit of its own.
const SELECTS_MAX: usize = 1000;
/// Functions of SQLite that reach out of the database.
pub(super) const FUNCTIONS_DENIED: &[&str] = &["load_extension", "fts3_tokenizer"];

fn check(view: &View<'_>, dialect: Dialect) -> Result<Kind, StatementError> {
    let first = view
        .word(0)
        .ok_or_else(|| StatementError::NotAllowed("this statement".to_owned()))?;
    let allowed = match dialect {
        Dialect::Sqlite => SQLITE_FIRST,
        Dialect::Postgres => POSTGRES_FIRST,
    };
    if TRANSACTION.contains(&first.as_str()) {
        return Err(StatementError::Transaction(first));
    }
    // SQLite skips a byte order mark.
    let is_refused = SQLITE_REFUSED.contains(&first.trim_start_matches('\u{feff}'));
    if dialect == Dialect::Sqlite && !allowed.contains(&first.as_str()) && !is_refused {
        return Err(StatementError::Syntax(first));
    }
    if !allowed.contains(&first.as_str()) {
        return Err(StatementError::NotAllowed(first));
    }
    match dialect {
        Dialect::Sqlite => check_sqlite(view, &first)?,
        Dialect::Postgres => check_postgres(view, &first)?,
    }
    Ok(match first.as_str() {
        "SELECT" | "VALUES" | "TABLE" | "EXPLAIN" | "PRAGMA" => Kind::Read,
        "INSERT" | "REPLACE" | "UPDATE" | "DELETE" | "MERGE" => Kind::Change,
        "WITH" => {
            let changes = |at| {
                matches!(
                    view.word(at).as_deref(),
                    Some("INSERT" | "UPDATE" | "DELETE" | "MERGE" | "REPLACE")
                )
            };
            if (0..view.tokens.len()).any(|at| changes(at) && !view.is_sign(at + 1, b'(')) {
                Kind::Change
            } else {
                Kind::Read
            }
        }
        _ => Kind::Schema,
    })
}

fn check_sqlite(view: &View<'_>, first: &str) -> Result<(), StatementError> {
    let denied = |what: &str| Err(StatementError::NotAllowed(what.to_owned()));
    match first {
        "PRAGMA" => check_pragma(view)?,
        "EXPLAIN" => {
            let at = if view.word(1).as_deref() == Some("QUERY") { 3 } else { 1 };
            let explained = view.word(at).unwrap_or_default();
            if !matches!(
                explained.as_str(),
                "SELECT" | "INSERT" | "REPLACE" | "UPDATE" | "DELETE" | "WITH" | "VALUES"
            ) {
                return denied("EXPLAIN of this statement");
            }
        }
        "CREATE" => match view.word(1).as_deref() {
            Some("TEMP" | "TEMPORARY") => return denied("CREATE TEMP"),
            Some("VIRTUAL") => check_virtual(view)?,
            _ => {}
        },
        _ => {}
    }
    let mut selects = 0;
    for at in 0..view.tokens.len() {
        let Some(name) = view.name(at) else { continue };
        selects += usize::from(name == "select");
        if selects > SELECTS_MAX {
            return Err(StatementError::Selects(SELECTS_MAX));
        }
        if name == "temp" && view.is_sign(at + 1, b'.') {
            return denied("the schema temp");
        }
        if FUNCTIONS_DENIED.contains(&name.as_str()) && view.is_sign(at + 1, b'(') {
            return denied(&name);
        }
        if let Some(pragma) = name.strip_prefix("pragma_")
            && !PRAGMAS.contains(&pragma)
            && !PRAGMAS_READ.contains(&pragma)
            && matches!(view.tokens[at].0, Token::Word | Token::Quoted(_))
            && pragma_function(pragma)
        {
            return denied(&name);
        }
    }
    Ok(())
}

/// Pragmas whose table-valued functions reveal the database's path. Other tables may have names such as
/// `pragma_anything`.
fn pragma_function(pragma: &str) -> bool {
    matches!(
        pragma,
        "database_list" | "compile_options" | "temp_store_directory" | "data_store_directory"
    )
}

fn check_pragma(view: &View<'_>) -> Result<(), StatementError> {
    let at = if view.is_sign(2, b'.') { 3 } else { 1 };
    let name = view.name(at).unwrap_or_default();
    let reads = view.tokens.len() == at + 1;
    if PRAGMAS.contains(&name.as_str()) || (reads && PRAGMAS_READ.contains(&name.as_str())) {
        Ok(())
    } else {
        Err(StatementError::NotAllowed(format!("PRAGMA {name}")))
    }
}

fn check_virtual(view: &View<'_>) -> Result<(), StatementError> {
    let using = (0..view.tokens.len()).find(|at| view.word(*at).as_deref() == Some("USING"));
    let module = using.and_then(|at| view.name(at + 1)).unwrap_or_default();
    if VIRTUAL_TABLES.contains(&module.as_str()) {
        Ok(())
    } else {
        Err(StatementError::NotAllowed(format!(
            "the virtual table module '{module}'"
        )))
    }
}

fn check_postgres(view: &View<'_>, first: &str) -> Result<(), StatementError> {
    let second = view.word(1).unwrap_or_default();
    let denied = match (first, second.as_str()) {
        ("CREATE", "TEMP" | "TEMPORARY" | "LOCAL" | "GLOBAL") => true,
        // Settings of the whole server.
        ("ALTER", "SYSTEM") => true,
        _ => false,
    };
    if denied {
        Err(StatementError::NotAllowed(format!("{first} {second}")))
    } else {
        Ok(())
    }
}

/// Numbers every parameter: `?` gets the number after the highest so far, as in SQLite.
fn number(view: &View<'_>, dialect: Dialect, params_max: usize) -> Result<(String, usize), StatementError> {
    let (Some(start), Some(end)) = (view.tokens.first(), view.tokens.last()) else {
        return Err(StatementError::Empty);
    };
    let (mut copied, end) = (start.1.start, end.1.end);
    let mut sql = String::with_capacity(end - copied + 16);
    let mut highest = 0;
    for (token, range) in view.tokens {
        let param = match token {
            Token::NamedParam => return Err(StatementError::NamedParameter),
            Token::Param(given) => Some(given.unwrap_or(highest + 1)),
            Token::QuestionMark => None,
            _ => continue,
        };
        sql.push_str(&view.sql[copied..range.start]);
        copied = range.end;
        match param {
            None => sql.push('?'),
            Some(param) if param == 0 || param > params_max => return Err(StatementError::ParameterNumber(params_max)),
            Some(param) => {
                highest = highest.max(param);
                // `$1` directly after a word would be part of the word, as would be what follows it: not the statement
                // that was checked.
                let glued = |byte: Option<&u8>| dialect == Dialect::Postgres && byte.is_some_and(|byte| in_word(*byte));
                if glued(sql.as_bytes().last()) {
                    sql.push(' ');
                }
                sql.push(if dialect == Dialect::Sqlite { '?' } else { '$' });
                sql.push_str(&param.to_string());
                if glued(view.sql.as_bytes().get(range.end)) {
                    sql.push(' ');
                }
            }
        }
    }
    sql.push_str(&view.sql[copied..end]);
    Ok((sql, highest))
}

#[cfg(test)]
#[path = "statement_tests.rs"]
mod tests;
