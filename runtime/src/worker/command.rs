//! Runs a script as a command: from its top-level code to its exit code.

use std::task::Poll;

use deno_core::v8;
use isopod_ext::handlers::{Fault, FaultKind, Report};
use isopod_ext::process;

use super::{Worker, console};
use crate::limits::Limit;

impl Worker {
    /// Drives a command until nothing is pending, it asks to exit, or an error is uncaught. Returns the exit code.
    ///
    /// # Errors
    /// It exceeded a limit.
    pub async fn run(&mut self) -> Result<i32, Fault> {
        let mut is_over = false;
        std::future::poll_fn(|cx| {
            loop {
                if let Some(end) = self.command_ended() {
                    return Poll::Ready(end);
                }
                let polled = self.poll_event_loop(cx);
                if let Some(end) = self.command_ended() {
                    return Poll::Ready(end);
                }
                if self.hold_for_input() {
                    continue;
                }
                match polled {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(()) if is_over => {
                        let code = process::exit_code_at_end(&self.runtime.op_state());
                        return Poll::Ready(Ok(code));
                    }
                    Poll::Ready(()) => is_over = !self.goes_on(),
                }
            }
        })
        .await
    }

    /// The result of a command that ended early.
    fn command_ended(&mut self) -> Option<Result<i32, Fault>> {
        if let Some(code) = self.exit_code() {
            return Some(Ok(code));
        }
        match &self.condemned {
            Some(fault) => Some(Err(fault.clone())),
            None => self.uncaught.then_some(Ok(1)),
        }
    }

    /// Returns true for a command with an uncaught error, which ends it even if its top-level code is still waiting.
    pub(super) fn command_failed(&mut self) -> bool {
        if self.script.command.is_some() {
            self.tell_reports();
        }
        self.uncaught
    }

    /// The result of a command that exceeded a limit.
    pub(super) fn breach_of_command(&self, limit: Limit) -> Fault {
        let limits = &self.script.limits;
        match limit {
            Limit::Cpu => Fault::new(
                FaultKind::ExceededCpu,
                format!("the script exceeded its CPU limit of {:?}", limits.boot_cpu),
            ),
            Limit::Wall => Fault::new(FaultKind::ExceededWall, "the script's code did not finish in time"),
            Limit::Memory => Fault::new(
                FaultKind::ExceededMemory,
                format!(
                    "the script exceeded its memory limit of {} MiB",
                    limits.memory_bytes >> 20
                ),
            ),
        }
    }

    /// Dispatches the events for a script with nothing pending. Returns `true` if it continues.
    fn goes_on(&mut self) -> bool {
        self.in_turn(|scope, state| {
            let goes_on = process::end(scope, state);
            scope.perform_microtask_checkpoint();
            goes_on
        })
    }

    fn hold_for_input(&mut self) -> bool {
        self.in_turn(process::hold_for_input)
    }

    fn in_turn<T>(
        &mut self,
        body: impl FnOnce(&mut v8::PinScope<'_, '_>, &std::cell::RefCell<deno_core::OpState>) -> T,
    ) -> T {
        self.watch.arm_for_boot();
        let result = {
            let state = self.runtime.op_state();
            deno_core::scope!(scope, &mut self.runtime);
            v8::tc_scope!(scope, scope);
            body(scope, &state)
        };
        self.disarm();
        result
    }

    /// Handles an exception of the top-level code. A command reports it like any other uncaught error; the start of a
    /// worker fails. The corresponding rejection need not be reported.
    pub(super) fn top_level_threw(&mut self, thrown: Fault) -> Result<(), Fault> {
        let (reports, _) = self.events.borrow_mut().take_reports();
        for report in reports
            .into_iter()
            .filter(|report| report.fault.detail != thrown.detail)
        {
            console::tell(&self.script, self.number, &report);
        }
        if self.script.command.is_none() {
            return Err(thrown);
        }
        self.uncaught = true;
        let report = Report {
            fault: thrown,
            event: None,
            rejection: false,
        };
        console::tell(&self.script, self.number, &report);
        Ok(())
    }
}
