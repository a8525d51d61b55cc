//! The module `visits`: counts visits in a database, and publishes a client for other modules.

use std::sync::Arc;

use isopod::host::{BoxError, Context, Module, PhaseResult, async_trait};
use sqlx::SqlitePool;

/// The client that other modules look up in the hub. It does not expose the database.
#[async_trait]
pub(crate) trait Visits: Send + Sync {
    /// Counts a visit and returns the number of visits so far.
    async fn count(&self, name: &str) -> Result<i64, BoxError>;
}

pub(crate) struct VisitsModule;

struct InSqlite(SqlitePool);

#[async_trait]
impl Visits for InSqlite {
    async fn count(&self, name: &str) -> Result<i64, BoxError> {
        let count = "INSERT INTO visits (name, count) VALUES (?, 1) \
                     ON CONFLICT (name) DO UPDATE SET count = count + 1 RETURNING count";
        Ok(sqlx::query_scalar(count).bind(name).fetch_one(&self.0).await?)
    }
}

#[async_trait]
impl Module for VisitsModule {
    fn name(&self) -> &str {
        "visits"
    }

    async fn build(&mut self, ctx: &Context) -> PhaseResult {
        // Opens no connection: databases connect on first use.
        let database = ctx.db()?.sqlite()?.clone();
        ctx.hub().register::<dyn Visits>(Arc::new(InSqlite(database)))?;
        Ok(())
    }

    async fn migrate(&mut self, ctx: &Context) -> PhaseResult {
        let database = ctx.db()?;
        sqlx::query("CREATE TABLE IF NOT EXISTS visits (name TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT")
            .execute(database.sqlite()?)
            .await?;
        Ok(())
    }
}
