//! The settings of a SQL binding in builds without it, so that a script with the binding can be rejected.

#[path = "sql/config.rs"]
mod config;

pub use self::config::SqlConfig;

use std::rc::Rc;

use crate::bindings::{Asks, Parcel, Text};
use crate::io::Io;

/// The binding of a database in another process. Never called, because a script with one is rejected.
pub(crate) fn remote_binding(_asks: Asks) -> Text {
    Text(String::new())
}

/// Answers a call of a worker in another process.
#[expect(clippy::unused_async, reason = "as in builds with SQL")]
pub(crate) async fn serve_remote(_io: Rc<Io>, _config: SqlConfig, _asked: Parcel) -> Result<Parcel, String> {
    Err("this build has no SQL".to_owned())
}
