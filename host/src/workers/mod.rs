//! A pool's scripts as members of the host: they publish and receive messages, run tasks whose results start others, and are
//! called by name. Must not know what a script does.
//!
//! [`EventBridge`] is one script's connection to a [`Bus`](crate::bus::Bus): it publishes the script's messages under its
//! name, and a [`WorkerSubscription`] delivers messages to it. [`WorkerTasks`] runs tasks and announces their results, or
//! runs a script for each result of others. With `exports`, [`Supervisor::call`](crate::supervise::Supervisor::call) calls
//! a script's exported functions.
//!
//! ```
//! # mod isopod { pub use isopod_host as host; pub use isopod_pool::{Options, js::{Pool, Script}}; }
//! use isopod::host::bus::{Bus, Delivery, Message, SubscribeOptions};
//! use isopod::host::workers::{DeliverOptions, EventBridge};
//! use isopod::{Options, Pool, Script};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build()?;
//! let (bus, pool) = (Bus::new(), Pool::builder().threads(1).build()?);
//! let bridge = EventBridge::new(&bus, "mail", &["mail.*"])?;
//! let source = "export default { message(m, env) { env.EVENTS.publish('mail.sent', { order: m.data.id }) } };";
//! let script = Script::builder("mail").source(source).binding("EVENTS", bridge.binding()).build()?;
//! pool.deploy("mail", script, &Options::default())?;
//!
//! let mut sent = bus.subscribe("mail.sent", SubscribeOptions::default())?;
//! let subscription = bridge.subscribe(runtime.handle(), &pool, &["orders.created"], DeliverOptions::default())?;
//! bus.publish(Message::new("orders.created".parse()?, serde_json::json!({ "id": 7 })))?;
//! let Some(Delivery::Message(message)) = futures::executor::block_on(sent.recv()) else { panic!("one was sent") };
//! assert_eq!(message.payload.to_json()?, serde_json::json!({ "order": 7 }));
//! futures::executor::block_on(subscription.drain());
//! # Ok(())
//! # }
//! ```

mod bridge;
mod causes;
mod chain;
mod deliver;
mod exports;
mod payload;
mod place;
mod queue;
mod results;
mod task;

pub use crate::tasks::TaskResponse;
pub use bridge::EventBridge;
pub use deliver::{DeliverOptions, DeliveryStats, WorkerSubscription};
pub use queue::{ConsumeOptions, ConsumerStats, ConsumerStatsHandle, QueueConsumer, QueueSource};
pub use task::{WorkerTask, WorkerTasks};
