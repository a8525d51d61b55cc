//! Bus events of a task: its start, its progress, and once its end.

use std::sync::Arc;

use isopod_pool::Failure;
use serde_json::Value;

use crate::bus::{Bus, SystemEvent};

pub(crate) struct Record {
    bus: Bus,
    pub(crate) task: u64,
    name: Arc<str>,
    open: bool,
}

impl Record {
    pub(crate) fn begin(bus: &Bus, task: u64, name: Arc<str>) -> Self {
        bus.publish_system(&SystemEvent::TaskStarted {
            task,
            name: Arc::clone(&name),
        });
        Self {
            bus: bus.clone(),
            task,
            name,
            open: true,
        }
    }

    pub(crate) fn progress(&self, progress: &Value) {
        self.bus.publish_system(&SystemEvent::TaskProgress {
            task: self.task,
            name: Arc::clone(&self.name),
            progress: progress.clone(),
        });
    }

    pub(crate) fn end(&mut self, failure: Option<&Failure>) {
        self.ended(failure.map(ToString::to_string));
    }

    fn ended(&mut self, error: Option<String>) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        let (task, name) = (self.task, Arc::clone(&self.name));
        self.bus.publish_system(&match error {
            None => SystemEvent::TaskCompleted { task, name },
            Some(error) => SystemEvent::TaskFailed { task, name, error },
        });
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.ended(Some("it was canceled".to_owned()));
    }
}
