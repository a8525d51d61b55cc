//! A queue on a PostgreSQL server.
//!
//! Consumers skip messages that others are taking. All times are the server's, so the clocks of processes do not matter. A
//! lease is committed without waiting for the disk; if the server crashes, its message is redelivered earlier.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::store::{
    ContentType, Leased, Outbound, Peeked, QueueBody, QueueMessage, QueueMetrics, QueueStore, Receipt, Settled, Take,
    Taken, Verdict,
};
use crate::storage::postgres::{Connections, Failed, PostgresServer};
use crate::storage::wake::Wake;
use crate::storage::{StorageError, StorageFuture, now_ms, signed};

/// Counted size of a message in addition to its body.
const MESSAGE_BYTES: u64 = 100;
/// Number of operations after which the changes of the backlog are merged.
const ADD_UP_EVERY: u32 = 64;

/// A queue on a [`PostgresServer`], which any number of processes on any number of machines may use.
///
/// ```no_run
/// # mod isopod { pub use isopod_ext::{bindings, storage}; }
/// use isopod::bindings::queue::{PostgresQueue, QueueBinding};
/// use isopod::storage::PostgresServer;
///
/// let server = PostgresServer::new("postgres://app@db.internal/app")?;
/// let binding = QueueBinding::new(PostgresQueue::new(&server, "orders"));
/// # drop(binding);
/// # Ok::<(), isopod::storage::StorageError>(())
/// ```
///
/// Acknowledged operations are committed on the server. The consumers of all processes are woken when messages are sent.
#[derive(Clone)]
pub struct PostgresQueue {
    server: PostgresServer,
    name: Arc<str>,
    wake: Arc<Wake>,
    bytes_max: u64,
    operations: Arc<AtomicU32>,
}

impl PostgresQueue {
    /// The default of [`bytes_max`](Self::bytes_max).
    pub const BYTES_MAX: u64 = 10 << 30;

    /// Creates a store for the queue with this name. All stores with a name on a server are the same queue.
    pub fn new(server: &PostgresServer, name: impl Into<Arc<str>>) -> Self {
        let name = name.into();
        Self {
            server: server.clone(),
            wake: server.wake(&name),
            name,
            bytes_max: Self::BYTES_MAX,
            operations: Arc::default(),
        }
    }

    /// Sets the maximum size of the backlog in bytes: all bodies, plus 100 bytes per message. Default: 10 GiB. A `send` that
    /// begins above it fails.
    #[must_use]
    pub const fn bytes_max(mut self, bytes_max: u64) -> Self {
        self.bytes_max = bytes_max;
        self
    }

    /// Runs an operation with the queue's name.
    fn run<T, F>(&self, work: impl Fn(Connections, Arc<str>) -> F + Send + Sync + 'static) -> StorageFuture<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Failed>> + Send,
    {
        let name = self.name.clone();
        self.server.run(move |connections| work(connections, name.clone()))
    }

    /// Merges the changes of the backlog from time to time.
    fn add_up(&self) {
        if self.operations.fetch_add(1, Ordering::Relaxed) % ADD_UP_EVERY == ADD_UP_EVERY - 1 {
            // The operation continues without its future.
            drop(self.run(|connections, name| async move {
                let add_up = sqlx::query(
                    "WITH gone AS (DELETE FROM isopod_queue_changes WHERE ctid = ANY (ARRAY(
                         SELECT ctid FROM isopod_queue_changes WHERE queue = $1 LIMIT 10000 FOR UPDATE SKIP LOCKED))
                         RETURNING count, bytes)
                     INSERT INTO isopod_queue_changes (queue, count, bytes)
                     SELECT $1, sum(count), sum(bytes) FROM gone HAVING count(*) > 0",
                );
                add_up.bind(&*name).execute(&connections.durable).await?;
                Ok(())
            }));
        }
    }
}

impl fmt::Debug for PostgresQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (server, name) = (&self.server, &self.name);
        f.debug_tuple("PostgresQueue").field(server).field(name).finish()
    }
}

impl QueueStore for PostgresQueue {
    fn send(&self, messages: Vec<Outbound>) -> StorageFuture<QueueMetrics> {
        self.add_up();
        let bytes_max = self.bytes_max;
        let messages = Arc::new(messages);
        let sent = self.run(move |connections, name| {
            let messages = messages.clone();
            async move { send(&connections, &name, &messages, bytes_max).await }
        });
        let (server, name, wake) = (self.server.clone(), self.name.clone(), self.wake.clone());
        Box::pin(async move {
            let metrics = sent.await?;
            server.tell(&name, &wake);
            Ok(metrics)
        })
    }

    fn take(&self, wanted: Take) -> StorageFuture<Taken> {
        self.run(move |connections, name| async move { take(&connections, &name, &wanted).await })
    }

    fn settle(&self, settled: Vec<Settled>) -> StorageFuture<()> {
        self.add_up();
        let comes_again = settled.iter().any(|one| one.verdict != Verdict::Remove);
        let settled = Arc::new(settled);
        let done = self.run(move |connections, name| {
            let settled = settled.clone();
            async move { settle(&connections, &name, &settled).await }
        });
        let (server, name, wake) = (self.server.clone(), self.name.clone(), self.wake.clone());
        Box::pin(async move {
            done.await?;
            // Due times have changed.
            if comes_again {
                server.tell(&name, &wake);
            }
            Ok(())
        })
    }

    fn renew(&self, receipts: Vec<Receipt>, lease: Duration) -> StorageFuture<()> {
        let (places, leases): (Vec<i64>, Vec<i64>) = receipts.iter().map(|one| (one.place, one.lease)).unzip();
        let lists = Arc::new((places, leases));
        self.run(move |connections, name| {
            let lists = lists.clone();
            async move {
                let renew = sqlx::query(
                    "UPDATE isopod_queue_messages AS m
                     SET due = (extract(epoch FROM clock_timestamp()) * 1000)::bigint + $4
                     FROM unnest($2::bigint[], $3::bigint[]) AS r (place, lease)
                     WHERE m.queue = $1 AND m.place = r.place AND m.lease = r.lease",
                );
                let renew = renew.bind(&*name).bind(&lists.0).bind(&lists.1).bind(millis(lease));
                renew.execute(&connections.relaxed).await?;
                Ok(())
            }
        })
    }

    fn metrics(&self) -> StorageFuture<QueueMetrics> {
        self.run(|connections, name| async move { Ok(metrics(&connections, &name).await?) })
    }

    fn changed(&self, seen: u64) -> StorageFuture<u64> {
        self.server.listen();
        let wake = self.wake.clone();
        Box::pin(async move { Ok(wake.changed(seen).await) })
    }

    fn peek(&self, count: usize) -> StorageFuture<Vec<Peeked>> {
        self.run(move |connections, name| async move {
            let select = sqlx::query_as::<_, (String, i64, i16, Vec<u8>, i32, i64, Option<i64>)>(
                "SELECT id, sent, content_type, body, attempts, due, lease FROM isopod_queue_messages
                 WHERE queue = $1 ORDER BY due, place LIMIT $2",
            );
            let select = select.bind(&*name).bind(signed(count as u64));
            let rows = select.fetch_all(&connections.durable).await?;
            let peeked = rows.into_iter().map(|(id, sent, form, body, attempts, due, lease)| {
                let due = due.unsigned_abs();
                Peeked {
                    message: message(id, sent, form, body),
                    attempts: attempts.unsigned_abs(),
                    due_ms: (due > 0).then_some(due),
                    is_leased: lease.is_some() && due > now_ms(),
                }
            });
            Ok(peeked.collect())
        })
    }

    fn purge(&self) -> StorageFuture<u64> {
        self.run(|connections, name| async move {
            let purge = sqlx::query_scalar::<_, i64>(
                "WITH gone AS (DELETE FROM isopod_queue_messages WHERE queue = $1 RETURNING octet_length(body) AS length),
                 told AS (INSERT INTO isopod_queue_changes (queue, count, bytes)
                     SELECT $1, -count(*), -sum(length) FROM gone HAVING count(*) > 0)
                 SELECT count(*) FROM gone",
            );
            let count = purge.bind(&*name).fetch_one(&connections.durable).await?;
            Ok(count.unsigned_abs())
        })
    }
}

async fn send(
    connections: &Connections,
    name: &str,
    messages: &[Outbound],
    bytes_max: u64,
) -> Result<QueueMetrics, Failed> {
    let before = metrics(connections, name).await?;
    let bytes: u64 = messages.iter().map(|one| one.message.body.bytes.len() as u64).sum();
    let count = before.count + messages.len() as u64;
    if before.bytes + bytes + count * MESSAGE_BYTES > bytes_max {
        return Err(StorageError::Full(bytes_max).into());
    }
    // An existing message was sent by an earlier attempt whose result was lost.
    let insert = sqlx::query(
        "WITH added AS (
             INSERT INTO isopod_queue_messages (queue, due, id, sent, content_type, body)
             SELECT $1, CASE WHEN delay = 0 THEN 0 ELSE (extract(epoch FROM clock_timestamp()) * 1000)::bigint + delay END,
                 id, sent, content_type, body
             FROM unnest($2::bigint[], $3::text[], $4::bigint[], $5::smallint[], $6::bytea[])
                 AS t (delay, id, sent, content_type, body)
             ON CONFLICT (queue, id) DO NOTHING RETURNING octet_length(body) AS length)
         INSERT INTO isopod_queue_changes (queue, count, bytes)
         SELECT $1, count(*), sum(length) FROM added HAVING count(*) > 0",
    );
    let delays: Vec<i64> = messages.iter().map(|one| millis(one.delay)).collect();
    let ids: Vec<&str> = messages.iter().map(|one| one.message.id.as_str()).collect();
    let sent: Vec<i64> = messages.iter().map(|one| signed(one.message.sent_ms)).collect();
    let forms: Vec<i16> = messages
        .iter()
        .map(|one| number_of(one.message.body.content_type))
        .collect();
    let bodies: Vec<&[u8]> = messages.iter().map(|one| &*one.message.body.bytes).collect();
    let insert = insert
        .bind(name)
        .bind(delays)
        .bind(ids)
        .bind(sent)
        .bind(forms)
        .bind(bodies);
    insert.execute(&connections.durable).await?;
    let oldest = messages.iter().map(|one| one.message.sent_ms).min();
    Ok(QueueMetrics::default()
        .count(count)
        .bytes(before.bytes + bytes)
        .oldest_ms(before.oldest_ms.or(oldest)))
}

async fn metrics(connections: &Connections, name: &str) -> Result<QueueMetrics, sqlx::Error> {
    let select = sqlx::query_as::<_, (i64, i64, Option<i64>)>(
        "SELECT coalesce(sum(count), 0)::bigint, coalesce(sum(bytes), 0)::bigint,
             (SELECT sent FROM isopod_queue_messages WHERE queue = $1 ORDER BY place LIMIT 1)
         FROM isopod_queue_changes WHERE queue = $1",
    );
    let (count, bytes, oldest) = select.bind(name).fetch_one(&connections.durable).await?;
    Ok(QueueMetrics::default()
        .count(u64::try_from(count).unwrap_or_default())
        .bytes(u64::try_from(bytes).unwrap_or_default())
        .oldest_ms(oldest.map(i64::unsigned_abs)))
}

async fn take(connections: &Connections, name: &str, wanted: &Take) -> Result<Taken, Failed> {
    let update = sqlx::query_as::<_, (i64, String, i64, i16, Vec<u8>, i32)>(
        "WITH due AS MATERIALIZED (
             SELECT place, due, octet_length(body) AS length FROM isopod_queue_messages
             WHERE queue = $1 AND due <= (extract(epoch FROM clock_timestamp()) * 1000)::bigint
             ORDER BY due, place LIMIT $2 FOR UPDATE SKIP LOCKED),
         sized AS (
             SELECT place, count(*) OVER () AS found, coalesce(sum(length) OVER (
                 ORDER BY due, place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
             FROM due)
         UPDATE isopod_queue_messages AS m
         SET due = (extract(epoch FROM clock_timestamp()) * 1000)::bigint + $5, lease = $6, attempts = attempts + 1
         FROM sized WHERE m.queue = $1 AND m.place = sized.place AND sized.found >= $3 AND sized.before < $4
         RETURNING m.place, m.id, m.sent, m.content_type, m.body, m.attempts",
    );
    // Distinguishes this lease from all others of the message.
    let lease = fastrand::i64(..);
    let update = update.bind(name).bind(signed(wanted.at_most as u64));
    let update = update
        .bind(signed(wanted.at_least as u64))
        .bind(signed(wanted.bytes_max as u64));
    let rows = update
        .bind(millis(wanted.lease))
        .bind(lease)
        .fetch_all(&connections.relaxed)
        .await?;
    let messages = rows.into_iter().map(|(place, id, sent, form, body, attempts)| {
        let message = message(id, sent, form, body);
        Leased::new(Receipt { place, lease }, message, attempts.unsigned_abs())
    });
    let mut taken = Taken {
        messages: messages.collect(),
        ..Taken::default()
    };
    // Rows are returned in any order.
    taken.messages.sort_unstable_by_key(|one| one.receipt.place);
    let others = sqlx::query_as::<_, (i64, Option<i64>)>(
        "WITH now AS (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS ms)
         SELECT (SELECT count(*) FROM (SELECT 1 FROM isopod_queue_messages WHERE queue = $1
                 AND due <= (SELECT ms FROM now) LIMIT $2) AS d),
             (SELECT due FROM isopod_queue_messages WHERE queue = $1
                 AND due > (SELECT ms FROM now) ORDER BY due LIMIT 1)",
    );
    let others = others.bind(name).bind(signed(wanted.at_most as u64));
    let (waiting, next) = others.fetch_one(&connections.relaxed).await?;
    if taken.messages.is_empty() {
        taken.waiting = usize::try_from(waiting).unwrap_or_default();
    }
    taken.next_ms = next.map(i64::unsigned_abs);
    taken.metrics = metrics(connections, name).await?;
    Ok(taken)
}

async fn settle(connections: &Connections, name: &str, settled: &[Settled]) -> Result<(), Failed> {
    let receipts = |is_wanted: fn(Verdict) -> bool| -> (Vec<i64>, Vec<i64>) {
        let wanted = settled.iter().filter(move |one| is_wanted(one.verdict));
        wanted.map(|one| (one.receipt.place, one.receipt.lease)).unzip()
    };
    let (places, leases) = receipts(|verdict| verdict == Verdict::Remove);
    if !places.is_empty() {
        let remove = sqlx::query(
            "WITH gone AS (
                 DELETE FROM isopod_queue_messages AS m USING unnest($2::bigint[], $3::bigint[]) AS r (place, lease)
                 WHERE m.queue = $1 AND m.place = r.place AND m.lease = r.lease RETURNING octet_length(m.body) AS length)
             INSERT INTO isopod_queue_changes (queue, count, bytes)
             SELECT $1, -count(*), -sum(length) FROM gone HAVING count(*) > 0",
        );
        let remove = remove.bind(name).bind(places).bind(leases);
        remove.execute(&connections.durable).await?;
    }
    let (places, leases) = receipts(|verdict| verdict != Verdict::Remove);
    if !places.is_empty() {
        // A negative delay encodes a return.
        let delays = settled.iter().filter_map(|one| match one.verdict {
            Verdict::Remove => None,
            Verdict::Retry(delay) => Some(millis(delay)),
            Verdict::Return => Some(-1),
        });
        let again = sqlx::query(
            "UPDATE isopod_queue_messages AS m
             SET due = CASE WHEN r.delay < 0 THEN 0
                     ELSE (extract(epoch FROM clock_timestamp()) * 1000)::bigint + r.delay END,
                 attempts = CASE WHEN r.delay < 0 THEN m.attempts - 1 ELSE m.attempts END,
                 lease = NULL
             FROM unnest($2::bigint[], $3::bigint[], $4::bigint[]) AS r (place, lease, delay)
             WHERE m.queue = $1 AND m.place = r.place AND m.lease = r.lease",
        );
        let again = again
            .bind(name)
            .bind(places)
            .bind(leases)
            .bind(delays.collect::<Vec<_>>());
        again.execute(&connections.durable).await?;
    }
    Ok(())
}

fn message(id: String, sent: i64, form: i16, body: Vec<u8>) -> QueueMessage {
    let form = usize::try_from(form).ok().and_then(|form| ContentType::ALL.get(form));
    let body = QueueBody::new(form.copied().unwrap_or(ContentType::Bytes), body);
    QueueMessage::again(id, sent.unsigned_abs(), body)
}

/// Returns the stored number of a content type, its index in [`ContentType::ALL`].
const fn number_of(form: ContentType) -> i16 {
    match form {
        ContentType::Text => 0,
        ContentType::Json => 1,
        ContentType::Bytes => 2,
        ContentType::V8 => 3,
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 2)
}
