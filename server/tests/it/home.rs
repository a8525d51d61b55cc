//! A thread on which connections live, as a worker's.

use std::{
    future::poll_fn,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Poll,
    thread::JoinHandle,
};

use isopod_server::Resident;
use tokio::{sync::mpsc, task::LocalSet};

/// The place of a connection: empty once that has left.
type Room = Arc<Mutex<Option<Resident>>>;

/// A home on a thread of its own, which starts with the first connection, and whose runtime ends with the last handle or at
/// [`Home::end`].
#[derive(Clone, Default)]
pub(crate) struct Home(Arc<Shared>);

#[derive(Default)]
struct Shared {
    thread: Mutex<Option<(mpsc::Sender<Room>, JoinHandle<()>)>>,
    rooms: Mutex<Vec<Room>>,
    taken: AtomicUsize,
    is_full: AtomicBool,
}

fn start() -> (mpsc::Sender<Room>, JoinHandle<()>) {
    let (arrive, mut arrivals) = mpsc::channel::<Room>(64);
    let live = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        LocalSet::new().block_on(&runtime, async move {
            while let Some(room) = arrivals.recv().await {
                tokio::task::spawn_local(poll_fn(move |cx| match &mut *room.lock().unwrap() {
                    Some(resident) => resident.poll(cx),
                    None => Poll::Ready(()),
                }));
            }
        });
    };
    let thread = std::thread::Builder::new().name("home".into()).spawn(live);
    (arrive, thread.unwrap())
}

impl isopod_server::Home for Home {
    fn take(self: Box<Self>, connection: Resident) -> Result<(), Resident> {
        if self.0.is_full.load(Ordering::SeqCst) {
            return Err(connection);
        }
        let room = Arc::new(Mutex::new(Some(connection)));
        self.0.rooms.lock().unwrap().push(room.clone());
        self.0.taken.fetch_add(1, Ordering::SeqCst);
        let mut thread = self.0.thread.lock().unwrap();
        let (arrive, _) = thread.get_or_insert_with(start);
        arrive.try_send(room).expect("few connections");
        Ok(())
    }
}

impl Home {
    /// The number of connections that have moved there so far.
    pub(crate) fn taken(&self) -> usize {
        self.0.taken.load(Ordering::SeqCst)
    }

    /// Takes no connections from now on.
    pub(crate) fn refuse(&self) {
        self.0.is_full.store(true, Ordering::SeqCst);
    }

    /// Sends all connections away. Returns their number.
    pub(crate) fn evict(&self) -> usize {
        let rooms = std::mem::take(&mut *self.0.rooms.lock().unwrap());
        let left = rooms.iter().filter_map(|room| room.lock().unwrap().take());
        left.map(Resident::leave).count()
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
