//! Calls of script functions that were passed to the host.

use std::task::{Context, Poll};

use deno_core::error::JsError;
use deno_core::v8;
use isopod_ext::handlers::{Fault, FaultKind};
use isopod_ext::native::{Callbacks, Due, release_dropped};

use super::Worker;
use super::arguments::arguments;

/// Maximum number of calls per turn, so that waiting events get their turn.
const CALLS_A_TURN_MAX: usize = 64;

impl Worker {
    /// Runs the waiting calls, and releases dropped functions.
    pub(super) fn run_callbacks(&mut self, cx: &mut Context<'_>) {
        let state = self.runtime.op_state();
        for _ in 0..CALLS_A_TURN_MAX {
            if self.condemned.is_some() {
                return;
            }
            let due = state.borrow_mut().borrow_mut::<Callbacks>().poll_due(cx);
            let Poll::Ready(due) = due else {
                if release_dropped(&mut state.borrow_mut()) {
                    continue;
                }
                return;
            };
            self.call_back(due);
        }
        cx.waker().wake_by_ref();
    }

    fn call_back(&mut self, due: Due) {
        let call = due.call;
        self.watch.arm_for(due.event);
        let entered = self.enter_callback(due);
        if self.disarm()
            && let Err(fault) = entered
        {
            let state = self.runtime.op_state();
            state.borrow_mut().borrow_mut::<Callbacks>().fail(call, fault);
        }
    }

    fn enter_callback(&mut self, due: Due) -> Result<(), Fault> {
        let op_state = self.runtime.op_state();
        deno_core::scope!(scope, &mut self.runtime);
        v8::tc_scope!(scope, scope);
        let event = v8::Integer::new_from_unsigned(scope, due.event).into();
        let call = v8::Integer::new_from_unsigned(scope, due.call).into();
        let function = v8::Local::new(scope, due.function).into();
        let [list, others] = arguments(scope, &op_state, &self.events, due.event, due.arguments)?;
        let undefined = v8::undefined(scope).into();
        v8::Local::new(scope, &self.js.call_back).call(scope, undefined, &[event, call, function, list, others]);
        if !scope.has_caught() {
            scope.perform_microtask_checkpoint();
        }
        match scope.exception() {
            Some(error) if !scope.has_terminated() => {
                let error = JsError::from_v8_exception(scope, error);
                Err(Fault::from_js(FaultKind::Exception, &error, Some(&self.frames)))
            }
            _ => Ok(()),
        }
    }
}
