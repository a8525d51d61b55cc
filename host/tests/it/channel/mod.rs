//! Modules that are processes with a channel to their host.

mod child;
mod death;
mod ends;
#[cfg(feature = "shared-memory")]
mod shared;
mod talk;

use std::time::Duration;

use isopod_host::bus::{Bus, Delivery, SubscribeOptions, Subscription, SystemEvent};
use isopod_host::process::{Channel, ModuleRequest, ModuleTasks, ProcessModule};
use isopod_host::supervise::Backoff;
use isopod_host::{Context, Host, HostBuilder, Module, PhaseResult, Running, async_trait};
use isopod_pool::Failure;
use serde_json::{Value, json};

/// A process of this program with the given behavior.
fn child(does: &str) -> ProcessModule {
    ProcessModule::new("child", std::env::current_exe().unwrap())
        .args(["--exact", "channel::child::process", "--ignored", "--nocapture"])
        .config(json!({ "does": does }))
}

/// A channel that starts a process again at once, and as often as a test wants.
fn channel() -> Channel {
    let backoff = Backoff::default()
        .min(Duration::from_millis(1))
        .max(Duration::from_millis(1));
    Channel::default()
        .backoff(backoff)
        .intensity(isopod_host::supervise::Intensity::default().restarts(1_000_000_usize))
}

/// Takes the module's tasks out of the hub.
struct Finder(flume::Sender<ModuleTasks>);

#[async_trait]
impl Module for Finder {
    fn name(&self) -> &str {
        "finder"
    }

    async fn ready(&mut self, ctx: &Context) -> PhaseResult {
        let tasks = ctx.hub().get_scoped::<ModuleTasks>("child")?;
        self.0.send((*tasks).clone())?;
        Ok(())
    }
}

struct Started {
    running: Running,
    tasks: ModuleTasks,
    bus: Bus,
}

fn start(module: ProcessModule) -> Started {
    start_with(Host::builder(), module)
}

fn start_with(builder: HostBuilder, module: ProcessModule) -> Started {
    let (found, tasks) = flume::bounded(1);
    let bus = Bus::new();
    let running = builder
        .bus(bus.clone())
        .module(module)
        .module(Finder(found))
        .build()
        .unwrap()
        .start_blocking()
        .unwrap();
    let tasks = tasks.recv().unwrap();
    Started { running, tasks, bus }
}

impl Started {
    fn run(&self, task: &str, payload: Value) -> Result<Value, Failure> {
        let request = ModuleRequest::new(task).payload(payload);
        let ended = futures::executor::block_on(self.tasks.run(request).finish())?;
        Ok(ended.to_json().unwrap())
    }

    fn system(&self, pattern: &str) -> System {
        System(self.bus.subscribe(pattern, SubscribeOptions::default()).unwrap())
    }

    fn stop(self) {
        let report = self.running.stop_blocking().unwrap();
        assert!(report.is_clean(), "{report}");
    }
}

/// Events of the system.
struct System(Subscription);

impl System {
    fn next(&mut self) -> SystemEvent {
        match self.0.recv_timeout(Duration::from_secs(60)) {
            Some(Delivery::Message(message)) => SystemEvent::of(&message).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn exit(&mut self) -> (Option<i32>, Option<i32>, String) {
        loop {
            if let SystemEvent::ModuleExited {
                code, signal, reason, ..
            } = self.next()
            {
                return (code, signal, reason);
            }
        }
    }
}
