//! The settings of a SQL binding in builds without it, so that a script with the binding can be rejected.

#[path = "sql/config.rs"]
mod config;

pub use self::config::SqlConfig;

use std::rc::Rc;

use crate::bindings::{Asks, Held, Parcel, Text, Transit};
use crate::io::Io;

/// The binding of a database in another process. Never called, because a script with one is rejected.
pub(crate) fn remote_binding(_asks: Asks) -> Text {
    Text(String::new())
}

/// Answers a call of a worker in another process.
#[expect(clippy::unused_async, reason = "as in builds with SQL")]
pub(crate) async fn serve_remote(
    _io: Rc<Io>,
    _config: SqlConfig,
    _request: Parcel,
    _held: Held,
) -> Result<Parcel, String> {
    Err("this build has no SQL".to_owned())
}

/// The room for a call.
pub(crate) fn question_bytes(_request: &Parcel) -> usize {
    0
}

/// The room for the answer to a call.
pub(crate) fn answer_bytes(_config: &SqlConfig, _transit: &Transit) -> usize {
    0
}
