//! `[events]`: the topics that a worker publishes under, by a binding, and those that it subscribes to.

use std::sync::Arc;

use anyhow::Result;
use isopod::bindings::Binding;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Configure, Configured, Env, Materials};
use crate::config::document::KeyPath;
use crate::config::problem::Fault;
use crate::config::reading::Reading;
use crate::config::values::TopicPattern;

/// Topics that a worker publishes and subscribes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// Topics that it may publish to.
    pub publish: Vec<TopicPattern>,
    /// Topics whose messages its `message` handler receives.
    pub subscribe: Vec<TopicPattern>,
}

pub(super) struct EventsKind;

impl Configure for EventsKind {
    const KEY: &'static str = "events";
    const ABOUT: &'static str = "Topics to publish and subscribe to.";
    type Section = Section;

    fn resolve(section: Section, at: &KeyPath, reading: &mut Reading<'_>, env: &mut Env) {
        let binding = at.key("binding");
        if section.publish.is_empty() && reading.node.has(&binding) {
            let message = format!("`{binding}` is set, but `publish` has no topics");
            let remedy = "add the topics, for example `publish = [\"orders.>\"]`, or remove `binding`";
            reading.tell(&binding, Fault::Conflict { message }, remedy);
        }
        for (index, pattern) in section.publish.iter().enumerate().filter(|(_, p)| p.is_reserved()) {
            let at = at.key("publish").index(index);
            let fault = Fault::BadValue {
                key: at.to_string(),
                value: format!("\"{pattern}\""),
                reason: "topics that begin with `isopod` are reserved for the process".to_owned(),
            };
            reading.tell(&at, fault, "use another name");
        }
        if !section.publish.is_empty() {
            env.claim(&section.binding, &binding, reading);
            env.bind(section.binding, Publisher);
        }
        env.events = Events {
            publish: section.publish,
            subscribe: section.subscribe,
        };
    }
}

/// The binding by which a worker publishes.
#[derive(Debug)]
struct Publisher;

impl Configured for Publisher {
    fn kind(&self) -> &'static str {
        "events"
    }

    fn typescript(&self) -> String {
        "{ publish(topic: string, data?: unknown): void }".to_owned()
    }

    fn make(&self, from: &Materials<'_>) -> Result<Arc<dyn Binding>> {
        Ok(Arc::new(from.bridge.binding()))
    }
}

/// Topics that a worker publishes and subscribes to.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Section {
    /// Name in `env`, if `publish` is set: `env.EVENTS.publish("orders.created", order)`.
    binding: String,
    /// Topics that it may publish to.
    publish: Vec<TopicPattern>,
    /// Topics whose messages its `message` handler receives.
    subscribe: Vec<TopicPattern>,
}

impl Default for Section {
    fn default() -> Self {
        Self {
            binding: "EVENTS".to_owned(),
            publish: Vec::new(),
            subscribe: Vec::new(),
        }
    }
}
