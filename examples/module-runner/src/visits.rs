//! How often everybody was here: a module with a database, and a client for the others.

use std::sync::Arc;

use isopod::host::{BoxError, Context, Module, PhaseResult, async_trait};
use sqlx::SqlitePool;

/// What other modules look up in the hub. They know this, and nothing of databases.
#[async_trait]
pub(crate) trait Visits: Send + Sync {
    /// Somebody is here; gives how often that was so by now.
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
        // Nothing is opened yet: databases connect when they are first used.
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
