//! The pool without JavaScript: threads, mailboxes, placement, supervision and statistics for any [`Engine`].
//!
//! [`isopod::Pool`](crate::Pool) is this [`Pool`] over [`JsEngine`]. Programs that run JavaScript need nothing of this
//! module.

#[doc(inline)]
pub use isopod_pool::js::{JsEngine, JsWorker, ScriptEngine};
#[doc(inline)]
pub use isopod_pool::{
    Admit, BootContext, BootError, Breaker, BreakerState, Engine, Event, Pool, PoolBuilder, RejectReason, Rejected,
    Session, SlotId, ThreadError, Ticket, Trim, Turn, WeakPool, Worker, WorkerNotice, placement,
};

// For engines that run scripts.
#[doc(inline)]
pub use isopod_runtime::handlers::{Event as ScriptEvent, Fault, FaultKind};
#[doc(inline)]
pub use isopod_runtime::written;

#[cfg(feature = "testing")]
#[doc(inline)]
pub use isopod_pool::fake;
