//! Host modules that log the bus's messages, and pass them on to other processes.

use bytes::Bytes;
use isopod::host::bus::{BusLink, Delivery, Heard, SubscribeOptions, Wire, WireFuture};
use isopod::host::{Context, Module, PhaseResult, async_trait};
use isopod::storage::NatsServer;

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
        let mut said = ctx.bus().subscribe("isopod.>", SubscribeOptions::default())?;
        ctx.service(async move {
            while let Some(delivery) = said.recv().await {
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
    link: Option<BusLink>,
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

    async fn start(&mut self, ctx: &Context) -> PhaseResult {
        if let Some(server) = &self.server {
            let link = ctx.bus().link(ctx.runtime(), NatsWire(server.clone()));
            self.link = Some(link.await?);
        }
        Ok(())
    }

    async fn close(&mut self, _ctx: &Context) -> PhaseResult {
        self.link = None;
        Ok(())
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

    fn receive(&self, heard: Heard) -> WireFuture {
        let heard = self.0.subscribe(CHANNEL, heard);
        Box::pin(async { heard.await.map_err(|error| error.to_string()) })
    }
}
