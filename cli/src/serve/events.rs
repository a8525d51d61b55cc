//! Host module that logs the bus's messages.

use isopod::host::bus::{Delivery, SubscribeOptions};
use isopod::host::{Context, Module, PhaseResult, async_trait};

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
