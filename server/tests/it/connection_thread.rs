//! A thread for connections, like a worker's.

use std::{
    future::poll_fn,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Poll,
    thread::JoinHandle,
};

use isopod_server::MovableConnection;
use tokio::{sync::mpsc, task::LocalSet};

/// The place of a connection, empty once it has left.
type Place = Arc<Mutex<Option<MovableConnection>>>;

/// A thread that starts with the first connection, and whose runtime ends with the last handle or at
/// [`Thread::end`].
#[derive(Clone, Default)]
pub(crate) struct Thread(Arc<Shared>);

#[derive(Default)]
struct Shared {
    thread: Mutex<Option<(mpsc::Sender<Place>, JoinHandle<()>)>>,
    places: Mutex<Vec<Place>>,
    taken: AtomicUsize,
    is_full: AtomicBool,
}

fn start() -> (mpsc::Sender<Place>, JoinHandle<()>) {
    let (arrive, mut arrivals) = mpsc::channel::<Place>(64);
    let live = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        LocalSet::new().block_on(&runtime, async move {
            while let Some(place) = arrivals.recv().await {
                tokio::task::spawn_local(poll_fn(move |cx| match &mut *place.lock().unwrap() {
                    Some(connection) => connection.poll(cx),
                    None => Poll::Ready(()),
                }));
            }
        });
    };
    let thread = std::thread::Builder::new().name("connections".into()).spawn(live);
    (arrive, thread.unwrap())
}

impl isopod_server::ConnectionThread for Thread {
    fn attach(self: Box<Self>, connection: MovableConnection) -> Result<(), MovableConnection> {
        if self.0.is_full.load(Ordering::SeqCst) {
            return Err(connection);
        }
        let place = Arc::new(Mutex::new(Some(connection)));
        self.0.places.lock().unwrap().push(place.clone());
        self.0.taken.fetch_add(1, Ordering::SeqCst);
        let mut thread = self.0.thread.lock().unwrap();
        let (arrive, _) = thread.get_or_insert_with(start);
        arrive.try_send(place).expect("few connections");
        Ok(())
    }
}

impl Thread {
    /// Returns the number of connections that have moved to the thread so far.
    pub(crate) fn taken(&self) -> usize {
        self.0.taken.load(Ordering::SeqCst)
    }

    /// Refuses connections from now on.
    pub(crate) fn refuse(&self) {
        self.0.is_full.store(true, Ordering::SeqCst);
    }

    /// Sends all connections away. Returns their number.
    pub(crate) fn evict(&self) -> usize {
        let places = std::mem::take(&mut *self.0.places.lock().unwrap());
        let left = places.iter().filter_map(|place| place.lock().unwrap().take());
        left.map(MovableConnection::return_to_server).count()
    }

    /// Sends all connections away, and ends the thread with its runtime.
    pub(crate) fn end(&self) {
        self.refuse();
        self.evict();
        let (arrive, thread) = self.0.thread.lock().unwrap().take().unwrap();
        drop(arrive);
        thread.join().unwrap();
    }
}
