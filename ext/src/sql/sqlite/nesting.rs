//! The depth to which SQLite would recurse into the views, triggers and foreign keys of a schema.
//!
//! When SQLite compiles a statement, it recurses into views of views, and into chains of triggers or foreign keys. It
//! neither limits this nor can it be interrupted: the time is proportional to the cube of the depth, and finally the
//! stack overflows. A schema is therefore rejected if all its parts, as a single chain, would be too deep.

use crate::sql::call::SqlError;

/// Maximum number of views, triggers and `SELECT`s in them.
const VIEWS_MAX: i64 = 1_000;
/// Maximum number of foreign keys.
const KEYS_MAX: i64 = 5_000;

/// The numbers of each, in a version of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nesting {
    version: i64,
    views: i64,
    keys: i64,
}

impl Nesting {
    fn too_deep(self) -> Option<SqlError> {
        if self.views > VIEWS_MAX {
            Some(SqlError::Nesting("views, triggers and SELECTs in them", VIEWS_MAX))
        } else if self.keys > KEYS_MAX {
            Some(SqlError::Nesting("foreign keys", KEYS_MAX))
        } else {
            None
        }
    }

    /// Counts the whole schema.
    fn of(db: &rusqlite::Connection, version: i64) -> rusqlite::Result<Self> {
        const COUNT: &str = "SELECT coalesce(sum(type IN ('view', 'trigger')), 0) \
             + coalesce(sum(iif(type IN ('view', 'trigger'), length(sql) - length(replace(upper(sql), 'SELECT', '')), 0)), 0) / 6, \
             coalesce(sum(length(sql) - length(replace(upper(sql), 'REFERENCES', ''))), 0) / 10 FROM sqlite_schema";
        db.prepare_cached(COUNT)?.query_row([], |row| {
            Ok(Self {
                version,
                views: row.get(0)?,
                keys: row.get(1)?,
            })
        })
    }
}

/// Rejects a schema that has become too deep by this statement. Counts only the statement if that suffices. `nesting`
/// is the known size of the schema.
pub(super) fn check(
    db: &rusqlite::Connection,
    nesting: &mut Option<Nesting>,
    sql: &str,
    before: i64,
    after: i64,
) -> rusqlite::Result<Option<SqlError>> {
    if before == after {
        return Ok(None);
    }
    let sql = sql.to_ascii_uppercase();
    let count = |word: &str| i64::try_from(sql.matches(word).count()).unwrap_or(i64::MAX);
    let known = nesting.filter(|known| known.version == before);
    let more = known.map(|known| Nesting {
        version: after,
        views: known.views + 1 + count("SELECT"),
        keys: known.keys + count("REFERENCES"),
    });
    let found = match more {
        Some(more) if more.too_deep().is_none() => more,
        _ => Nesting::of(db, after)?,
    };
    *nesting = Some(found);
    Ok(found.too_deep())
}
