//! Host modules that log the bus's messages, and pass them on to other processes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use isopod::host::bus::{Bus, BusLink, Delivery, FrameHandler, LinkError, SubscribeOptions, Wire, WireFuture};
use isopod::host::{Context, Module, PhaseResult, async_trait};
use isopod::storage::NatsServer;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::servers::{Lookout, START_WAIT};

/// Time between two attempts to link the bus.
const AGAIN: Duration = Duration::from_secs(1);

pub(super) struct EventLog;

#[async_trait]
impl Module for EventLog {
    fn name(&self) -> &str {
        "event-log"
    }

    async fn build(&mut self, ctx: &Context) -> PhaseResult {
        // Without debug logging there is no subscription, and no cost.
        if !tracing::enabled!(target: "isopod::events", tracing::Level::DEBUG) {
            return Ok(());
        }
        let mut events = ctx.bus().subscribe("isopod.>", SubscribeOptions::default())?;
        ctx.service(async move {
            while let Some(delivery) = events.recv().await {
                match delivery {
                    Delivery::Message(message) => {
                        let what = message.payload.as_json().map(ToString::to_string).unwrap_or_default();
                        tracing::debug!(target: "isopod::events", topic = %message.topic, "{what}");
                    }
                    Delivery::Lagged(count) => {
                        tracing::debug!(target: "isopod::events", count, "bus events were lost: the log is too slow");
                    }
                }
            }
            Ok(())
        });
        Ok(())
    }
}

/// Links the bus with those of other processes.
pub(super) struct EventLink {
    server: Option<NatsServer>,
    link: Option<JoinHandle<BusLink>>,
}

impl EventLink {
    /// By this server, if there is one.
    pub(super) const fn new(server: Option<NatsServer>) -> Self {
        Self { server, link: None }
    }
}

#[async_trait]
impl Module for EventLink {
    fn name(&self) -> &str {
        "event-link"
    }

    fn depends_on(&self) -> Vec<String> {
        vec![Lookout::NAME.to_owned()]
    }

    async fn start(&mut self, ctx: &Context) -> PhaseResult {
        if let Some(server) = self.server.clone() {
            let (bus, runtime) = (ctx.bus().clone(), ctx.runtime().clone());
            let linked = Arc::new(Notify::new());
            let tells = Arc::clone(&linked);
            let link = ctx.runtime().spawn(async move {
                let link = link(&bus, &runtime, &server, &tells).await;
                tells.notify_one();
                link
            });
            self.link = Some(link);
            // Without the server, what is published is lost for other processes until it is there.
            drop(tokio::time::timeout(START_WAIT, linked.notified()).await);
        }
        Ok(())
    }

    async fn close(&mut self, _ctx: &Context) -> PhaseResult {
        if let Some(link) = self.link.take() {
            link.abort();
        }
        Ok(())
    }
}

/// Links the bus once the server is reachable. `missing` is notified if it is not.
async fn link(bus: &Bus, runtime: &Handle, server: &NatsServer, missing: &Notify) -> BusLink {
    loop {
        match bus.link(runtime, NatsWire(server.clone())).await {
            Ok(link) => return link,
            // The module that checks the server reports it.
            Err(LinkError::Wire(error)) => {
                tracing::debug!(target: "isopod::events", "the bus is not linked yet: {error}");
            }
            Err(error) => tracing::error!(target: "isopod::events", "the bus is not linked: {error}"),
        }
        missing.notify_one();
        tokio::time::sleep(AGAIN).await;
    }
}

/// The subject of NATS on which the processes send messages.
struct NatsWire(NatsServer);

/// The last part of the subject.
const CHANNEL: &str = "events";

impl Wire for NatsWire {
    fn send(&self, frame: Bytes) -> WireFuture {
        let sent = self.0.publish(CHANNEL, frame);
        Box::pin(async { sent.await.map_err(|error| error.to_string()) })
    }

    fn receive(&self, handler: FrameHandler) -> WireFuture {
        let subscribed = self.0.subscribe(CHANNEL, handler);
        Box::pin(async { subscribed.await.map_err(|error| error.to_string()) })
    }
}
