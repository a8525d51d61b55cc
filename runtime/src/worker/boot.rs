//! Starts a worker: a fresh isolate from the snapshot, its bindings, its modules, its top-level code.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use deno_core::error::{CoreError, CoreErrorKind};
use deno_core::{JsRuntime, ModuleId, PollEventLoopOptions, RuntimeOptions, serde_v8, v8};
use isopod_ext::bindings::{EnvValue, NewWorker};
use isopod_ext::cache::CacheAccess;
use isopod_ext::commonjs::RequireHost;
use isopod_ext::fetcher::Loopback;
use isopod_ext::handlers::{CodeFrames, Events, Fault, FaultKind};
use isopod_ext::io::EventLoopIo;
use isopod_ext::ledger::MemoryLedger;
use isopod_ext::native::{Callbacks, Natives};
use isopod_ext::process::{Exit, ProcessAccess};
use isopod_ext::quotas::Usage;
use serde::Serialize;

use super::entry_points::JsEntryPoints;
use super::{Worker, code_in_strings, console, traces};
use crate::limits::{Ended, Gauge, Limit, Sampler, Start, capped_allocator, follow, has_to_stop};
use crate::module_loader::{ScriptLoader, uses_node};
use crate::modules::PROVIDED;
use crate::platform;
use crate::{Console, MemoryMeter, NodeCompat, OnNotice, Script, WorkerThread};

/// The value of `navigator.userAgent`. Libraries look for the prefix of Workers (Hono's `env(c)` finds the bindings by
/// it); the rest identifies the runtime.
const USER_AGENT: &str = concat!("Cloudflare-Workers/Isopod-", env!("CARGO_PKG_VERSION"));

/// Options for starting a worker.
#[derive(Debug, Clone, Default)]
pub struct BootOptions {
    /// The worker's number in its host, for logs.
    pub worker: u64,
    /// The deadline at which code of the start is terminated, and no further module is loaded. Default: only its CPU time is limited.
    pub stop_at: Option<Instant>,
    /// Called with the watchdog's observations on the worker's thread. Default: none.
    pub on_notice: Option<OnNotice>,
    /// The entry points of the worker itself, for `ctx.exports`. Default: they cannot be called.
    pub loopback: Option<Loopback>,
    /// True if the worker ends after its first event. Its `fetch` and SQLite then use connections of the thread alone, which
    /// outlive it; otherwise, after some uses, the worker gets its own, on its event loop. Default: false.
    pub is_single_use: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StartArguments<'a> {
    user_agent: &'a str,
    colors: bool,
    error_colors: bool,
    /// By name, in the order of `env`.
    bindings: Vec<(&'a str, EnvValue<'a>)>,
    removed_globals: Vec<String>,
    command: bool,
    /// The path of a command's main module, or its URL.
    main: Option<String>,
    /// True if there are ops that are not in the snapshot.
    adds_ops: bool,
    node: Option<NodeArguments<'a>>,
    args: &'a [String],
    env: &'a BTreeMap<String, String>,
}

/// Arguments of the start of Node.js modules.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeArguments<'a> {
    /// Defines the globals.
    globals: bool,
    /// The names of the available modules.
    modules: &'a [&'a str],
    /// Copies text bindings to `process.env`.
    process_env: bool,
    /// The value of `process.env.NODE_ENV`, unless there is such a binding.
    node_env: &'a str,
}

impl Worker {
    /// Starts a worker on this thread.
    ///
    /// Must be called inside an entered current-thread Tokio runtime and its `LocalSet`, both created for this worker,
    /// on a thread spawned by [`crate::platform::spawn`], and without another isolate on the thread.
    ///
    /// # Errors
    /// The script's modules cannot be loaded, or its top-level code threw, never settled, or exceeded a limit.
    pub async fn boot(thread: &WorkerThread, script: &Arc<Script>, options: BootOptions) -> Result<Self, Fault> {
        let _start = Start::until(options.stop_at);
        let mut worker = Self::new(thread, script, options)?;
        worker.evaluate().await?;
        Ok(worker)
    }

    fn new(thread: &WorkerThread, script: &Arc<Script>, options: BootOptions) -> Result<Self, Fault> {
        let limits = &script.limits;
        let template = &thread.template;
        let node_use = match script.uses_node.get() {
            Some(known) => *known,
            None => {
                let known = uses_node(script).map_err(|message| Fault::new(FaultKind::BootFailed, message))?;
                *script.uses_node.get_or_init(|| known)
            }
        };
        let with_node = template.image().with_node(node_use);
        let image = with_node.unwrap_or_else(|| template.image());
        let loader = ScriptLoader::new(script.clone(), template.clone());
        let mut extensions = (image.extensions)();
        let not_in_snapshot: Vec<_> = template.extends().flat_map(|extend| extend.extensions()).collect();
        let has_all_ops = not_in_snapshot.is_empty();
        extensions.extend(not_in_snapshot);
        let memory_bytes = limits.memory_bytes;
        let meter = MemoryMeter::new(memory_bytes, memory_bytes / 5 * 4, MemoryLedger::default());
        let mut runtime = JsRuntime::try_new(RuntimeOptions {
            module_loader: Some(loader.clone()),
            extensions,
            startup_snapshot: Some(image.snapshot),
            residual_lazy_js_sources: image.residual_js,
            residual_lazy_esm_sources: image.residual_esm,
            // Registering the same ops again takes a twentieth of a start.
            skip_op_registration: has_all_ops,
            create_params: Some(
                v8::CreateParams::default()
                    .heap_limits(0, memory_bytes)
                    .array_buffer_allocator(capped_allocator(&meter)),
            ),
            ..RuntimeOptions::default()
        })
        .map_err(|error| fault(&error, None))?;
        runtime.v8_isolate().set_prepare_stack_trace_callback(traces::told);
        // Waiting would block the thread, and no code on this isolate could wake it.
        runtime.v8_isolate().set_allow_atomics_wait(false);
        code_in_strings::limit(&mut runtime, script.loader.limits());
        let mut watch = thread
            .watchdog
            .watch(
                runtime.v8_isolate().thread_safe_handle(),
                limits.cpu_limits(),
                options.on_notice,
            )
            .map_err(|error| Fault::new(FaultKind::BootFailed, format!("the thread has no CPU clock: {error}")))?;
        follow(watch.watched());
        if let Some(at) = options.stop_at {
            watch.watched().accounts().stop_boot_at(at);
        }
        if !script.enforced {
            watch.look_away();
        }
        let gauge = Gauge::install(&mut runtime, meter.clone(), watch.watched().clone());
        let events = Rc::new(RefCell::new(Events::new(limits.quotas.reports)));
        if script.enforced {
            events.borrow_mut().charge_to(watch.watched().clone());
        }
        Sampler::install(&mut runtime, watch.watched().clone(), events.clone());
        let originals = loader.clone();
        let frames = CodeFrames {
            draw: Rc::new(move |file, line, column| originals.code_frame(file, line, column)),
            inspected: script.command.is_some(),
        };
        let exit = Rc::new(Exit::new(runtime.v8_isolate().thread_safe_handle()));
        let own_io = (!options.is_single_use).then(|| Rc::new(EventLoopIo::new()));
        let mut bound = Vec::with_capacity(script.bindings.len());
        {
            let state = runtime.op_state();
            let mut state = state.borrow_mut();
            state.put(console::sink(script, options.worker, &events, &exit));
            state.put(events.clone());
            state.put(frames.clone());
            state.put(thread.io.clone());
            if let Some(io) = &own_io {
                state.put(io.clone());
            }
            Usage::new(limits.quotas.clone(), meter.ledger().clone()).install(&mut state);
            state.put(platform::wasm_type_room(&script.wasm_types));
            state.put(script.fetch.clone());
            state.put(CacheAccess::new(script.cache.clone(), script.name.clone()));
            let host: Rc<dyn RequireHost> = loader.clone();
            state.put(host);
            #[cfg(feature = "node")]
            state.put::<Rc<dyn isopod_node::Bundle>>(loader.clone());
            state.put(Natives::default());
            state.put(Callbacks::default());
            if let Some(loopback) = options.loopback {
                state.put(loopback);
            }
            if let Some(command) = &script.command {
                state.put(ProcessAccess::new(exit));
                state.put(command.files.clone());
            }
            let worker = NewWorker::new(&script.name, options.worker, limits.cpu);
            for (name, binding) in &script.bindings {
                bound.push((name.as_str(), binding.install(name, &worker, &mut state)));
            }
            for extend in template.extends() {
                extend.prepare(&worker, &mut state);
            }
        }
        let navigator = (!script.compatibility.navigator).then(|| "navigator".to_owned());
        let removed = template.extends().flat_map(|extend| extend.removed_globals());
        let removed = removed.chain(navigator).collect();
        let node = with_node.map(|_| NodeArguments {
            globals: script.compatibility.node == NodeCompat::Full,
            modules: PROVIDED,
            process_env: script.compatibility.process_env,
            node_env: script.loader.node_env(),
        });
        let js = start(&mut runtime, script, bound, removed, !has_all_ops, node)?;
        Ok(Self {
            watch,
            gauge,
            meter,
            js,
            runtime,
            io: thread.io.clone(),
            own_io,
            events,
            frames,
            loader,
            script: script.clone(),
            has_ticks: with_node.is_some(),
            number: options.worker,
            condemned: None,
            uncaught: false,
        })
    }

    /// Loads the main module and runs its top-level code.
    async fn evaluate(&mut self) -> Result<(), Fault> {
        // Loading is not watched: it runs no user code, and must not be terminated halfway.
        let entry = self.script.entry.clone();
        let main = match self.runtime.load_main_es_module(&entry).await {
            Ok(main) => main,
            // V8 ends its compiler as it ends code, with an exception that says nothing.
            Err(_) if self.gauge.is_ending() => return Err(self.breach_at_start(Limit::Memory)),
            // Not an exception of the script.
            Err(error) => {
                return Err(Fault {
                    thrown: None,
                    ..fault(&error, Some(&self.frames))
                });
            }
        };
        // V8 compiles a module without a look at the time.
        if has_to_stop() {
            return Err(Fault::new(FaultKind::BootFailed, self.loader.loads_too_long()));
        }
        self.expose_bindings_of_a_service_worker(main)?;
        self.watch.arm_for_boot();
        let evaluated = self.runtime.mod_evaluate(main);
        self.boot_breach()?;
        let mut evaluated = pin!(evaluated);
        // To a task that has used up its budget nothing appears ready, which would look like code that never settles.
        let settled = poll_fn(|cx| {
            // A command may exit in its top-level code, which then ends as if terminated.
            if self.exit_code().is_some() {
                return Poll::Ready(Ok(()));
            }
            if let Poll::Ready(result) = evaluated.as_mut().poll(cx) {
                return Poll::Ready(result.map_err(|error| fault(&error, Some(&self.frames))));
            }
            self.watch.arm_for_boot();
            let polled = self.runtime.poll_event_loop(cx, PollEventLoopOptions::default());
            self.boot_breach()?;
            if self.exit_code().is_some() {
                return Poll::Ready(Ok(()));
            }
            let settled = evaluated.as_mut().poll(cx);
            if settled.is_pending() && self.command_failed() {
                return Poll::Ready(Ok(()));
            }
            match (settled, polled) {
                (Poll::Ready(result), _) => Poll::Ready(result.map_err(|error| fault(&error, Some(&self.frames)))),
                (_, Poll::Ready(Err(error))) => Poll::Ready(Err(fault(&error, Some(&self.frames)))),
                (_, Poll::Ready(Ok(()))) => Poll::Ready(Err(Fault::new(
                    FaultKind::BootFailed,
                    "the script's top-level await never settles: nothing is pending",
                ))),
                (Poll::Pending, Poll::Pending) => Poll::Pending,
            }
        });
        tokio::task::unconstrained(settled).await?;
        if self.exit_code().is_some() || self.uncaught {
            return Ok(());
        }
        // The namespace shows whether a module's code threw: deno_core passes the error itself to the rejection
        // handler.
        let namespace = self
            .runtime
            .get_module_namespace(main)
            .map_err(|error| fault(&error, Some(&self.frames)));
        let namespace = match namespace {
            Ok(namespace) => namespace,
            Err(thrown) => return self.top_level_threw(thrown),
        };
        self.keep_compiled_code().await;
        self.set_exports(&namespace);
        self.tell_reports();
        Ok(())
    }

    /// Exposes bindings as global variables to a script without a default export, which gets no `env` argument: its
    /// handlers are listeners, `addEventListener("fetch", …)`.
    fn expose_bindings_of_a_service_worker(&mut self, main: ModuleId) -> Result<(), Fault> {
        if self.script.bindings.is_empty() {
            return Ok(());
        }
        let namespace = self
            .runtime
            .get_module_namespace(main)
            .map_err(|error| fault(&error, Some(&self.frames)))?;
        deno_core::scope!(scope, &mut self.runtime);
        let namespace = v8::Local::new(scope, namespace);
        // Only the name: there is no value before the module has run.
        let names = namespace.get_own_property_names(scope, v8::GetPropertyNamesArgs::default());
        let default = v8::String::new(scope, "default");
        let has_default = names.zip(default).map(|(names, default)| {
            (0..names.length()).any(|index| names.get_index(scope, index).is_some_and(|name| name == default))
        });
        if has_default == Some(false) {
            let undefined = v8::undefined(scope).into();
            v8::Local::new(scope, &self.js.expose_bindings).call(scope, undefined, &[]);
        }
        Ok(())
    }

    /// Runs a turn of the event loop, in which newly compiled code is passed to the loader. A worker that handles one
    /// event may not run another turn, and the next worker would compile it again.
    async fn keep_compiled_code(&mut self) {
        self.loader.keep_functions(&mut self.runtime);
        if self.loader.compiled_anew() {
            poll_fn(|cx| {
                let _ = self.poll_event_loop(cx);
                Poll::Ready(())
            })
            .await;
        }
    }

    fn boot_breach(&mut self) -> Result<(), Fault> {
        self.gauge.check(self.runtime.v8_isolate());
        let ended = self.watch.disarm();
        // Also while modules were compiled, which is not watched.
        if self.gauge.is_ending() {
            return Err(self.breach_at_start(Limit::Memory));
        }
        let Ended::Breached(breach) = ended else {
            return Ok(());
        };
        Err(self.breach_at_start(breach.limit))
    }

    fn breach_at_start(&self, limit: Limit) -> Fault {
        if self.script.command.is_some() {
            return self.breach_of_command(limit);
        }
        let limits = &self.script.limits;
        let message = match limit {
            Limit::Cpu => format!(
                "the script's top-level code exceeded its CPU limit of {:?}",
                limits.boot_cpu
            ),
            Limit::Wall => "the script's top-level code did not finish within the time to start".to_owned(),
            Limit::Memory => format!(
                "the script exceeded its memory limit of {} MiB while starting",
                limits.memory_bytes >> 20
            ),
        };
        Fault::new(FaultKind::BootFailed, message)
    }
}

/// Starts the JavaScript side, and takes its functions before user code can access them.
fn start(
    runtime: &mut JsRuntime,
    script: &Script,
    bindings: Vec<(&str, EnvValue<'_>)>,
    removed_globals: Vec<String>,
    adds_ops: bool,
    node: Option<NodeArguments<'_>>,
) -> Result<JsEntryPoints, Fault> {
    let no_command = crate::Command::default();
    let command = script.command.as_ref().unwrap_or(&no_command);
    let arguments = StartArguments {
        user_agent: USER_AGENT,
        colors: matches!(script.console, Console::Terminal { colors: true, .. }),
        error_colors: matches!(script.console, Console::Terminal { error_colors: true, .. }),
        bindings,
        removed_globals,
        command: script.command.is_some(),
        main: script.command.is_some().then(|| {
            let path = script.entry.to_file_path();
            path.map_or_else(
                |()| script.entry.to_string(),
                |path| path.to_string_lossy().into_owned(),
            )
        }),
        adds_ops,
        node,
        args: &command.args,
        env: &command.env,
    };
    let broken = |what: &str| Fault::new(FaultKind::BootFailed, format!("the snapshot does not fit: {what}"));
    deno_core::scope!(scope, runtime);
    v8::tc_scope!(scope, scope);
    let global = scope.get_current_context().global(scope);
    let key = v8::String::new(scope, "__isopod").ok_or_else(|| broken("no room for a name"))?;
    let object = global.get(scope, key.into());
    let object = object.and_then(|object| object.try_cast::<v8::Object>().ok());
    let object = object.ok_or_else(|| broken("no __isopod"))?;
    let js = JsEntryPoints::find(scope, object).map_err(broken)?;
    let arguments = serde_v8::to_v8(scope, arguments).map_err(|error| broken(&error.to_string()))?;
    let undefined = v8::undefined(scope).into();
    if v8::Local::new(scope, &js.boot)
        .call(scope, undefined, &[arguments])
        .is_none()
    {
        let thrown = scope
            .exception()
            .map(|error| deno_core::error::JsError::from_v8_exception(scope, error));
        return Err(match thrown {
            Some(error) => Fault::from_js(FaultKind::BootFailed, &error, None),
            None => broken("boot was terminated"),
        });
    }
    Ok(js)
}

fn fault(error: &CoreError, frames: Option<&CodeFrames>) -> Fault {
    match error.as_kind() {
        CoreErrorKind::Js(error) => Fault::from_js(FaultKind::BootFailed, error, frames),
        _ => Fault::new(FaultKind::BootFailed, error.to_string()),
    }
}
