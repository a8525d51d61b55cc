//! Options: an extensible struct for pools, JSON for scripts.

use std::collections::BTreeMap;
use std::ffi::c_char;
use std::mem::{offset_of, size_of};
use std::sync::Arc;
use std::time::Duration;

use isopod::{
    FetchConfig, Limits, NetPolicy, Options, Policy, Pool, PoolBuilder, Recycle, Rule, Script, ScriptBuilder, SqlConfig,
};
use serde::Deserialize;
use serde_json::Value;

use crate::boundary::optional_text;
use crate::status::Error;

/// Settings of a pool: `isopod_pool_options` of `isopod.h`, which documents them. 0 and NULL mean the default.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct PoolOptions {
    /// The struct's size as the caller knows it. Later versions add fields at the end.
    pub size: usize,
    /// Prefix of the threads' names. Default: `isopod`.
    pub thread_name: *const c_char,
    /// Number of worker threads. Default: one per processor from the start, and more as workers need them.
    pub threads: u32,
    /// Maximum number of worker threads. Default: `threads` if that is set, else `workers_max`.
    pub threads_max: u32,
    /// Threads of each worker thread's I/O runtime. Default: 2.
    pub io_threads: u32,
    /// Events of one script that may wait. Default: 1024.
    pub queue_len_max: u32,
    /// Asynchronous calls that may wait for their callbacks. Default: 1024.
    pub callbacks_waiting_max: u32,
    /// Aligns the following fields to 8 bytes on every platform. Must be 0.
    pub reserved: u32,
    /// Maximum time that an event waits, in milliseconds. Default: 10,000.
    pub queue_wait_max_ms: u64,
    /// Maximum time that an event runs, in milliseconds. Default: 30,000.
    pub wall_timeout_ms: u64,
    /// Maximum time that a worker takes to start, in milliseconds. Default: 10,000.
    pub boot_timeout_ms: u64,
    /// Time without events after which a worker ends, in milliseconds. Default: never.
    pub idle_timeout_ms: u64,
    /// Maximum number of workers. Default: the number of threads if that is set, else one for each 4 MiB of memory.
    pub workers_max: u64,
    /// Maximum memory of all workers together, in bytes. Default: half of the machine's, as a budget that refuses no event.
    pub memory_bytes_max: u64,
}

/// Default number of asynchronous calls that may wait for their callbacks.
const CALLBACKS_WAITING_MAX: usize = 1024;

impl PoolOptions {
    /// The defaults.
    pub const DEFAULT: Self = Self {
        size: size_of::<Self>(),
        thread_name: std::ptr::null(),
        threads: 0,
        threads_max: 0,
        io_threads: 0,
        queue_len_max: 0,
        callbacks_waiting_max: 0,
        reserved: 0,
        queue_wait_max_ms: 0,
        wall_timeout_ms: 0,
        boot_timeout_ms: 0,
        idle_timeout_ms: 0,
        workers_max: 0,
        memory_bytes_max: 0,
    };

    /// Copies the fields that the caller's version of the struct has; the others have their defaults.
    ///
    /// # Safety
    /// `from` is NULL or points to as many initialized bytes as its first field says.
    pub(crate) unsafe fn read(from: *const Self) -> Result<Self, Error> {
        if from.is_null() {
            return Ok(Self::DEFAULT);
        }
        // SAFETY: guaranteed by the caller; the size is the first field in every version of the struct.
        let size = unsafe { from.cast::<usize>().read() };
        if size < offset_of!(Self, threads) || size > size_of::<Self>() * 16 {
            return Err(Error::OptionsSize(size));
        }
        let mut options = Self::DEFAULT;
        let known = size.min(size_of::<Self>());
        // SAFETY: both sides have `known` bytes and do not overlap, and every bit pattern is valid.
        unsafe { std::ptr::copy_nonoverlapping(from.cast::<u8>(), (&raw mut options).cast::<u8>(), known) };
        Ok(options)
    }

    /// # Safety
    /// The strings are NULL or NUL-terminated.
    pub(crate) unsafe fn into_builder(self) -> Result<PoolBuilder, Error> {
        if self.reserved != 0 {
            let message = "`reserved` is not 0; initialize with ISOPOD_POOL_OPTIONS_INIT".to_owned();
            return Err(Error::Unfit {
                argument: "options",
                message,
            });
        }
        // SAFETY: guaranteed by the caller.
        let name = unsafe { optional_text(self.thread_name, "thread_name") }?;
        let mut builder = Pool::builder();
        if let Some(name) = name {
            builder = builder.thread_name(name);
        }
        if let Some(threads) = count(self.threads) {
            builder = builder.threads(threads);
        }
        if let Some(threads) = count(self.threads_max) {
            builder = builder.threads_max(threads);
        }
        if let Some(threads) = count(self.io_threads) {
            builder = builder.io_threads(threads);
        }
        if let Some(events) = count(self.queue_len_max) {
            builder = builder.queue_len_max(events);
        }
        if let Some(time) = time(self.queue_wait_max_ms) {
            builder = builder.queue_wait_max(time);
        }
        if let Some(time) = time(self.wall_timeout_ms) {
            builder = builder.wall_timeout(time);
        }
        if let Some(time) = time(self.boot_timeout_ms) {
            builder = builder.boot_timeout(time);
        }
        if let Some(time) = time(self.idle_timeout_ms) {
            builder = builder.idle_timeout(time);
        }
        if let Some(workers) = size(self.workers_max) {
            builder = builder.workers_max(workers);
        }
        if let Some(bytes) = size(self.memory_bytes_max) {
            builder = builder.memory_bytes_max(bytes);
        }
        Ok(builder)
    }

    pub(crate) fn callbacks_waiting_max(&self) -> usize {
        count(self.callbacks_waiting_max).unwrap_or(CALLBACKS_WAITING_MAX)
    }
}

fn count(number: u32) -> Option<usize> {
    (number > 0).then_some(number as usize)
}

fn size(number: u64) -> Option<usize> {
    (number > 0).then(|| usize::try_from(number).unwrap_or(usize::MAX))
}

fn time(ms: u64) -> Option<Duration> {
    (ms > 0).then(|| Duration::from_millis(ms))
}

/// Options of a script, as JSON, documented in `isopod.h`. Missing members have their defaults. Not `Debug`: contains
/// secrets.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ScriptOptions {
    language: Language,
    modules: BTreeMap<String, String>,
    env: BTreeMap<String, Value>,
    secrets: BTreeMap<String, String>,
    sql: BTreeMap<String, String>,
    fetch: FetchOptions,
    policy: PolicyName,
    concurrency: Option<usize>,
    workers_min: Option<usize>,
    workers_max: Option<usize>,
    queue_len_max: Option<usize>,
    spread_at: Option<usize>,
    weight: Option<u32>,
    adapts: bool,
    boot_timeout_ms: Option<u64>,
    wall_timeout_ms: Option<u64>,
    stream_timeout_ms: Option<u64>,
    wait_until_timeout_ms: Option<u64>,
    cpu_ms: Option<u64>,
    cpu_soft_ms: Option<u64>,
    boot_cpu_ms: Option<u64>,
    memory_bytes: Option<usize>,
    recycle: RecycleOptions,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Language {
    #[default]
    Javascript,
    Typescript,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PolicyName {
    #[default]
    PerWorker,
    PerRequest,
    Oneshot,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct FetchOptions {
    allow_private: bool,
    allow: Vec<String>,
    deny: Vec<String>,
    only: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RecycleOptions {
    events: Option<u64>,
    age_ms: Option<u64>,
    memory_bytes: Option<usize>,
}

/// The source of a script's code.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Code<'a> {
    Source(&'a str),
    File(&'a str),
}

impl ScriptOptions {
    pub(crate) fn parse(json: Option<&str>) -> Result<Self, Error> {
        let argument = "options_json";
        json.map_or_else(|| Ok(Self::default()), serde_json::from_str)
            .map_err(|source| Error::Json { argument, source })
    }

    /// Builds the script and its deployment options.
    pub(crate) fn into_script(self, name: &str, code: Code<'_>) -> Result<(Script, Options), Error> {
        let options = self.run();
        let mut script = self.code(Script::builder(name), code)?;
        for (name, value) in self.env {
            script = match value {
                Value::String(text) => script.text(name, text),
                value => script.json(name, value),
            };
        }
        for (name, secret) in self.secrets {
            script = script.secret(name, secret);
        }
        for (name, url) in self.sql {
            script = script.binding(name, SqlConfig::new(url));
        }
        let defaults = Limits::default();
        let script = script.fetch(self.fetch.into_config()?).limits(
            Limits::default()
                .cpu(self.cpu_ms.map_or(defaults.cpu, Duration::from_millis))
                .cpu_soft(self.cpu_soft_ms.map(Duration::from_millis))
                .boot_cpu(self.boot_cpu_ms.map_or(defaults.boot_cpu, Duration::from_millis))
                .memory_bytes(self.memory_bytes.unwrap_or(defaults.memory_bytes)),
        );
        Ok((script.build()?, options))
    }

    fn code(&self, script: ScriptBuilder, code: Code<'_>) -> Result<ScriptBuilder, Error> {
        let script = match (code, self.language) {
            (Code::Source(text), Language::Javascript) => script.source(text),
            (Code::Source(text), Language::Typescript) => script.typescript(text),
            (Code::File(path), _) if self.modules.is_empty() => return Ok(script.file(path)),
            (Code::File(_), _) => {
                let message = "`modules` is only for source text; a file imports files".to_owned();
                return Err(Error::Unfit {
                    argument: "options_json",
                    message,
                });
            }
        };
        Ok(self
            .modules
            .iter()
            .fold(script, |script, (name, text)| script.module(name, text)))
    }

    fn run(&self) -> Options {
        let defaults = Options::default();
        Options::default()
            .policy(match self.policy {
                PolicyName::PerWorker => Policy::PerWorker,
                PolicyName::PerRequest => Policy::PerRequest,
                PolicyName::Oneshot => Policy::Oneshot,
            })
            .concurrency(self.concurrency.unwrap_or(defaults.concurrency))
            .workers_max(self.workers_max)
            .workers_min(self.workers_min.unwrap_or(defaults.workers_min))
            .recycle(
                Recycle::default()
                    .events(self.recycle.events)
                    .age(self.recycle.age_ms.map(Duration::from_millis))
                    .memory_bytes(self.recycle.memory_bytes),
            )
            .boot_timeout(self.boot_timeout_ms.map(Duration::from_millis))
            .wall_timeout(self.wall_timeout_ms.map(Duration::from_millis))
            .stream_timeout(self.stream_timeout_ms.map(Duration::from_millis))
            .wait_until_timeout(self.wait_until_timeout_ms.map(Duration::from_millis))
            .queue_len_max(self.queue_len_max)
            .spread_at(self.spread_at.unwrap_or(defaults.spread_at))
            .weight(self.weight.unwrap_or(defaults.weight))
            .adapts(self.adapts)
    }
}

impl FetchOptions {
    fn into_config(self) -> Result<FetchConfig, Error> {
        let policy = NetPolicy::default()
            .allow_private(self.allow_private)
            .allow(rules(&self.allow)?)
            .deny(rules(&self.deny)?)
            .only(self.only.as_deref().map(rules).transpose()?);
        Ok(FetchConfig::default().policy(Arc::new(policy)))
    }
}

fn rules(list: &[String]) -> Result<Vec<Rule>, Error> {
    let unfit = |message| Error::Unfit {
        argument: "options_json",
        message,
    };
    list.iter()
        .map(|rule| {
            rule.parse()
                .map_err(|error: isopod::RuleError| unfit(error.to_string()))
        })
        .collect()
}
