//! One turn of JavaScript: arm, call, disarm. Everything that enters the isolate after its start goes through here.

use std::task::{Context, Poll};
use std::time::Duration;

use deno_core::error::JsError;
use deno_core::{PollEventLoopOptions, v8};
use isopod_ext::handlers::{Begin, COMMON_METHODS, EventKey, Fault, FaultKind};

use super::arguments::arguments;
use super::entry_points::JsEntryPoints;
use super::{Worker, console};
use crate::limits::{Ended, Soft};

impl Worker {
    /// Calls the JavaScript side for an event, and runs the microtasks that follow: most handlers are finished then.
    pub(super) fn call_begin(&mut self, key: EventKey, entrypoint: Option<String>, begin: Begin) {
        self.watch.arm_for(key);
        let called = self.enter(key, entrypoint, begin);
        if self.disarm()
            && let Err(fault) = called
        {
            let mut events = self.events.borrow_mut();
            events.fail(key, fault);
            events.end(key);
        }
    }

    fn enter(&mut self, key: EventKey, entrypoint: Option<String>, begin: Begin) -> Result<(), Fault> {
        let op_state = self.runtime.op_state();
        deno_core::scope!(scope, &mut self.runtime);
        v8::tc_scope!(scope, scope);
        let id = v8::Integer::new_from_unsigned(scope, key).into();
        let entrypoint = match entrypoint {
            Some(name) => string(scope, &name)?.into(),
            None => v8::undefined(scope).into(),
        };
        let undefined = v8::undefined(scope).into();
        let js = &self.js;
        match begin {
            Begin::Fetch { method, url, length } => {
                let method = match COMMON_METHODS.iter().position(|common| *common == method) {
                    #[expect(clippy::cast_possible_truncation, reason = "there are few")]
                    Some(number) => v8::Integer::new_from_unsigned(scope, number as u32).into(),
                    None => string(scope, method.as_str())?.into(),
                };
                let url = string(scope, &url)?.into();
                let length = v8::Integer::new(scope, length).into();
                let arguments = [id, method, url, length, entrypoint];
                v8::Local::new(scope, &js.begin_fetch).call(scope, undefined, &arguments);
            }
            Begin::Call(function, given) => {
                let function = string(scope, &function)?.into();
                let [list, others] = arguments(scope, &op_state, &self.events, key, given)?;
                let arguments = [id, function, list, entrypoint, others];
                v8::Local::new(scope, &js.begin_call).call(scope, undefined, &arguments);
            }
            Begin::Handler {
                handler,
                script,
                arguments: given,
            } => {
                let handler = string(scope, &handler)?.into();
                let script = match script {
                    Some(script) => string(scope, &script)?.into(),
                    None => undefined,
                };
                let [list, others] = arguments(scope, &op_state, &self.events, key, given)?;
                let arguments = [id, handler, script, list, entrypoint, others];
                v8::Local::new(scope, &js.begin_handler).call(scope, undefined, &arguments);
            }
        }
        if !scope.has_caught() {
            match self.has_ticks {
                true => drop(v8::Local::new(scope, &js.run_ticks).call(scope, undefined, &[])),
                false => scope.perform_microtask_checkpoint(),
            }
        }
        // The JavaScript side catches exceptions of handlers: this is one of its own, for example a stack overflow.
        match scope.exception() {
            Some(error) if !scope.has_terminated() => {
                let error = JsError::from_v8_exception(scope, error);
                Err(Fault::from_js(FaultKind::Exception, &error, Some(&self.frames)))
            }
            _ => Ok(()),
        }
    }

    /// Ends a turn. Returns `false` if it exceeded a limit, in which case the worker is condemned.
    pub(super) fn disarm(&mut self) -> bool {
        if self.script.enforced {
            self.gauge.check(self.runtime.v8_isolate());
        }
        match self.watch.disarm() {
            Ended::Well => true,
            Ended::Soft => {
                for soft in self.watch.soft() {
                    self.call_soft_limit(soft);
                }
                self.condemned.is_none()
            }
            Ended::Breached(breach) => {
                self.condemn(breach);
                false
            }
        }
    }

    /// Warns the script that an event approaches its limit. The CPU time of the reaction is charged to that event.
    fn call_soft_limit(&mut self, soft: Soft) {
        if self.condemned.is_some() {
            return;
        }
        let in_ms = |time: Duration| time.as_secs_f64() * 1e3;
        #[expect(clippy::cast_precision_loss, reason = "shown to people")]
        let (event, limit, used, max) = match soft {
            Soft::Cpu(cpu) if !self.events.borrow().is_open(cpu.event) => return,
            Soft::Cpu(cpu) => (cpu.event, "cpu", in_ms(cpu.used), in_ms(self.script.limits.cpu)),
            // Belongs to no particular event.
            Soft::Memory { used, max } => (0, "memory", used as f64, max as f64),
        };
        self.call(
            event,
            |js| &js.soft_limit,
            |scope, key| {
                let limit = v8::String::new(scope, limit).map_or_else(|| v8::undefined(scope).into(), Into::into);
                let used = v8::Number::new(scope, used).into();
                let max = v8::Number::new(scope, max).into();
                vec![key, limit, used, max]
            },
        );
    }

    pub(super) fn call_cancel(&mut self, key: EventKey, has_left: bool) {
        self.call(
            key,
            |js| &js.cancel,
            |scope, key| vec![key, v8::Boolean::new(scope, has_left).into()],
        );
    }

    /// Clears the timers of ended events.
    pub(super) fn clear_leftover_timers(&mut self) {
        let timers = self.events.borrow_mut().take_leftover_timers();
        if timers.is_empty() || self.condemned.is_some() {
            return;
        }
        self.call(
            0,
            |js| &js.clear_timers,
            |scope, _| {
                let timers: Vec<_> = timers
                    .into_iter()
                    .map(|timer| v8::Integer::new(scope, timer).into())
                    .collect();
                vec![v8::Array::new_with_elements(scope, &timers).into()]
            },
        );
    }

    /// Runs a turn that passes something about an event to the JavaScript side.
    fn call(
        &mut self,
        key: EventKey,
        function: fn(&JsEntryPoints) -> &v8::Global<v8::Function>,
        arguments: impl for<'s> FnOnce(&v8::PinScope<'s, '_>, v8::Local<'s, v8::Value>) -> Vec<v8::Local<'s, v8::Value>>,
    ) {
        self.watch.arm_for(key);
        {
            deno_core::scope!(scope, &mut self.runtime);
            v8::tc_scope!(scope, scope);
            let key = v8::Integer::new_from_unsigned(scope, key).into();
            let arguments = arguments(scope, key);
            let undefined = v8::undefined(scope).into();
            v8::Local::new(scope, function(&self.js)).call(scope, undefined, &arguments);
            if !scope.has_caught() {
                scope.perform_microtask_checkpoint();
            }
        }
        self.disarm();
    }

    pub(super) fn set_exports(&mut self, namespace: &v8::Global<v8::Object>) {
        deno_core::scope!(scope, &mut self.runtime);
        let namespace = v8::Local::new(scope, namespace).into();
        let undefined = v8::undefined(scope).into();
        v8::Local::new(scope, &self.js.set_exports).call(scope, undefined, &[namespace]);
    }

    /// Runs a turn of the event loop. Ready if nothing is pending in it.
    pub(super) fn poll_event_loop(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // A command has no events: everything is charged to one account.
        match self.script.command {
            Some(_) => self.watch.arm_for_boot(),
            None => self.watch.arm_for_loop(),
        }
        let polled = self.runtime.poll_event_loop(cx, PollEventLoopOptions::default());
        let ended_well = self.disarm();
        self.tell_reports();
        if !ended_well {
            return Poll::Ready(());
        }
        match polled {
            Poll::Ready(Ok(())) => Poll::Ready(()),
            // The command exited by itself.
            Poll::Ready(Err(_)) if self.exit_code().is_some() => Poll::Ready(()),
            Poll::Ready(Err(error)) => {
                tracing::error!(target: "isopod::worker", script = %self.script.name, "event loop: {error}");
                self.uncaught = true;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Pending => Poll::Pending,
        }
    }

    pub(super) fn tell_reports(&mut self) {
        let (reports, dropped) = self.events.borrow_mut().take_reports();
        for report in reports {
            self.uncaught = true;
            console::tell(&self.script, self.number, &report);
        }
        if dropped > 0 {
            console::tell_dropped(&self.script, self.number, dropped);
        }
    }
}

fn string<'s>(scope: &v8::PinScope<'s, '_, ()>, text: &str) -> Result<v8::Local<'s, v8::String>, Fault> {
    let made = match text.is_ascii() {
        true => v8::String::new_from_one_byte(scope, text.as_bytes(), v8::NewStringType::Normal),
        false => v8::String::new(scope, text),
    };
    made.ok_or_else(|| Fault::new(FaultKind::Exception, "a string is too long for JavaScript"))
}
