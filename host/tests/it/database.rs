//! A database for each module.

// The same server as that of other crates' tests.
#[path = "../../../ext/tests/it/common/postgres.rs"]
mod postgres;

use std::path::Path;
use std::sync::Arc;

use isopod_host::db::{Database, DbManager, DbOptions, DbRule};
use isopod_host::{BoxError, Context, Host, Module, PhaseResult, async_trait};
use tempfile::TempDir;

/// Counts its starts in its database.
struct Counter(&'static str);

/// Its count.
struct Starts(i64);

async fn sqlite(pool: &sqlx::SqlitePool) -> Result<i64, sqlx::Error> {
    sqlx::query("INSERT INTO starts DEFAULT VALUES").execute(pool).await?;
    sqlx::query_scalar("SELECT count(*) FROM starts").fetch_one(pool).await
}

async fn postgresql(pool: &sqlx::PgPool) -> Result<i64, sqlx::Error> {
    sqlx::query("INSERT INTO starts DEFAULT VALUES").execute(pool).await?;
    sqlx::query_scalar("SELECT count(*) FROM starts").fetch_one(pool).await
}

#[async_trait]
impl Module for Counter {
    fn name(&self) -> &str {
        self.0
    }

    async fn migrate(&mut self, ctx: &Context) -> PhaseResult {
        match ctx.db()? {
            Database::Sqlite(pool) => {
                sqlx::query("CREATE TABLE IF NOT EXISTS starts (at text DEFAULT CURRENT_TIMESTAMP)")
                    .execute(&pool)
                    .await?;
            }
            Database::Postgres(pool) => {
                sqlx::query("CREATE TABLE IF NOT EXISTS starts (at timestamptz DEFAULT now())")
                    .execute(&pool)
                    .await?;
            }
            _ => return Err(BoxError::from("another database")),
        }
        Ok(())
    }

    async fn start(&mut self, ctx: &Context) -> PhaseResult {
        let starts = match ctx.db()? {
            Database::Sqlite(pool) => sqlite(&pool).await?,
            Database::Postgres(pool) => postgresql(&pool).await?,
            _ => return Err(BoxError::from("another database")),
        };
        ctx.hub().register_scoped(self.0, Arc::new(Starts(starts)))?;
        ctx.hub().register_scoped(self.0, Arc::new(ctx.db()?))?;
        Ok(())
    }
}

/// Runs a host with the modules `a` and `b` once, and returns their counts and the database of `a`.
fn run(databases: DbManager) -> (i64, i64, Database) {
    let host = Host::builder()
        .module(Counter("a"))
        .module(Counter("b"))
        .db(databases.into())
        .build();
    let running = host.unwrap().start_blocking().unwrap();
    let counted = |module| running.hub().get_scoped::<Starts>(module).unwrap().0;
    let (a, b) = (counted("a"), counted("b"));
    let database = running.hub().get_scoped::<Database>("a").unwrap();
    running.stop_blocking().unwrap();
    (a, b, Database::clone(&database))
}

fn in_folder(folder: &Path) -> DbManager {
    DbManager::new(DbRule::SqliteFolder(folder.join("data")))
}

#[test]
fn each_module_has_a_file_of_its_own_that_outlives_the_host() {
    let folder = TempDir::new().unwrap();
    let other = folder.path().join("other.sqlite");
    let (a, b, database) = run(in_folder(folder.path()));
    assert_eq!((a, b), (1, 1));
    assert!(database.sqlite().unwrap().is_closed(), "closed with its module");
    let (a, b, _) = run(in_folder(folder.path()).module("b", DbRule::SqliteFile(other.clone())));
    assert_eq!((a, b), (2, 1), "b has another file now");
    assert!(folder.path().join("data/a.sqlite").exists() && other.exists());
}

#[test]
fn a_module_without_a_database_is_told_how_to_get_one() {
    for options in [DbOptions::None, DbManager::new(DbRule::None).into()] {
        let host = Host::builder().module(Counter("a")).db(options).build();
        let error = host.unwrap().start_blocking().unwrap_err().to_string();
        assert!(
            error.contains("phase `migrate`") && error.contains("HostBuilder::db"),
            "{error}"
        );
    }
}

#[test]
fn a_wrong_url_is_an_error_that_does_not_show_it() {
    let rule = DbRule::postgres("mysql://app:secret@127.0.0.1:x/app");
    assert!(!format!("{rule:?}").contains("secret"));
    let host = Host::builder()
        .module(Counter("a"))
        .db(DbManager::new(rule).into())
        .build();
    let error = host.unwrap().start_blocking().unwrap_err().to_string();
    assert!(error.contains("invalid database URL for module `a`"), "{error}");
    assert!(!error.contains("secret"), "{error}");
}

#[test]
fn in_postgresql_each_module_has_a_schema_of_its_own() {
    let server = postgres::Postgres::start();
    let databases = || DbManager::new(DbRule::postgres(server.url()));
    assert_eq!((run(databases()).0, run(databases()).1), (1, 2));
    let named = DbRule::Postgres {
        url: server.url(),
        schema: Some("a \"quoted\" one".into()),
    };
    let (a, b, database) = run(databases().module("a", named));
    assert_eq!((a, b), (1, 3));
    assert!(database.postgres().unwrap().is_closed());
    assert!(database.sqlite().is_err());
}
