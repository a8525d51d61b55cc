//! Bytes that a module's process writes: whatever they are, its task is answered once, and the host stops in order.
//!
//! A text is a line for each frame: its head, and after `#` a body of JSON or after `$` one of bytes. A line that begins
//! with `!` is bytes in hexadecimal without a frame around them.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::executor::block_on;
use isopod_host::bus::{Message, Results};
use isopod_host::process::{
    Channel, ModuleRequest, ModuleTask, ModuleTasks, Process, ProcessBackend, ProcessModule, ProcessSpec,
};
use isopod_host::supervise::Restart;
use isopod_host::{Context, Host, Module, PhaseResult, TaskResponse, async_trait};
use serde_json::json;
use tokio::sync::watch;

use crate::engine::Target;
use crate::mutate::mutated;

const WORDS: &[&str] = &[
    "{\"type\":\"hello\",\"protocol\":1,\"tasks\":[\"work\"]}\n",
    "{\"type\":\"progress\",\"task\":1}#1\n",
    "{\"type\":\"result\",\"task\":1,\"name\":\"r\"}$bytes\n",
    "{\"type\":\"end\",\"task\":1}#1\n",
    "{\"type\":\"publish\",\"request\":1,\"topic\":\"fuzzed.a\"}\n",
    "{\"type\":\"handled\",\"event\":1}\n",
    "\n!00",
    "#",
    "$",
    "\"type\":",
    "\"task\":",
    "\"event\":",
    "null",
    "[]",
    "{}",
];

/// The most of a text that is written.
const BYTES_MAX: usize = 1 << 20;

/// A process that is none: a thread that writes, and exits with success.
struct Writes(Vec<Vec<u8>>);

struct Written(watch::Receiver<bool>);

#[async_trait]
impl ProcessBackend for Writes {
    async fn spawn(&self, spec: &ProcessSpec, _: &Context) -> std::io::Result<Box<dyn Process>> {
        let channel = spec.channel.as_ref().expect("a channel").descriptor()?;
        let (parts, (done, ended)) = (self.0.clone(), watch::channel(false));
        std::thread::spawn(move || {
            // The host closes its end in the middle of what it does not take.
            let _ = write(channel.into(), &parts);
            let _ = done.send(true);
        });
        Ok(Box::new(Written(ended)))
    }
}

/// Number of parts after each of which the host's messages are read. After that they are read now and then, so that
/// thousands of parts take no seconds.
const PARTS_READ: usize = 100;

/// Writes the first part, waits for an answer or a moment, and writes the others. Messages of the host are read.
fn write(mut channel: UnixStream, parts: &[Vec<u8>]) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    for (index, part) in parts.iter().enumerate() {
        channel.write_all(part)?;
        if index > PARTS_READ && index % PARTS_READ != 0 {
            continue;
        }
        let patience = if index == 0 { 50 } else { 1 };
        channel.set_read_timeout(Some(Duration::from_millis(patience)))?;
        let _ = channel.read(&mut buffer);
    }
    Ok(())
}

#[async_trait]
impl Process for Written {
    async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        let _ = self.0.wait_for(|ended| *ended).await;
        Ok(ExitStatus::from_raw(0))
    }

    fn terminate(&mut self) -> std::io::Result<()> {
        Ok(())
    }

    async fn kill(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Asks for a task before the process is there.
struct Asks(flume::Sender<ModuleTask>);

#[async_trait]
impl Module for Asks {
    fn name(&self) -> &str {
        "asks"
    }

    async fn start(&mut self, ctx: &Context) -> PhaseResult {
        let tasks = ctx.hub().get_scoped::<ModuleTasks>("fuzzed")?;
        let request = ModuleRequest::new("work")
            .payload(json!(1))
            .deadline(Duration::from_secs(1));
        self.0.send(tasks.run(request)).expect("it is waited for");
        Ok(())
    }

    async fn ready(&mut self, ctx: &Context) -> PhaseResult {
        ctx.bus().publish(Message::new("a.b".parse()?, json!({ "c": 1 })))?;
        Ok(())
    }
}

fn frames(text: &str) -> Vec<Vec<u8>> {
    let mut left = BYTES_MAX;
    let lines = text.lines().map(frame);
    lines
        .take_while(|frame| left.checked_sub(frame.len()).map(|rest| left = rest).is_some())
        .collect()
}

fn frame(line: &str) -> Vec<u8> {
    if let Some(raw) = line.strip_prefix('!') {
        let digits: Vec<_> = raw.chars().filter_map(|char| char.to_digit(16)).collect();
        return digits
            .chunks(2)
            .map(|pair| pair.iter().fold(0, |byte, digit| byte * 16 + *digit as u8))
            .collect();
    }
    // The last mark: heads may have them as well.
    let (head, kind, body) = match line.rfind(['#', '$']) {
        Some(at) => (
            &line[..at],
            if line[at..].starts_with('#') { 1 } else { 2 },
            &line[at + 1..],
        ),
        None => (line, 0, ""),
    };
    let length = |text: &str| u32::try_from(text.len()).expect("a short text").to_be_bytes();
    [
        &[kind],
        &length(head)[..],
        &length(body),
        head.as_bytes(),
        body.as_bytes(),
    ]
    .concat()
}

fn check(text: &str) {
    let (asked, asks) = flume::bounded(1);
    let channel = Channel::default()
        .restart(Restart::Temporary)
        .window_bytes(4096)
        .body_bytes_max(1 << 16)
        .hello_within(Duration::from_millis(500))
        .results(&Results::builder().bytes_max(1 << 16).build());
    let module = ProcessModule::new("fuzzed", "none")
        .channel(channel)
        .backend(Arc::new(Writes(frames(text))));
    let host = Host::builder()
        .module(module)
        .module(Asks(asked))
        .build()
        .expect("a host");
    let started = host.start_blocking();
    let task = asks.recv().expect("a task");
    let responses: Vec<_> = block_on(task.collect());
    let (last, others) = responses.split_last().expect("an answer");
    assert!(
        last.is_final() && !others.iter().any(TaskResponse::is_final),
        "{responses:?}"
    );
    if let Ok(running) = started {
        // A process that breaks the protocol while it is asked to end is the module's failure, and no other.
        if let Err(error) = running.stop_blocking() {
            assert!(error.to_string().contains("module `fuzzed`"), "{error}");
        }
    }
}

#[test]
fn modules() {
    Target::new("modules").run(|corpus| mutated(corpus, WORDS), check);
}
