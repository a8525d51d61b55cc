//! The state of a module that outlives its processes: bus, results, tasks, chains.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use isopod_module::Payload as Body;
use isopod_module::protocol::ChainFrom;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::end::{SessionEnd, Violation};
use super::options::Channel;
use super::request::{Desk, ModuleTasks};
use crate::bus::{
    Handler, HandlerOptions, Message, NotJson, Pattern, Payload, ResultRef, Source, SubscribeError, Subscription,
    SystemEvent, Topic,
};

/// The first process's registration, or its end before that.
pub(super) type First = oneshot::Sender<Result<(), SessionEnd>>;

pub(super) struct Place {
    pub(super) desk: Arc<Desk>,
    pub(super) options: Channel,
    pub(super) instance: String,
    pub(super) config: Value,
    runtime: Handle,
    /// The patterns of the topics that it may publish under.
    publishes: Vec<Pattern>,
    /// The subscription, kept while there is no process, so that no message is missed.
    subscription: Mutex<Option<Subscription>>,
    /// Chains that its processes have requested.
    chains: Mutex<HashMap<ChainFrom, Handler>>,
    first: Mutex<Option<First>>,
    /// Number of processes that have registered themselves.
    connected: AtomicU64,
}

impl Place {
    pub(super) fn new(
        desk: Arc<Desk>,
        options: Channel,
        instance: String,
        config: Value,
        runtime: Handle,
        first: First,
    ) -> Self {
        // A module's name may have characters that are not allowed in topics.
        let own = Topic::lossy([&*desk.module]);
        let own = [own.to_string(), format!("{own}.>")];
        let own = own.iter().filter_map(|pattern| pattern.parse().ok());
        Self {
            publishes: own.chain(options.publishes.iter().cloned()).collect(),
            desk,
            options,
            instance,
            config,
            runtime,
            subscription: Mutex::new(None),
            chains: Mutex::new(HashMap::new()),
            first: Mutex::new(Some(first)),
            connected: AtomicU64::new(0),
        }
    }

    /// Takes over the subscription of the previous process, or subscribes.
    pub(super) fn subscribe(&self, patterns: &[String]) -> Result<Option<Subscription>, SubscribeError> {
        let patterns = patterns.iter().map(|pattern| pattern.parse());
        let patterns = patterns.collect::<Result<Vec<Pattern>, _>>()?;
        let kept = self.subscription.lock().unwrap_or_else(PoisonError::into_inner).take();
        if patterns.is_empty() {
            return Ok(None);
        }
        match kept {
            Some(kept) if kept.patterns() == patterns => Ok(Some(kept)),
            _ => self.desk.bus.subscribe_all(patterns, self.options.events).map(Some),
        }
    }

    pub(super) fn keep(&self, subscription: Subscription) {
        *self.subscription.lock().unwrap_or_else(PoisonError::into_inner) = Some(subscription);
    }

    /// Starts chains that have not been started for an earlier process.
    pub(super) fn chain(&self, wanted: Vec<ChainFrom>) -> Result<(), Violation> {
        let mut chains = self.chains.lock().unwrap_or_else(PoisonError::into_inner);
        chains.retain(|chain, _| wanted.contains(chain));
        for chain in wanted {
            if chains.contains_key(&chain) {
                continue;
            }
            let from: Pattern = chain.from.parse().map_err(SubscribeError::from)?;
            let options = HandlerOptions::default()
                .subscribe(self.options.events)
                // The task has its own time limit, which includes waiting for a process.
                .timeout(self.options.deadline * 2);
            let tasks = ModuleTasks::new(Arc::clone(&self.desk));
            let started = tasks.chain(from, chain.task.as_str(), options);
            let handler = started.start(&self.runtime, &self.desk.bus, &self.desk.results)?;
            chains.insert(chain, handler);
        }
        Ok(())
    }

    /// Ends the state that outlives the processes.
    pub(super) fn end_chains(&self) {
        let chains = std::mem::take(&mut *self.chains.lock().unwrap_or_else(PoisonError::into_inner));
        drop(chains);
        drop(self.subscription.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    pub(super) fn registered(&self, tasks: &BTreeSet<Arc<str>>, program: &str) {
        let restarts = self.connected.fetch_add(1, Ordering::Relaxed);
        let program = program.chars().take(100).collect::<String>();
        tracing::info!(
            program,
            tasks = tasks.len(),
            restarts,
            "the module's process has registered itself"
        );
        self.desk
            .tasks
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clone_from(tasks);
        self.desk.bus.publish_system(&SystemEvent::ModuleConnected {
            module: Arc::clone(&self.desk.module),
            restarts,
        });
        if let Some(first) = self.take_first() {
            // The waiting phase may have been dropped.
            let _ = first.send(Ok(()));
        }
    }

    /// Records the end of a process. If the first process ends before it has registered itself, the phase fails.
    pub(super) fn ended(&self, end: SessionEnd) -> Result<(), SessionEnd> {
        let (code, signal) = end.status();
        let reason = end.to_string();
        match end.is_well() {
            true => tracing::info!(reason, "the module's process has ended"),
            false => tracing::error!(reason, "the module's process has ended"),
        }
        self.desk.bus.publish_system(&SystemEvent::ModuleExited {
            module: Arc::clone(&self.desk.module),
            code,
            signal,
            reason,
        });
        let end = match self.take_first() {
            Some(first) => match first.send(Err(end)) {
                Ok(()) => return Ok(()),
                Err(Err(end)) => end,
                Err(Ok(())) => return Ok(()),
            },
            None => end,
        };
        if end.is_well() { Ok(()) } else { Err(end) }
    }

    fn take_first(&self) -> Option<First> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Publishes a message of the module, if its topic is allowed.
    pub(super) fn message(&self, topic: &str, payload: Payload) -> Result<Message, String> {
        let topic: Topic = topic
            .parse()
            .map_err(|error: crate::bus::TopicError| error.to_string())?;
        if !self.publishes.iter().any(|pattern| pattern.matches(&topic)) {
            let allowed: Vec<_> = self.publishes.iter().map(Pattern::as_str).collect();
            return Err(format!(
                "the module `{}` may not publish to `{topic}`, only to {}",
                self.desk.module,
                allowed.join(", ")
            ));
        }
        Ok(Message::new(topic, payload).by(Source::native(Arc::clone(&self.desk.module))))
    }

    pub(super) fn read(&self, result: &ResultRef) -> Result<Body, String> {
        let payload = self.desk.results.read(result).map_err(|error| error.to_string())?;
        body_of(&payload).map_err(|error| error.to_string())
    }

    /// Reports a message that was not handled: its handler failed, or it could not be sent.
    pub(super) fn not_handled(&self, message: &Message, error: String) {
        tracing::error!(topic = %message.topic, id = message.id, error, "a module did not handle a message");
        let event = SystemEvent::MessageFailed {
            script: Arc::clone(&self.desk.module),
            topic: message.topic.as_str().into(),
            message: message.id,
            error,
        };
        self.desk.bus.publish_system_after(&event, message);
    }
}

pub(super) fn payload_of(body: Body) -> Payload {
    match body {
        Body::Empty => Payload::Empty,
        Body::Json(value) => Payload::Json(value),
        Body::Bytes(bytes) => Payload::Bytes(bytes),
    }
}

/// Converts a payload for a process. A script's value is sent as JSON.
pub(super) fn body_of(payload: &Payload) -> Result<Body, NotJson> {
    Ok(match payload {
        Payload::Empty => Body::Empty,
        Payload::Json(value) => Body::Json(value.clone()),
        Payload::Bytes(bytes) => Body::Bytes(bytes.clone()),
        Payload::Cloned(_) => Body::Json(payload.to_json()?),
    })
}
