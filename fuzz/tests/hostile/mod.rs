//! Hostile scripts composed of fragments, on a real pool next to a good worker. Whatever a script does, the process
//! survives, each event has one outcome within its limits, the good worker always answers correctly, and all resources
//! are released.
//!
//! A text is the script.

mod fragments;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use http_body_util::BodyExt;
use isopod_pool::js::handlers::{Body, BoxError};
use isopod_pool::js::quotas::Quotas;
use isopod_pool::js::{Limits, Pool, Script, TaskRequest};
use isopod_pool::{Failure, Meta, Options};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

use self::fragments::{ANSWERS, INSIDE, TOP, VALUES};
use crate::engine::Target;

const CPU: Duration = Duration::from_millis(100);
const WALL: Duration = Duration::from_millis(400);
/// Time beyond its limits that an event may take, on a busy machine.
const GRACE: Duration = Duration::from_secs(20);
/// Memory limit of the whole process. A worker's heap is a hundredth of that.
const RESIDENT_MAX: u64 = 3 << 30;
/// Bytes of a response to read; an endless one is then abandoned.
const READ_MAX: usize = 1 << 20;

/// Fragments in a handler: alone, caught, or in an async function that is not awaited.
fn inside() -> impl Strategy<Value = String> {
    let one = (select(INSIDE), 0..4_u8).prop_map(|(fragment, how)| match how {
        0 => format!("{{ {fragment} }}"),
        1 => format!("(async () => {{ {fragment} }})();"),
        _ => format!("try {{ {fragment} }} catch (error) {{ left.push(error); }}"),
    });
    vec(one, 0..4).prop_map(|fragments| fragments.join("\n    "))
}

fn program() -> impl Strategy<Value = String> {
    let top =
        prop_oneof![3 => Just(Vec::new()), 2 => vec(select(TOP), 1..3)].prop_map(|fragments| fragments.join("\n"));
    let task = (inside(), select(VALUES));
    (top, inside(), select(ANSWERS), inside(), select(VALUES), task).prop_map(
        |(top, fetch, answer, call, value, (task, result))| {
            format!(
                "let left = [], kept;\n{top}\nexport default {{\n  async fetch(request, env, ctx) {{\n    {fetch}\n    return {answer};\n  }},\n  \
                 async task(request, env, ctx) {{\n    {task}\n    return {result};\n  }},\n}};\n\
                 export async function call(request, env = {{}}, ctx = {{}}) {{\n  {call}\n  return {value};\n}}\n"
            )
        },
    )
}

/// A pool with a good worker that is called all the time.
struct Arena {
    pool: Pool,
    runtime: tokio::runtime::Runtime,
    done: AtomicBool,
    answered: AtomicU64,
}

impl Arena {
    fn new() -> Self {
        let pool = Pool::builder().threads(3).build().expect("a pool");
        let good = Script::builder("good").source("export const add = (a, b) => a + b;");
        let options = Options::default().workers_min(1);
        pool.deploy("good", good.build().expect("a script"), &options)
            .expect("a pool that runs");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Self {
            pool,
            runtime: runtime.expect("a runtime"),
            done: AtomicBool::new(false),
            answered: AtomicU64::new(0),
        }
    }

    /// Calls the good worker until told to stop.
    fn ask_the_good_one(&self) {
        let mut number = 0_i32;
        while !self.done.load(Ordering::SeqCst) {
            number = number.wrapping_add(1) % 1000;
            let start = Instant::now();
            let sum: Result<i32, Failure> = self.pool.call_blocking("good", "add", (number, 1));
            assert_eq!(sum, Ok(number + 1), "the good worker");
            assert!(start.elapsed() < GRACE, "the good worker took {:?}", start.elapsed());
            self.answered.fetch_add(1, Ordering::SeqCst);
            // tidy:allow(sleep): frequent enough, and leaves the processors to the workers under test.
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn check(&self, source: &str) {
        self.done.store(false, Ordering::SeqCst);
        std::thread::scope(|scope| {
            let good = scope.spawn(|| self.ask_the_good_one());
            let bad = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.commit(source)));
            self.done.store(true, Ordering::SeqCst);
            let good = good.join();
            if let Err(panic) = bad.and(good) {
                std::panic::resume_unwind(panic);
            }
        });
    }

    /// Sends the script events of each kind, and checks what is left afterwards.
    fn commit(&self, source: &str) {
        let limits = Limits::default()
            .cpu(CPU)
            .boot_cpu(CPU)
            .memory_bytes(32 << 20)
            // Reading a value is native code, which cannot be interrupted.
            .quotas(Quotas::default().message_bytes(1 << 20));
        let script = Script::builder("bad").source(source).limits(limits).build();
        let options = Options::default().wall_timeout(WALL).queue_len_max(64);
        self.pool
            .deploy("bad", script.expect("a script"), &options)
            .expect("a pool that runs");
        self.runtime.block_on(async {
            let events: [futures::future::BoxFuture<'_, ()>; 6] = [
                Box::pin(self.fetch(Body::empty())),
                Box::pin(self.fetch(Body::from("x".repeat(100_000)))),
                Box::pin(self.call()),
                Box::pin(self.call()),
                Box::pin(self.task()),
                Box::pin(self.leave()),
            ];
            // A worker may have to be started for each.
            let limit = 6 * (WALL + CPU) + GRACE;
            let ended = tokio::time::timeout(limit, join_all(events)).await;
            assert!(ended.is_ok(), "an event did not end within {limit:?}");
        });
        self.pool.undeploy("bad");
        let settled = self.eventually(|| {
            let stats = self.pool.stats();
            let ended = stats.outcomes.values().sum::<u64>();
            !stats.scripts.contains_key("bad") && ended + stats.open as u64 == stats.accepted && stats.open <= 1
        });
        assert!(settled, "the books are not balanced: {:?}", self.pool.stats());
        // Reading a large value out of a script is native code: its thread may be given up, and has to recover.
        let back = self.eventually(|| {
            let threads = self.pool.stats().threads;
            (threads.stuck, threads.alive) == (0, 3)
        });
        assert!(back, "threads: {:?}", self.pool.stats().threads);
        let resident = resident_bytes();
        assert!(resident < RESIDENT_MAX, "{} MiB are resident", resident >> 20);
    }

    async fn fetch(&self, body: Body) {
        let request = http::Request::post("http://bad.example/path?query").body(body);
        let answered = self
            .pool
            .fetch("bad", request.expect("a request"), Meta::default())
            .await;
        let Ok(response) = answered else { return };
        assert!((200..600).contains(&response.status().as_u16()));
        drop(read(response.into_body()).await);
    }

    async fn call(&self) {
        let arguments = BTreeMap::from([("url", "http://bad.example/")]);
        // Any result will do.
        drop(self.pool.call::<_, Value>("bad", "call", (arguments,)).await);
    }

    async fn task(&self) {
        let Ok(mut task) = self.pool.task::<Value>("bad", TaskRequest::new(())) else {
            return;
        };
        while futures::StreamExt::next(&mut task).await.is_some() {}
        drop(task.outcome().await);
    }

    /// A client that disconnects halfway.
    async fn leave(&self) {
        let call = self.pool.call::<_, Value>("bad", "call", ((),));
        drop(tokio::time::timeout(Duration::from_millis(30), call).await);
    }

    fn eventually(&self, condition: impl Fn() -> bool) -> bool {
        let start = Instant::now();
        loop {
            let holds = condition();
            if holds || start.elapsed() > GRACE {
                return holds;
            }
            // tidy:allow(sleep): between checks of a condition without a notification.
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Reads this much of a body, then drops it.
async fn read(mut body: Body) -> Result<usize, BoxError> {
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        bytes += frame?.data_ref().map_or(0, bytes::Bytes::len);
        if bytes > READ_MAX {
            break;
        }
    }
    Ok(bytes)
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.expect("a number of KiB") * 1024
}

#[test]
fn hostile_scripts() {
    let arena = Arena::new();
    Target::slow("hostile_scripts", 4, Duration::from_secs(60)).run(|_| program(), |source| arena.check(source));
    assert!(arena.answered.load(Ordering::SeqCst) > 0);
}
