//! State shared by the tasks of a cell's connections.

use std::sync::Arc;

use isopod_runtime::remote::Remote;
use tokio::sync::mpsc;

use super::log::Log;
use super::waiting::Waiting;
use super::worker::Mail;
use crate::js::cell::line::Line;

/// State shared by the tasks of a cell's connections.
pub(super) struct Inside {
    pub(super) line: Line,
    pub(super) remote: Arc<dyn Remote>,
    pub(super) waiting: Arc<Waiting>,
    pub(super) mail: mpsc::Sender<Mail>,
    pub(super) log: Arc<Log>,
    pub(super) in_sandbox: bool,
}
