//! Sessions: workers that stay, and that events can be addressed to.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{Notify, watch};

use crate::engine::{Event, SessionId};
use crate::observe::RetireReason;
use crate::options::Meta;
use crate::reject::{RejectReason, Rejected};
use crate::ticket::Ticket;

/// Reason and time of a session's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closing {
    /// The reason why the worker must end.
    pub reason: RetireReason,
    /// The time until which the worker is kept for the session; in the past if the worker is gone.
    pub until: Instant,
}

/// A session: one worker of a script, for events that must all reach the same one.
///
/// ```
/// # #[cfg(feature = "testing")] {
/// # use isopod_pool::fake::{Call, Does, FakeEngine, FakeScript};
/// # use isopod_pool::{Meta, Options, Pool};
/// # use std::sync::Arc;
/// # let pool = Pool::builder(FakeEngine::new()).threads(2).build().expect("threads");
/// # pool.deploy("chat", Arc::new(FakeScript::new()), &Options::default()).expect("running");
/// let session = pool.open_session("chat").expect("room");
/// let worker = |session: &isopod_pool::Session<Call>| {
///     let (call, reply) = Call::new(Does::WorkerId);
///     session.dispatch(call, Meta::default()).expect("room").detach();
///     reply.recv().expect("an answer")
/// };
/// assert_eq!(worker(&session), worker(&session));
/// # }
/// ```
///
/// The first event of a session is placed like any other event, and may wait in the queue. Once a worker has it, the session
/// is *placed*: the worker stays, even without events, and all further events of the session go there. If that worker ends
/// before it has begun any of them, they are placed again.
///
/// A worker that must end keeps its sessions for [`SessionLimits::grace`](crate::SessionLimits::grace), and
/// [`Session::closing`] notifies their holders. After that time, and at once if the worker is lost, the session is *gone*:
/// its events have ended or are canceled, and new ones are refused as [`RejectReason::SessionGone`].
///
/// Clones are handles to the same session. Dropping the last handle ends the session as soon as its events have ended. A
/// session does not keep its pool alive.
pub struct Session<V: Event> {
    id: SessionId,
    script: Arc<str>,
    key: Option<Arc<str>>,
    notice: Arc<Notice>,
    host: Arc<dyn SessionHost<V>>,
}

/// An open session, without its host.
pub(crate) struct Opened {
    pub(crate) id: SessionId,
    pub(crate) script: Arc<str>,
    pub(crate) key: Option<Arc<str>>,
    pub(crate) notice: Arc<Notice>,
}

/// The operations of the pool that its sessions need.
pub(crate) trait SessionHost<V: Event>: Send + Sync {
    fn dispatch(self: Arc<Self>, session: SessionId, event: V, meta: Meta) -> Result<Ticket, Rejected<V>>;
    /// Returns whether the session has room for another event or is gone. If neither, its [`Notice`] reports either later.
    fn has_room(&self, session: SessionId) -> bool;
    fn retain(&self, session: SessionId);
    fn release(&self, session: SessionId);
}

impl<V: Event> Session<V> {
    pub(crate) fn new(opened: Opened, host: Arc<dyn SessionHost<V>>) -> Self {
        let Opened {
            id,
            script,
            key,
            notice,
        } = opened;
        Self {
            id,
            script,
            key,
            notice,
            host,
        }
    }

    /// Returns the session's number.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// Returns the name of its script.
    #[must_use]
    pub fn script(&self) -> &str {
        &self.script
    }

    /// Returns its key, if it has one.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Dispatches an event to the session's worker. Never blocks. The answer arrives through the event.
    ///
    /// # Errors
    /// The event was not accepted; it is returned with the reason: [`RejectReason::SessionFull`] is backpressure (see
    /// [`Session::ready`]), [`RejectReason::SessionGone`] is final. While the session is not placed, also the reasons of
    /// [`Pool::dispatch`](crate::Pool::dispatch).
    pub fn dispatch(&self, event: V, meta: Meta) -> Result<Ticket, Rejected<V>> {
        Arc::clone(&self.host).dispatch(self.id, event, meta)
    }

    /// Waits until the session has room for another event, or is gone.
    pub async fn ready(&self) {
        loop {
            let mut room = std::pin::pin!(self.notice.room.notified());
            // Enabled before the check, so that no notification is missed.
            room.as_mut().enable();
            if self.host.has_room(self.id) {
                return;
            }
            room.await;
        }
    }

    /// Waits until the session's worker must end. The holder then finishes, or moves to another session, and drops this
    /// handle; the worker ends with the last handle.
    pub async fn closing(&self) -> Closing {
        let mut stage = self.notice.stage.subscribe();
        let closing = stage.wait_for(|stage| stage.closing().is_some()).await;
        match closing.ok().and_then(|stage| stage.closing()) {
            Some(closing) => closing,
            // The channel does not close: its sender is in `self`.
            None => std::future::pending().await,
        }
    }

    /// Returns whether the session is gone and refuses events.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(*self.notice.stage.borrow(), Stage::Gone(_))
    }
}

impl<V: Event> Clone for Session<V> {
    fn clone(&self) -> Self {
        self.host.retain(self.id);
        Self {
            id: self.id,
            script: Arc::clone(&self.script),
            key: self.key.clone(),
            notice: Arc::clone(&self.notice),
            host: Arc::clone(&self.host),
        }
    }
}

impl<V: Event> Drop for Session<V> {
    fn drop(&mut self) {
        self.host.release(self.id);
    }
}

impl<V: Event> fmt::Debug for Session<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .field("script", &self.script)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// Notices to the holders of a session. They are written outside the pool's lock and so may arrive out of order; the stage
/// only advances.
#[derive(Debug)]
pub(crate) struct Notice {
    stage: watch::Sender<Stage>,
    room: Notify,
}

/// Stage of a session.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stage {
    Open,
    Closing(Closing),
    Gone(Closing),
}

impl Stage {
    const fn rank(self) -> u8 {
        match self {
            Self::Open => 0,
            Self::Closing(_) => 1,
            Self::Gone(_) => 2,
        }
    }

    const fn closing(self) -> Option<Closing> {
        match self {
            Self::Open => None,
            Self::Closing(closing) | Self::Gone(closing) => Some(closing),
        }
    }
}

impl Notice {
    pub(crate) fn new() -> Self {
        Self {
            stage: watch::Sender::new(Stage::Open),
            room: Notify::new(),
        }
    }

    pub(crate) fn advance(&self, to: Stage) {
        self.stage.send_if_modified(|stage| {
            let advances = to.rank() > stage.rank();
            if advances {
                *stage = to;
            }
            advances
        });
    }

    /// Returns the notice, if it was given.
    #[cfg(all(test, not(feature = "shuttle")))]
    pub(crate) fn closing(&self) -> Option<Closing> {
        self.stage.borrow().closing()
    }

    /// Notifies that the session has room again or is gone.
    pub(crate) fn has_room(&self) {
        self.room.notify_waiters();
    }
}

/// Creates the reason for refusing an event of a session that is gone.
pub(crate) fn gone(script: &str, reason: RetireReason) -> RejectReason {
    RejectReason::SessionGone {
        name: script.to_owned(),
        reason,
    }
}
