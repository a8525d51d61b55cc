//! The event bus: publish and subscribe by topic between the host, its modules and its workers, and system events. It does
//! not know its listeners and never waits for them.
//!
//! Needs no runtime: publishing is a function call, and its futures can be awaited on any executor. In the order of the
//! data: a [`Message`] is published under a [`Topic`]; `broker` finds its subscribers in `index` and puts it into the `queue`
//! of each; a [`Subscription`] reads its queue, and [`Bus::on`] runs a handler for each message. [`SystemEvent`]s are
//! published by the host, [`Results`] stores results that are announced instead of sent, and a [`Chain`] runs a target for
//! each of them.
//!
//! ```
//! # mod isopod { pub use isopod_host as host; }
//! use isopod::host::bus::{Bus, Delivery, Message, SubscribeOptions};
//! use serde_json::json;
//!
//! # futures::executor::block_on(async {
//! let bus = Bus::new();
//! let mut orders = bus.subscribe("orders.*", SubscribeOptions::default())?;
//! bus.publish(Message::new("orders.created".parse()?, json!({ "id": 7 })))?;
//! let Some(Delivery::Message(message)) = orders.recv().await else { panic!("nothing is lost here") };
//! assert_eq!(message.payload.as_json(), Some(&json!({ "id": 7 })));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).expect("a bus");
//! ```

mod broker;
mod chain;
mod error;
mod handle;
mod handler;
mod index;
mod link;
mod message;
mod queue;
#[cfg(test)]
mod queue_tests;
mod results;
#[cfg(test)]
mod schedules;
mod subscription;
mod system;
mod topic;

/// The lock of a queue.
mod lock {
    pub(super) use std::sync::{Mutex, MutexGuard};
}

pub use broker::Published;
pub use chain::{Chain, ChainContext, ChainTarget};
pub use error::{PublishError, SubscribeError};
#[cfg(feature = "v8")]
pub(crate) use handle::WeakBus;
pub use handle::{Bus, BusBuilder};
pub use handler::{Handler, HandlerContext, HandlerOptions, HandlerStats};
pub use link::{BusLink, FrameHandler, LinkError, Wire, WireFuture};
pub use message::{Message, NotJson, Payload, Source};
pub use queue::{End, Slow};
pub use results::{AnnounceError, ResultError, ResultRef, Results, ResultsBuilder, ResultsStats};
pub use subscription::{Delivery, SubscribeOptions, Subscription};
pub use system::SystemEvent;
pub use topic::{Pattern, Topic, TopicError};
