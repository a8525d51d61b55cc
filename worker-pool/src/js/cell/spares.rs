//! The processes that wait for a worker, and the thread that looks after all cells of a pool.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::keeper::Keeper;
use super::options::Cells;
use super::process::{Launched, launch};

/// Time for processes that are killed to end.
const END_WITHIN: Duration = Duration::from_secs(2);

/// The cells of a pool. Dropped with its engine, once all workers are gone.
pub(in crate::js) struct Depot {
    cells: Cells,
    keeper: Mutex<Option<Keeper>>,
    /// Ends the processes and the thread.
    end: watch::Sender<bool>,
    spares: Arc<Mutex<Vec<Launched>>>,
}

impl Depot {
    pub(in crate::js) fn new(cells: Cells) -> Self {
        Self {
            cells,
            keeper: Mutex::new(None),
            end: watch::Sender::new(false),
            spares: Arc::default(),
        }
    }

    pub(super) const fn options(&self) -> &Cells {
        &self.cells
    }

    /// Takes a process that waits, unless a new one is wanted; else starts one. Another is started in its place.
    pub(super) async fn take(&self, is_new: bool) -> io::Result<Launched> {
        let keeper = self.keeper()?;
        let spare = match is_new {
            true => None,
            false => lock(&self.spares).pop().filter(Launched::lives),
        };
        let cell = match spare {
            Some(spare) => spare,
            None => {
                let (to, launched) = oneshot::channel();
                let (cells, own) = (self.cells.clone(), keeper.clone());
                keeper.handle.spawn(async move { drop(to.send(launch(&cells, &own))) });
                let launched = launched.await;
                launched.map_err(|_| io::Error::other("the pool is shutting down"))??
            }
        };
        let (cells, own, spares) = (self.cells.clone(), keeper.clone(), Arc::clone(&self.spares));
        keeper.handle.spawn(async move {
            while lock(&spares).len() < cells.spares && !*own.ends.borrow() {
                match launch(&cells, &own) {
                    Ok(launched) => lock(&spares).push(launched),
                    Err(error) => return tracing::warn!(%error, "cannot start a process for the next worker"),
                }
            }
        });
        Ok(cell)
    }

    fn keeper(&self) -> io::Result<Keeper> {
        let mut keeper = lock(&self.keeper);
        if let Some(keeper) = &*keeper {
            return Ok(keeper.clone());
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (lives, mut live) = mpsc::channel(1);
        let mut ends = self.end.subscribe();
        std::thread::Builder::new()
            .name("isopod-cells".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    // It fails where the sender is gone, which is an end too.
                    let _ = ends.wait_for(|ends| *ends).await;
                    let _ = timeout(END_WITHIN, live.recv()).await;
                });
            })?;
        let started = Keeper {
            handle,
            ends: self.end.subscribe(),
            lives,
        };
        *keeper = Some(started.clone());
        Ok(started)
    }
}

impl Drop for Depot {
    fn drop(&mut self) {
        self.end.send_replace(true);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
