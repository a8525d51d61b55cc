//! Durable Objects of a pool: a table of the objects that live in its workers, each with a session.
//!
//! `live` finds or starts an object, `peers` finds the process that has it, `fetcher` sends calls to it and `elsewhere` to one of
//! another process, and `run` evicts idle objects and fires alarms.

mod elsewhere;
mod fetcher;
mod live;
mod peers;
mod run;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use isopod_runtime::fetcher::Fetcher;
use isopod_runtime::objects::SqliteAlarms;
use tokio::runtime::Handle;
use tokio::sync::Notify;

pub use isopod_runtime::objects::{ObjectClass, ObjectHost, ObjectId, ObjectNamespace};

use self::fetcher::ObjectFetcher;
use self::live::{Key, Live};
use self::peers::Peers;
use super::engine::{JsEngine, ScriptEngine};
use crate::WeakPool;

/// The Durable Objects of a pool. Returned by [`Pool::objects`](super::Pool::objects). Clones share the same objects.
///
/// ```
/// # mod isopod {
/// #     pub use isopod_pool::{Meta, Options, js::{Pool, Script, handlers::Body, objects::ObjectClass}};
/// # }
/// use isopod::{Body, Meta, ObjectClass, Options, Pool, Script};
/// # fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// # let folder = std::env::temp_dir().join(format!("isopod-objects-{}", std::process::id()));
/// let pool = Pool::builder().threads(1).build()?;
/// let script = Script::builder("counter")
///     .source(
///         "import { DurableObject } from 'cloudflare:workers';
///          export class Counter extends DurableObject {
///              async add(n) {
///                  const sum = (await this.ctx.storage.get('sum') ?? 0) + n;
///                  await this.ctx.storage.put('sum', sum);
///                  return sum;
///              }
///          }
///          export default {
///              fetch: async (request, env) => new Response(await env.COUNTERS.getByName('visits').add(1)),
///          };",
///     )
///     .binding("COUNTERS", pool.objects().namespace(ObjectClass::new("counter", "Counter", &folder)));
/// pool.deploy("counter", script.build()?, &Options::default())?;
/// # futures::executor::block_on(async {
/// for visits in ["1", "2"] {
///     let request = http::Request::get("https://example.com/").body(Body::empty())?;
///     let response = pool.fetch("counter", request, Meta::default()).await?;
///     assert_eq!(response.into_body().as_bytes().expect("in memory"), visits);
/// }
/// # Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
/// # })?;
/// # let _ = std::fs::remove_dir_all(folder);
/// # Ok(())
/// # }
/// ```
///
/// An object lives in one worker of the pool, and meanwhile no other process that uses the same folder runs it; with
/// [`Objects::share`], calls from other processes reach it here. [`Objects::run`] evicts idle objects and fires alarms.
pub struct Objects<E: ScriptEngine = JsEngine>(Arc<Shared<E>>);

struct Shared<E: ScriptEngine> {
    pool: WeakPool<E>,
    live: Mutex<HashMap<Key, Arc<Live>>>,
    /// The alarms of each bound class, by its folder.
    alarms: Mutex<HashMap<Arc<PathBuf>, Alarms>>,
    /// Notified when an object has ended, or an alarm was set.
    changed: Arc<Notify>,
    /// The other processes, if objects are shared with them.
    peers: OnceLock<Peers>,
}

/// The alarms of a class.
#[derive(Clone)]
struct Alarms {
    class: Arc<ObjectClass>,
    store: SqliteAlarms,
}

impl<E: ScriptEngine> Objects<E> {
    pub(super) fn new(pool: WeakPool<E>) -> Self {
        Self(Arc::new(Shared {
            pool,
            live: Mutex::default(),
            alarms: Mutex::default(),
            changed: Arc::default(),
            peers: OnceLock::new(),
        }))
    }

    /// Shares the objects with other processes that use the same folders and do the same: a call reaches its object in whichever
    /// process that lives. Sockets are on the runtime of this handle, whose I/O and timers are enabled. Has an effect once, for
    /// objects that start afterwards.
    ///
    /// Each process has a Unix socket in `peers`, in the folder of a class, that its own user can connect to.
    pub fn share(&self, handle: &Handle) {
        let _ = self.0.peers.set(Peers::new(handle.clone()));
    }

    /// Takes no more calls of other processes, which wait until the objects have ended here: before a pool is drained.
    pub fn unshare(&self) {
        if let Some(peers) = self.0.peers.get() {
            peers.stop();
        }
    }

    /// Waits until calls of other processes that came before [`unshare`](Self::unshare) have their answers and the connections are
    /// closed: after a pool is drained, and before the process exits.
    pub async fn unshared(&self) {
        if let Some(peers) = self.0.peers.get() {
            peers.stopped().await;
        }
    }

    /// Creates a binding to a class that a script of the pool exports. It does not keep the pool open.
    pub fn namespace(&self, class: ObjectClass) -> ObjectNamespace {
        self.0.alarms_of(&Arc::new(class.clone()));
        ObjectNamespace::new(class, Self(Arc::clone(&self.0)))
    }
}

impl<E: ScriptEngine> ObjectHost for Objects<E> {
    fn object(&self, class: &Arc<ObjectClass>, id: ObjectId) -> Arc<dyn Fetcher> {
        Arc::new(ObjectFetcher::new(self.clone(), Arc::clone(class), id))
    }
}

impl<E: ScriptEngine> Shared<E> {
    fn live(&self) -> MutexGuard<'_, HashMap<Key, Arc<Live>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the class whose objects are in a folder.
    fn class_in(&self, folder: &Arc<PathBuf>) -> Option<Arc<ObjectClass>> {
        let all = self.alarms.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(folder).map(|alarms| Arc::clone(&alarms.class))
    }

    /// Returns the alarms of a class.
    fn alarms_of(&self, class: &Arc<ObjectClass>) -> SqliteAlarms {
        let mut all = self.alarms.lock().unwrap_or_else(PoisonError::into_inner);
        let one = all.entry(Arc::clone(&class.folder)).or_insert_with(|| {
            let changed = Arc::clone(&self.changed);
            Alarms {
                class: Arc::clone(class),
                store: SqliteAlarms::new(&class.folder, move || changed.notify_one()),
            }
        });
        // The script or its limits may have changed.
        one.class = Arc::clone(class);
        one.store.clone()
    }
}

impl<E: ScriptEngine> Clone for Objects<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<E: ScriptEngine> fmt::Debug for Objects<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objects")
            .field("live", &self.0.live().len())
            .finish_non_exhaustive()
    }
}

/// A handle that does not keep the table alive.
struct WeakObjects<E: ScriptEngine>(Weak<Shared<E>>);

impl<E: ScriptEngine> WeakObjects<E> {
    fn upgrade(&self) -> Option<Objects<E>> {
        self.0.upgrade().map(Objects)
    }
}
