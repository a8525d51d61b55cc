//! Objects of other processes that use the same folder: which of them has an object, and the connections to them.
//!
//! A process claims an object before it starts it (`ObjectClaim`). The claim names the socket at which the process answers the
//! others, in the folder `peers` beside the objects. All that is here needs a [`share`](super::Objects::share).

use std::collections::HashMap;
use std::fs::{DirBuilder, File, Permissions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use isopod_runtime::bindings::Binding as _;
use isopod_runtime::fetcher::Fetcher;
use isopod_runtime::objects::{Claimed, ObjectClaim, ObjectClass, ObjectHost, ObjectId, ObjectNamespace};
use isopod_runtime::remote::Target;
use isopod_runtime::written::FRAME_BYTES_MAX;
use tokio::net::UnixListener;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::super::cell::peer::{self, Find, Halves, Peer};
use super::super::engine::ScriptEngine;
use super::fetcher::ObjectFetcher;
use super::{Objects, Shared, WeakObjects};

/// The folder of sockets, beside the objects.
const SOCKETS: &str = "peers";
/// Connections of other processes to a listener at a time.
const CONNECTIONS_MAX: usize = 256;
/// Age at which a socket is removed that nothing listens on: its process was killed.
const STALE: Duration = Duration::from_secs(60);

/// Sockets and connections of a process that shares its objects with others.
pub(super) struct Peers {
    handle: Handle,
    /// The socket of this process in each folder of objects. `None`: it has none there, for a reason that was logged.
    listening: Mutex<HashMap<Arc<PathBuf>, Option<Listening>>>,
    connected: tokio::sync::Mutex<HashMap<PathBuf, Peer>>,
    /// The connections to other processes, which end with this.
    asking: Mutex<JoinSet<()>>,
    /// The listeners and the connections of other processes, which end with this.
    answering: Mutex<JoinSet<()>>,
    /// True once the process accepts no more calls of others.
    stops: watch::Sender<bool>,
}

struct Listening {
    name: String,
    path: PathBuf,
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Peers {
    pub(super) fn new(handle: Handle) -> Self {
        Self {
            handle,
            listening: Mutex::default(),
            connected: tokio::sync::Mutex::default(),
            asking: Mutex::default(),
            answering: Mutex::default(),
            stops: watch::Sender::new(false),
        }
    }

    /// Claims an object for this process, which listens in the folder from then on.
    pub(super) fn claim<E: ScriptEngine>(
        &self,
        objects: &Arc<Shared<E>>,
        class: &ObjectClass,
        id: &ObjectId,
    ) -> io::Result<Claimed> {
        let name = self.listen(objects, &class.folder);
        ObjectClaim::take(&class.folder, id, &name)
    }

    /// The name of this process's socket in a folder; empty if it has none.
    fn listen<E: ScriptEngine>(&self, objects: &Arc<Shared<E>>, folder: &Arc<PathBuf>) -> String {
        let mut listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner);
        let own = listening.entry(Arc::clone(folder)).or_insert_with(|| {
            let objects = WeakObjects(Arc::downgrade(objects));
            let bound = self.bind(folder, objects);
            bound
                .inspect_err(|error| {
                    let folder = folder.display();
                    tracing::warn!(
                        target: "isopod::storage",
                        "other processes cannot call the Durable Objects that live in this one: there is no socket in {folder}: {error}"
                    );
                })
                .ok()
        });
        own.as_ref().map(|own| own.name.clone()).unwrap_or_default()
    }

    fn bind<E: ScriptEngine>(&self, folder: &Arc<PathBuf>, objects: WeakObjects<E>) -> io::Result<Listening> {
        let sockets = folder.join(SOCKETS);
        DirBuilder::new().recursive(true).mode(0o700).create(&sockets)?;
        sweep(&sockets);
        let name = format!("{:016x}", fastrand::u64(..));
        let path = sockets.join(&name);
        let listener = short(&sockets, &name, |path| std::os::unix::net::UnixListener::bind(path))?;
        let own = Listening { name, path };
        std::fs::set_permissions(&own.path, Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        let listener = {
            let _entered = self.handle.enter();
            UnixListener::from_std(listener)?
        };
        let accepting = accept(
            listener,
            objects,
            Arc::clone(folder),
            self.handle.clone(),
            self.stops.subscribe(),
        );
        let mut answering = self.answering.lock().unwrap_or_else(PoisonError::into_inner);
        answering.spawn_on(accepting, &self.handle);
        Ok(own)
    }

    /// Takes no more calls of other processes. Those that have come are answered.
    pub(super) fn stop(&self) {
        self.stops.send_replace(true);
        // Claims name the sockets until their objects have ended: others wait for that.
        let listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner);
        for own in listening.values().flatten() {
            let _ = std::fs::remove_file(&own.path);
        }
    }

    /// Waits until the calls of other processes have their answers and the connections are closed.
    pub(super) async fn stopped(&self) {
        let mut answering = std::mem::take(&mut *self.answering.lock().unwrap_or_else(PoisonError::into_inner));
        while answering.join_next().await.is_some() {}
    }

    /// Returns true if a socket of this name is this process's own.
    pub(super) fn is_own(&self, folder: &PathBuf, name: &str) -> bool {
        let listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner);
        let own = listening.get(folder).and_then(Option::as_ref);
        own.is_some_and(|own| own.name == name)
    }

    /// Returns the connection to the process whose socket in this folder has this name.
    pub(super) async fn connect(&self, folder: &Path, name: &str) -> io::Result<Peer> {
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(io::Error::other("it takes no calls of others"));
        }
        let sockets = folder.join(SOCKETS);
        let path = sockets.join(name);
        let mut connected = self.connected.lock().await;
        if let Some(peer) = connected.get(&path) {
            if peer.is_open() {
                return Ok(peer.clone());
            }
            connected.remove(&path);
        }
        let (handle, own, name) = (self.handle.clone(), self.handle.clone(), name.to_owned());
        // Sockets are opened on the runtime that polls them.
        let connecting = handle.spawn(async move {
            let folder = File::open(&sockets)?;
            let short = through(&folder, &name);
            Peer::connect(&short, own).await
        });
        let (peer, connection) = connecting.await.map_err(io::Error::other)??;
        {
            let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
            while asking.try_join_next().is_some() {}
            asking.spawn_on(connection, &self.handle);
        }
        connected.insert(path, peer.clone());
        Ok(peer)
    }

    /// Waits on the runtime, whatever the caller's is.
    pub(super) async fn pause(&self, time: Duration) {
        let slept = self.handle.spawn(tokio::time::sleep(time));
        let _ = slept.await;
    }
}

/// The path of a file through its folder that is open: a socket's path has at most 107 bytes.
fn through(folder: &File, name: &str) -> PathBuf {
    format!("/proc/self/fd/{}/{name}", folder.as_raw_fd()).into()
}

fn short<T>(folder: &Path, name: &str, body: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let folder = File::open(folder)?;
    body(&through(&folder, name))
}

/// Removes the sockets of processes that were killed.
fn sweep(sockets: &Path) {
    for entry in std::fs::read_dir(sockets).into_iter().flatten().flatten() {
        let made = entry.metadata().and_then(|metadata| metadata.modified());
        // One that is young may be about to listen.
        let is_old = made.is_ok_and(|made| SystemTime::now().duration_since(made).is_ok_and(|age| age > STALE));
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
            continue;
        };
        let connect = |path: &Path| std::os::unix::net::UnixStream::connect(path);
        let refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
        if is_old && short(sockets, &name, connect).is_err_and(|error| refused(&error)) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Accepts the connections of other processes until this one stops.
async fn accept<E: ScriptEngine>(
    listener: UnixListener,
    objects: WeakObjects<E>,
    folder: Arc<PathBuf>,
    handle: Handle,
    stops: watch::Receiver<bool>,
) {
    let halves = Arc::new(Halves::default());
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let find = find(objects, folder);
    let mut tasks = JoinSet::new();
    let mut stopped = stops.clone();
    loop {
        let accepted = tokio::select! {
            _ = stopped.wait_for(|stops| *stops) => break,
            accepted = listener.accept() => accepted,
        };
        while tasks.try_join_next().is_some() {}
        let Ok((socket, _)) = accepted else {
            // Such as no more descriptors.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            continue;
        };
        let (halves, handle, find, stops) = (Arc::clone(&halves), handle.clone(), Arc::clone(&find), stops.clone());
        tasks.spawn(async move {
            if let Some(pair) = halves.pair(socket).await {
                peer::serve(pair, handle, find, stops).await;
            }
            drop(permit);
        });
    }
    drop(listener);
    while tasks.join_next().await.is_some() {}
}

/// Answers requests and calls of other processes to the objects in a folder, with those that live here or may start here.
fn find<E: ScriptEngine>(objects: WeakObjects<E>, folder: Arc<PathBuf>) -> Find {
    Arc::new(move |target, parcel| {
        let class = objects.upgrade().and_then(|objects| {
            let class = objects.0.class_in(&folder)?;
            Some((class, objects))
        });
        match (class, target) {
            // The name is that of the calling worker.
            (Some((class, objects)), Target::Binding(worker)) => {
                let namespace = ObjectNamespace::new((*class).clone(), Here(objects));
                namespace.serve(&worker, parcel, FRAME_BYTES_MAX)
            }
            _ => Box::pin(std::future::ready(Err(
                "this process has no such Durable Objects".to_owned()
            ))),
        }
    })
}

/// The objects of this process.
struct Here<E: ScriptEngine>(Objects<E>);

impl<E: ScriptEngine> ObjectHost for Here<E> {
    fn object(&self, class: &Arc<ObjectClass>, id: ObjectId) -> Arc<dyn Fetcher> {
        Arc::new(ObjectFetcher::new(self.0.clone(), Arc::clone(class), id).only_here())
    }
}
