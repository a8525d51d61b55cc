//! The record on a PostgreSQL server.

use std::fmt;
use std::sync::Arc;

use super::{Tick, TickStore, set_back_max};
use crate::storage::StorageFuture;
use crate::storage::postgres::PostgresServer;

/// A record of cron ticks on a [`PostgresServer`].
#[derive(Clone)]
pub struct PostgresTicks(PostgresServer);

impl PostgresTicks {
    /// Creates the record on a server.
    #[must_use]
    pub fn new(server: &PostgresServer) -> Self {
        Self(server.clone())
    }
}

impl fmt::Debug for PostgresTicks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresTicks").field(&self.0).finish()
    }
}

impl TickStore for PostgresTicks {
    fn take(&self, tick: Tick) -> StorageFuture<bool> {
        // Identifies this call, because an earlier attempt whose result was lost may have claimed the tick.
        let taker = fastrand::i64(..);
        let tick = Arc::new(tick);
        self.0.run(move |connections| {
            let tick = tick.clone();
            async move {
                let take = sqlx::query(
                    "INSERT INTO isopod_ticks AS last (worker, cron, time, taker) VALUES ($1, $2, $3, $4)
                     ON CONFLICT (worker, cron) DO UPDATE SET time = excluded.time, taker = excluded.taker
                     WHERE excluded.time > last.time OR excluded.time < last.time - $5
                         OR (excluded.time = last.time AND excluded.taker = last.taker)",
                );
                let take = take
                    .bind(&tick.worker)
                    .bind(&tick.cron)
                    .bind(tick.seconds())
                    .bind(taker);
                let taken = take.bind(set_back_max()).execute(&connections.durable).await?;
                Ok(taken.rows_affected() > 0)
            }
        })
    }
}
