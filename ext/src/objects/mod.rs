//! Durable Objects: one instance of a class per id, with its own storage.
//! <https://developers.cloudflare.com/durable-objects/>
//!
//! [`ObjectNamespace`] is the binding. Its stubs are [fetchers](crate::fetcher) of an [`ObjectHost`], the pool, which sends
//! each call to the one worker that hosts the object. There, `objects.js` holds the instances. An object begins with the
//! event [`ObjectStart`], which stays open as long as the object lives. The object's code runs as part of that event,
//! regardless of the calling event.
//!
//! Storage is one SQLite file per object (`place`, `database`), used on the thread of the object's worker (`backing`); for a worker
//! in a sandbox, which has no files, by the pool's process (`hosted`), which the worker asks (`elsewhere`). `store` is the same for
//! both: when writes are committed, and when they are on the disk. Feature `sql`.

mod alarms;
mod arrival;
mod backing;
mod crossing;
mod database;
mod elsewhere;
mod events;
mod hosted;
mod id;
mod messages;
mod namespace;
mod ops;
mod place;
mod remote;
mod store;
mod stored;

use crate::quotas::QuotaError;
use crate::sql::SqlError;
use crate::storage::StorageError;
use crate::unwind;

pub use self::alarms::{DueAlarm, SqliteAlarms};
pub use self::events::{AlarmResult, OBJECT_GONE, ObjectAlarm, ObjectEviction, ObjectStart, entry_point};
pub use self::id::ObjectId;
pub use self::namespace::{ObjectClass, ObjectHost, ObjectNamespace};
pub use self::place::{Claimed, ObjectClaim};
pub(crate) use self::remote::{binding as remote_binding, object as remote_object};
pub use self::stored::{AlarmStore, OnEnd, StoredObject};

/// An error of an op of this folder.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
enum ObjectError {
    #[class(type)]
    #[error("this worker has no Durable Object namespace named '{0}'")]
    NoBinding(String),
    #[class(type)]
    #[error("Invalid Durable Object ID: must be 64 hex digits")]
    InvalidId,
    #[class(type)]
    #[error("Durable Object ID is not valid for this namespace.")]
    OtherNamespace,
    #[class(generic)]
    #[error("the storage of this Durable Object did not come with its start")]
    NoStorage,
    #[class(generic)]
    #[error("{0}")]
    Elsewhere(String),
    #[class(generic)]
    #[error("the storage of this Durable Object cannot be opened: {0}")]
    Open(std::io::Error),
    #[class(generic)]
    #[error("the writes of this Durable Object cannot be stored: {0}")]
    Failed(String),
    #[class(generic)]
    #[error("the Durable Object that this storage belongs to has ended")]
    Ended,
    #[class(inherit)]
    #[error(transparent)]
    Quota(#[from] QuotaError),
    #[class(generic)]
    #[error(transparent)]
    Sql(#[from] SqlError),
    #[class(generic)]
    #[error("{0}")]
    Internal(String),
}

impl From<unwind::Panicked> for ObjectError {
    fn from(panicked: unwind::Panicked) -> Self {
        Self::Internal(panicked.to_string())
    }
}

impl From<StorageError> for ObjectError {
    fn from(error: StorageError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// In a module, because the macro creates a public type.
pub(crate) mod extension {
    use super::{namespace, ops};

    deno_core::extension!(
        isopod_objects,
        deps = [isopod_context, isopod_handlers, isopod_rpc, isopod_fetcher, isopod_web_socket],
        ops = [
            namespace::op_isopod_object_id,
            namespace::op_isopod_object_check,
            namespace::op_isopod_object_own,
            ops::op_isopod_object_open,
            ops::op_isopod_object_stands,
            ops::op_isopod_object_enter,
            ops::op_isopod_object_close,
            ops::op_isopod_object_rest,
            ops::op_isopod_object_is_dirty,
            ops::op_isopod_object_durable,
            ops::op_isopod_object_get,
            ops::op_isopod_object_get_all,
            ops::op_isopod_object_put,
            ops::op_isopod_object_put_all,
            ops::op_isopod_object_delete,
            ops::op_isopod_object_delete_all,
            ops::op_isopod_object_list,
            ops::op_isopod_object_clear,
            ops::op_isopod_object_begin,
            ops::op_isopod_object_finish,
            ops::op_isopod_object_alarm,
            ops::op_isopod_object_set_alarm,
            ops::op_isopod_object_sql,
            ops::op_isopod_object_rows,
            ops::op_isopod_object_close_cursor,
            ops::op_isopod_object_size,
        ],
        lazy_loaded_js = [dir "src/objects", "alarm.js", "namespace.js", "objects.js", "sockets.js", "sql.js", "storage.js"],
    );
}
