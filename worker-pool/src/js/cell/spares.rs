//! Spare processes for the next workers, and the thread that supervises all cells of a pool.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use isopod_runtime::io::IoOptions;
use isopod_runtime::network::Broker;
use isopod_runtime::sandbox::Confinement;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

use super::keeper::Keeper;
use super::options::Cells;
use super::process::{Launched, launch};

/// Time limit for killed processes to end.
const END_WITHIN: Duration = Duration::from_secs(2);

/// The cells of a pool. Dropped with the engine, after all workers.
pub(in crate::js) struct Depot {
    cells: Cells,
    keeper: Mutex<Option<Keeper>>,
    /// Ends the processes and the thread.
    end: watch::Sender<bool>,
    spares: Arc<Mutex<Vec<Launched>>>,
    /// The mechanisms that confine sandboxes, once a sandbox has reported them.
    confinement: Mutex<Option<Confinement>>,
}

impl Depot {
    pub(in crate::js) fn new(cells: Cells) -> Self {
        Self {
            cells,
            keeper: Mutex::new(None),
            end: watch::Sender::new(false),
            spares: Arc::default(),
            confinement: Mutex::new(None),
        }
    }

    pub(super) const fn options(&self) -> &Cells {
        &self.cells
    }

    /// Takes a spare process, or starts one if there is none or a new one is required.
    pub(super) async fn take(&self, is_new: bool, in_sandbox: bool) -> io::Result<Launched> {
        let keeper = self.keeper()?;
        let spare = match is_new {
            true => None,
            false => self.spare(in_sandbox),
        };
        let cell = match spare {
            Some(spare) => spare,
            None => {
                let (to, launched) = oneshot::channel();
                let (cells, own) = (self.cells.clone(), keeper.clone());
                keeper
                    .handle
                    .spawn(async move { drop(to.send(launch(&cells, &own, in_sandbox))) });
                let launched = launched.await;
                launched.map_err(|_| io::Error::other("the pool is shutting down"))??
            }
        };
        Ok(cell)
    }

    /// Starts spare processes where some are missing.
    fn refill(&self, in_sandbox: bool) {
        let Ok(keeper) = self.keeper() else { return };
        let (cells, own, spares) = (self.cells.clone(), keeper.clone(), Arc::clone(&self.spares));
        keeper.handle.spawn(async move {
            lock(&spares).retain(Launched::lives);
            while of_kind(&lock(&spares), in_sandbox) < cells.spares && !*own.ends.borrow() {
                match launch(&cells, &own, in_sandbox) {
                    Ok(launched) => lock(&spares).push(launched),
                    Err(error) => return tracing::warn!(%error, "cannot start a process for the next worker"),
                }
            }
        });
    }

    /// Takes a spare process.
    fn spare(&self, in_sandbox: bool) -> Option<Launched> {
        let mut spares = lock(&self.spares);
        let at = spares.iter().rposition(|spare| spare.in_sandbox == in_sandbox)?;
        Some(spares.remove(at)).filter(Launched::lives)
    }

    /// Returns the mechanisms that confine the sandboxes of this pool; `None` before the first sandbox.
    pub(in crate::js) fn confinement(&self) -> Option<Confinement> {
        lock(&self.confinement).clone()
    }

    /// Determines the mechanisms that confine the sandboxes of this pool, by starting a spare one.
    pub(in crate::js) async fn confine(&self) -> io::Result<Confinement> {
        if let Some(known) = self.confinement() {
            return Ok(known);
        }
        let cell = self.take(false, true).await?;
        let confinement = self.confinement_of(&cell).await?;
        lock(&self.spares).push(cell);
        Ok(confinement)
    }

    /// Returns the mechanisms that confine a sandbox, which it reports before it runs any script.
    pub(super) async fn confinement_of(&self, cell: &Launched) -> io::Result<Confinement> {
        let (served, life, silence_max) = (Arc::clone(&cell.served), Arc::clone(&cell.life), self.cells.silence_max);
        // Spawned there, because callers may have another runtime or none.
        let telling = self.keeper()?.handle.spawn(async move {
            tokio::select! {
                told = served.confinement() => Ok(told),
                how = life.ended() => Err(format!("the sandbox ended while starting ({how})")),
                () = sleep(silence_max) => Err("the sandbox gives no sign of life".to_owned()),
            }
        });
        let told = telling.await.map_err(io::Error::other)?;
        let confinement = told.map_err(io::Error::other)?;
        let confinement = confinement.ok_or_else(|| io::Error::other("the sandbox does not say what confines it"))?;
        *lock(&self.confinement) = Some(confinement.clone());
        Ok(confinement)
    }

    fn keeper(&self) -> io::Result<Keeper> {
        let mut keeper = lock(&self.keeper);
        if let Some(keeper) = &*keeper {
            return Ok(keeper.clone());
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            // These threads read the files of modules for sandboxes.
            .max_blocking_threads(4)
            .thread_name("isopod-files")
            .build()?;
        let handle = runtime.handle().clone();
        let (lives, mut live) = mpsc::channel(1);
        let mut ends = self.end.subscribe();
        let (broker, brokering) = Broker::new(IoOptions::default().name("isopod-net"));
        std::thread::Builder::new()
            .name("isopod-cells".to_owned())
            .spawn(move || {
                LocalSet::new().block_on(&runtime, async {
                    let ended = async {
                        // An error means that the sender is gone, which is an end too.
                        let _ = ends.wait_for(|ends| *ends).await;
                        let _ = timeout(END_WITHIN, live.recv()).await;
                    };
                    tokio::select! {
                        () = ended => {}
                        // Not before: this keeps one of them.
                        () = brokering.run() => {}
                    }
                });
            })?;
        let started = Keeper {
            handle,
            broker,
            ends: self.end.subscribe(),
            lives,
        };
        *keeper = Some(started.clone());
        Ok(started)
    }
}

/// Starts spare processes for the next workers when it is dropped: after the start of a worker, which may lack the processor time
/// otherwise.
pub(super) struct Refills<'a> {
    pub(super) depot: &'a Depot,
    pub(super) in_sandbox: bool,
}

impl Drop for Refills<'_> {
    fn drop(&mut self) {
        self.depot.refill(self.in_sandbox);
    }
}

impl Drop for Depot {
    fn drop(&mut self) {
        self.end.send_replace(true);
    }
}

/// Returns the number of spare processes of a kind.
fn of_kind(spares: &[Launched], in_sandbox: bool) -> usize {
    spares.iter().filter(|spare| spare.in_sandbox == in_sandbox).count()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
