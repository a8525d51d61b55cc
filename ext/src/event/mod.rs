//! Events: the state of an open one, its content, and its failure. The lowest layer of the handler interface, without
//! V8. Above it are [`values`](crate::values), then [`native`](crate::native) functions, then
//! [`handlers`](crate::handlers).

mod body;
mod cloned;
mod data;
mod fault;
mod head;
mod keys;
mod leftover;
mod meter;
mod reason;
mod request;
mod room;
mod stage;
mod table;
mod tail;
mod task;
mod thrown;

pub use self::body::{Body, BodyError, BoxError};
pub use self::cloned::NotPlain;
pub use self::data::Data;
pub use self::fault::{CodeFrames, Draw, Fault, FaultKind};
pub(crate) use self::head::{Headers, TooManyHeaders};
pub use self::keys::{EVENTS_MAX, EventKey, KeyHasher, KeyMap, Keys};
pub(crate) use self::leftover::EndsWithEvent;
pub use self::leftover::EventEnded;
pub(crate) use self::meter::CpuMeter;
pub use self::meter::{CpuAccount, CpuExceeded};
#[cfg(feature = "sql")]
pub(crate) use self::meter::{CpuBudget, thread_cpu};
pub(crate) use self::reason::{own_reason, reason_of, set_reason};
pub use self::request::{CALL_DEPTH, CallDepth, Caller, Reply, RequestCf, RequestInfo, RequestUrl};
pub(crate) use self::room::Wait;
pub use self::stage::{Ended, Stage};
pub use self::table::{Attachment, Borrowed, OpenEvents, Origin, Report, ValueReply};
pub(crate) use self::table::{Opening, Waiting};
pub(crate) use self::tail::Tail;
pub use self::task::{RESULT_NAME_BYTES_MAX, TaskItem};
pub use self::thrown::Thrown;
pub(crate) use self::thrown::{CAUSES_MAX, cut};
