//! An event to be added to the table.

use std::any::Any;

use http::HeaderValue;
use tokio::sync::mpsc;

use super::super::body::Body;
use super::super::data::Data;
use super::super::request::{Reply, RequestCf};
use super::super::task::TaskItem;
use super::Origin;

/// A value passed with an event, for an op that knows its type.
pub type Attachment = Box<dyn Any + Send>;

/// The answer that an event's caller is waiting for.
#[derive(Default)]
pub(crate) enum Waiting<V> {
    Response(Reply<http::Response<Body>>),
    Value(V),
    #[default]
    Nothing,
}

/// The initial state of an event.
pub(crate) struct Opening<V> {
    pub(crate) waiting: Waiting<V>,
    /// A request. Boxed as it arrived, because moving it costs more than an event otherwise does here.
    pub(crate) request: Option<Box<http::Request<Body>>>,
    /// The id of a request, if the head does not have it.
    pub(crate) id: Option<HeaderValue>,
    /// The properties of a request's connection, if the head does not have them.
    pub(crate) cf: Option<RequestCf>,
    /// True if the request has a body that can be read.
    pub(crate) has_body: bool,
    /// The channel for a task's progress and partial results.
    pub(crate) items: Option<mpsc::Sender<TaskItem>>,
    /// The content of a message.
    pub(crate) data: Data,
    /// The origin of messages that its script publishes meanwhile.
    pub(crate) origin: Origin,
    /// The value that an op takes.
    pub(crate) attachment: Option<Attachment>,
}

impl<V> Opening<V> {
    /// Creates the state of an event whose caller waits for this.
    pub(crate) fn new(waiting: Waiting<V>) -> Self {
        Self {
            waiting,
            request: None,
            id: None,
            cf: None,
            has_body: false,
            items: None,
            data: Data::Empty,
            origin: Origin::default(),
            attachment: None,
        }
    }
}
