//! A namespace on a PostgreSQL server.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::store::{KvEntry, KvKey, KvListing, KvPage, KvStore, now};
use crate::storage::postgres::{Connections, Failed, PostgresServer};
use crate::storage::{ReadRoom, StorageFuture, signed};

/// Values up to this size are read with their entry. The memory for larger ones is reserved first.
const SMALL_BYTES: i32 = 16 << 10;

/// Seconds between two sweeps, and the number of expired entries that a sweep removes.
const SWEEP_EVERY: u64 = 30;
const SWEEP_MAX: i64 = 1000;

/// A namespace on a [`PostgresServer`], which any number of processes on any number of machines may use.
///
/// ```no_run
/// # mod isopod { pub use isopod_ext::{bindings, storage}; }
/// use isopod::bindings::kv::{KvBinding, PostgresKv};
/// use isopod::storage::PostgresServer;
///
/// let server = PostgresServer::new("postgres://app@db.internal/app")?;
/// let binding = KvBinding::new(PostgresKv::new(&server, "sessions"));
/// # drop(binding);
/// # Ok::<(), isopod::storage::StorageError>(())
/// ```
///
/// Acknowledged writes are committed on the server. Processes that write also remove expired entries, within about half a
/// minute.
#[derive(Clone)]
pub struct PostgresKv {
    server: PostgresServer,
    namespace: Arc<str>,
    /// The time of the last sweep, in seconds since 1970.
    swept: Arc<AtomicU64>,
}

impl PostgresKv {
    /// Creates a store for the namespace of this name. All stores of a name on a server are the same namespace.
    pub fn new(server: &PostgresServer, namespace: impl Into<Arc<str>>) -> Self {
        Self {
            server: server.clone(),
            namespace: namespace.into(),
            swept: Arc::default(),
        }
    }

    /// Removes expired entries, if the last sweep was long enough ago.
    fn sweep(&self) {
        let (last, now) = (self.swept.load(Ordering::Relaxed), now());
        let is_due = now.abs_diff(last) >= SWEEP_EVERY;
        if is_due
            && self
                .swept
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            // The operation continues without its future.
            drop(self.server.run(move |connections| async move {
                let sweep = sqlx::query(
                    "DELETE FROM isopod_kv WHERE ctid = ANY (ARRAY(
                         SELECT ctid FROM isopod_kv WHERE expiration <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED))",
                );
                let sweep = sweep.bind(signed(now)).bind(SWEEP_MAX);
                sweep.execute(&connections.relaxed).await?;
                Ok(())
            }));
        }
    }
}

impl fmt::Debug for PostgresKv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (server, namespace) = (&self.server, &self.namespace);
        f.debug_tuple("PostgresKv").field(server).field(namespace).finish()
    }
}

impl KvStore for PostgresKv {
    fn get(&self, keys: Vec<String>, room: ReadRoom) -> StorageFuture<Vec<Option<KvEntry>>> {
        let namespace = self.namespace.clone();
        let keys: Arc<[String]> = keys.into();
        self.server.run(move |connections| {
            let (namespace, keys, room) = (namespace.clone(), keys.clone(), room.clone());
            async move { get(&connections, &namespace, &keys, &room).await }
        })
    }

    fn put(&self, key: String, entry: KvEntry) -> StorageFuture<()> {
        self.sweep();
        let namespace = self.namespace.clone();
        let (key, entry) = (Arc::<str>::from(key), Arc::new(entry));
        self.server.run(move |connections| {
            let (namespace, key, entry) = (namespace.clone(), key.clone(), entry.clone());
            async move {
                let put = sqlx::query(
                    "INSERT INTO isopod_kv (namespace, key, expiration, metadata, value) VALUES ($1, $2, $3, $4, $5)
                     ON CONFLICT (namespace, key) DO UPDATE
                     SET expiration = excluded.expiration, metadata = excluded.metadata, value = excluded.value",
                );
                let put = put
                    .bind(&*namespace)
                    .bind(key.as_bytes())
                    .bind(entry.expiration.map(signed));
                let put = put.bind(entry.metadata.as_deref()).bind(&*entry.value);
                put.execute(&connections.durable).await?;
                Ok(())
            }
        })
    }

    fn delete(&self, key: String) -> StorageFuture<()> {
        self.sweep();
        let namespace = self.namespace.clone();
        let key = Arc::<str>::from(key);
        self.server.run(move |connections| {
            let (namespace, key) = (namespace.clone(), key.clone());
            async move {
                let delete = sqlx::query("DELETE FROM isopod_kv WHERE namespace = $1 AND key = $2");
                let delete = delete.bind(&*namespace).bind(key.as_bytes());
                delete.execute(&connections.durable).await?;
                Ok(())
            }
        })
    }

    fn list(&self, listing: KvListing) -> StorageFuture<KvPage> {
        let namespace = self.namespace.clone();
        let listing = Arc::new(listing);
        self.server.run(move |connections| {
            let (namespace, listing) = (namespace.clone(), listing.clone());
            async move { list(&connections, &namespace, &listing).await }
        })
    }
}

/// The first part of an entry that is read: key, length, expiration, metadata, and the value if it is small.
type Found = (Vec<u8>, i32, Option<i64>, Option<String>, Option<Vec<u8>>);

async fn get(
    connections: &Connections,
    namespace: &str,
    keys: &[String],
    room: &ReadRoom,
) -> Result<Vec<Option<KvEntry>>, Failed> {
    let wanted: Vec<&[u8]> = keys.iter().map(String::as_bytes).collect();
    let select = sqlx::query_as::<_, Found>(
        "SELECT key, octet_length(value), expiration, metadata, CASE WHEN octet_length(value) <= $3 THEN value END
         FROM isopod_kv WHERE namespace = $1 AND key = ANY ($2) AND (expiration IS NULL OR expiration > $4)",
    );
    let select = select
        .bind(namespace)
        .bind(wanted)
        .bind(SMALL_BYTES)
        .bind(signed(now()));
    let rows = select.fetch_all(&connections.durable).await?;
    let mut found = HashMap::with_capacity(rows.len());
    for (key, length, expiration, metadata, small) in rows {
        let reserved = room.reserve(usize::try_from(length).unwrap_or(usize::MAX))?;
        let value = match small {
            Some(value) => Some(value),
            None => large(connections, namespace, &key, length).await?,
        };
        // If there is none, another value was stored meanwhile, and everything is read again.
        let Some(value) = value else {
            return Box::pin(get(connections, namespace, keys, room)).await;
        };
        let entry = KvEntry::new(reserved.keep(Bytes::from(value)));
        let entry = entry.metadata(metadata).expiration(expiration.map(i64::unsigned_abs));
        found.insert(key, entry);
    }
    Ok(keys.iter().map(|key| found.get(key.as_bytes()).cloned()).collect())
}

/// Reads a value that has this length.
async fn large(
    connections: &Connections,
    namespace: &str,
    key: &[u8],
    length: i32,
) -> Result<Option<Vec<u8>>, sqlx::Error> {
    let select = sqlx::query_scalar(
        "SELECT value FROM isopod_kv WHERE namespace = $1 AND key = $2 AND octet_length(value) = $3",
    );
    let select = select.bind(namespace).bind(key).bind(length);
    select.fetch_optional(&connections.durable).await
}

async fn list(connections: &Connections, namespace: &str, listing: &KvListing) -> Result<KvPage, Failed> {
    let KvListing { prefix, after, limit } = listing;
    // The reservation is dropped after the value.
    let (from, is_after) = match after {
        Some(after) if after >= prefix => (after, true),
        _ => (prefix, false),
    };
    let select = sqlx::query_as::<_, (Vec<u8>, Option<i64>, Option<String>)>(
        "SELECT key, expiration, metadata FROM isopod_kv
         WHERE namespace = $1 AND key >= $2 AND (NOT $3 OR key <> $2) AND ($4::bytea IS NULL OR key < $4)
         AND (expiration IS NULL OR expiration > $5) ORDER BY key LIMIT $6",
    );
    let select = select
        .bind(namespace)
        .bind(from.as_bytes())
        .bind(is_after)
        .bind(end_of(prefix));
    let select = select.bind(signed(now())).bind(signed(*limit as u64).saturating_add(1));
    let rows = select.fetch_all(&connections.durable).await?;
    let is_complete = rows.len() <= *limit;
    let keys = rows.into_iter().take(*limit).map(|(key, expiration, metadata)| {
        let key = KvKey::new(String::from_utf8_lossy(&key));
        key.expiration(expiration.map(i64::unsigned_abs)).metadata(metadata)
    });
    Ok(KvPage {
        keys: keys.collect(),
        is_complete,
    })
}

/// The smallest byte string that is greater than all with this prefix, if there is one.
fn end_of(prefix: &str) -> Option<Vec<u8>> {
    let mut end = prefix.as_bytes().to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::end_of;

    #[test]
    fn the_end_of_a_prefix_is_behind_all_that_begin_with_it() {
        assert_eq!(end_of("ab").as_deref(), Some(&b"ac"[..]));
        assert_eq!(end_of(""), None);
        let end = end_of("é\u{10ffff}").expect("an end");
        assert!(end.as_slice() > "é\u{10ffff}\u{10ffff}".as_bytes() && end.as_slice() < "ê".as_bytes());
    }
}
