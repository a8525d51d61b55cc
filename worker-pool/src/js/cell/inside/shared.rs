//! The parts that the tasks of a cell's connections share.

use std::sync::Arc;

use bytes::Bytes;
use h2::client::SendRequest;
use isopod_runtime::remote::Remote;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::log::Log;
use super::worker::Mail;
use crate::js::cell::bodies::Offers;

/// The parts that the tasks of the connections share.
pub(super) struct Inside {
    pub(super) up: SendRequest<Bytes>,
    pub(super) offers: Offers,
    pub(super) remote: Arc<dyn Remote>,
    pub(super) mail: mpsc::Sender<Mail>,
    pub(super) handle: Handle,
    pub(super) log: Arc<Log>,
    pub(super) in_sandbox: bool,
    /// The maximum that the parts of a value may count.
    pub(super) value_bytes_max: std::sync::OnceLock<usize>,
}
