//! The Rust code of README and `docs/`, compiled. `cargo xtask tidy` (rule `pages`) checks that each block of a page is in
//! this file; formatting and comments may differ.

#![allow(dead_code, reason = "most of it is only compiled")]

use std::error::Error;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// README.md and docs/embedding.md.
mod first_program {
    use isopod::prelude::*;

    fn main() -> Result<(), Box<dyn std::error::Error>> {
        let pool = Pool::builder().threads(1).build()?;
        let script = Script::builder("sum")
            .source("export const add = (a, b) => a + b;")
            .build()?;
        pool.deploy("sum", script, &Options::default())?;
        let sum: i32 = pool.call_blocking("sum", "add", (1, 2))?;
        println!("1 + 2 = {sum}");
        Ok(())
    }

    #[test]
    fn first_program() {
        main().expect("a sum");
    }
}

mod embedding {
    use std::time::Duration;

    use isopod::prelude::*;
    use isopod::{Callback, FetchConfig, NetPolicy};

    use super::Result;

    #[derive(Clone, Copy)]
    struct Bar;

    impl Bar {
        fn set(self, percent: u8) -> u8 {
            percent
        }
    }

    async fn scripts(pool: Pool) -> Result<()> {
        let script = Script::builder("shop")
            .file("scripts/shop.ts")
            .text("CURRENCY", "EUR")
            .binding("DB", SqlConfig::new("sqlite:shop.db"))
            .limits(Limits::default().cpu(Duration::from_millis(50)))
            .fetch(FetchConfig::default().policy(NetPolicy::default().allow_private(true)))
            .build()?;
        let options = Options::default().policy(Policy::PerRequest);
        pool.deploy("shop", script, &options)?;
        pool.warm("shop").await?;
        Ok(())
    }

    async fn values(pool: Pool, file: Body, bar: Bar) -> Result<Body> {
        let arguments = Arguments::new()
            .value("photo.png")
            .stream(Body::new(file))
            .function(NativeFunction::new(move |(percent,): (u8,)| async move {
                Ok(bar.set(percent))
            }));
        let scaled: Body = pool.call("images", "scale", arguments).await?;
        Ok(scaled)
    }

    async fn callbacks(pool: Pool) -> Result<u32> {
        let counter: Callback = pool.call("tools", "counter", (5,)).await?;
        let n: u32 = counter.call(()).await?;
        Ok(n)
    }
}

/// docs/durable-objects.md.
mod durable_objects {
    use isopod::{ObjectClass, ObjectNamespace, Pool};

    fn objects(pool: &Pool, runtime: &tokio::runtime::Handle) -> ObjectNamespace {
        let objects = pool
            .objects()
            .namespace(ObjectClass::new("counter", "Counter", "data/counters"));
        runtime.spawn(pool.objects().clone().run());
        objects
    }
}

mod bindings {
    use isopod::prelude::*;
    use isopod::{Body, Callback, Caller, FetchFuture, Fetcher, FetcherBinding, http};
    use serde::Serialize;

    use super::Result;

    #[derive(Serialize)]
    struct Invoice {
        item: String,
        sum: u32,
    }

    fn rust_functions() -> Result<Script> {
        let price = NativeFunction::new(|(item, count): (String, u32)| async move {
            match item.as_str() {
                "tea" => Ok(Invoice { item, sum: count * 3 }),
                _ => Err(NativeError::new("RangeError", format!("no such thing: {item}"))),
            }
        });
        let shop = NativeBinding::from([("price".to_owned(), price)]);
        let script = Script::builder("till").file("till.js").binding("SHOP", shop).build()?;
        Ok(script)
    }

    struct Clock;

    impl Fetcher for Clock {
        fn fetch(&self, _request: http::Request<Body>, caller: Caller) -> FetchFuture {
            let text = format!("{}: {:?}", caller.worker, std::time::SystemTime::now());
            Box::pin(async move { Ok(http::Response::new(text.into())) })
        }
    }

    fn fetcher() -> Result<Script> {
        let clock = FetcherBinding::new(Clock);
        let script = Script::builder("front")
            .file("front.js")
            .binding("CLOCK", clock)
            .build()?;
        Ok(script)
    }

    fn find(pattern: &str) -> Vec<String> {
        vec![pattern.to_owned()]
    }

    fn callbacks() -> NativeBinding {
        let each = NativeFunction::new(|(pattern, tell): (String, Callback)| async move {
            for name in find(&pattern) {
                tell.call::<_, ()>((name,)).await?;
            }
            Ok(())
        });
        NativeBinding::from([("each".to_owned(), each)])
    }
}

mod events {
    use isopod::host::workers::{DeliverOptions, EventBridge, WorkerSubscription};
    use isopod::prelude::*;
    use tokio::runtime::Handle;

    use super::Result;

    async fn bus() -> Result<()> {
        use isopod::host::bus::{Bus, Delivery, Message, SubscribeOptions};

        let bus = Bus::new();
        let mut orders = bus.subscribe("orders.*", SubscribeOptions::default())?;
        bus.publish(Message::new("orders.created".parse()?, serde_json::json!({ "id": 7 })))?;
        while let Some(delivery) = orders.recv().await {
            match delivery {
                Delivery::Message(message) => println!("{}", message.topic),
                Delivery::Lagged(count) => eprintln!("{count} messages are missing here"),
            }
        }
        Ok(())
    }

    fn workers(bus: isopod::host::bus::Bus, pool: Pool, handle: Handle, source: &str) -> Result<WorkerSubscription> {
        let bridge = EventBridge::new(&bus, "mail", &["mail.*"])?;
        let script = Script::builder("mail")
            .source(source)
            .binding("EVENTS", bridge.binding())
            .build()?;
        pool.deploy("mail", script, &Options::default())?;
        let subscription = bridge.subscribe(&handle, &pool, &["orders.>"], DeliverOptions::default())?;
        Ok(subscription)
    }

    async fn queues(handle: Handle, pool: Pool, order: serde_json::Value) -> Result<()> {
        use isopod::bindings::queue::{Outbound, QueueBody, QueueMessage, QueueStore, SqliteQueue};
        use isopod::host::workers::{ConsumeOptions, QueueSource};

        let orders = SqliteQueue::new("data/orders.sqlite");
        let consumer = QueueSource::new("orders", orders.clone())
            .dead_letters(SqliteQueue::new("data/failed.sqlite"))
            .options(ConsumeOptions::default().batch_size(100))
            .start(&handle, &pool, "shop");
        orders
            .send(vec![Outbound::new(QueueMessage::new(QueueBody::json(&order)))])
            .await?;
        consumer.drain().await;
        Ok(())
    }
}

mod tasks {
    use futures::StreamExt;
    use isopod::host::bus::{Bus, Handler, HandlerOptions, Results};
    use isopod::host::workers::{TaskResponse, WorkerTasks};
    use isopod::prelude::*;
    use tokio::runtime::Handle;

    use super::Result;

    async fn task(bus: Bus, results: Results, pool: Pool, text: String) {
        let tasks = WorkerTasks::new(&bus, &results, &pool);
        let mut count = tasks.run::<u32>("count", TaskRequest::new(text).config("locale", "de"));
        while let Some(response) = count.next().await {
            match response {
                TaskResponse::Progress(part) => println!("{part}"),
                TaskResponse::Result { name, data, .. } => println!("{name}: {} bytes", data.len()),
                TaskResponse::End(Ok(lines)) => println!("{lines} lines"),
                TaskResponse::End(Err(failure)) => eprintln!("{failure}"),
                _ => {}
            }
        }
    }

    fn chaining(tasks: WorkerTasks, handle: Handle, bus: Bus, results: Results) -> Result<Handler> {
        let chain = tasks
            .chain("results.parse".parse()?, "transform", HandlerOptions::default())
            .start(&handle, &bus, &results)?;
        Ok(chain)
    }
}

mod process_modules {
    use std::sync::Arc;

    use futures::StreamExt;
    use isopod::host::process::{Channel, ModuleRequest, ModuleTasks, ProcessModule};
    use isopod::host::{Context, Host, TaskResponse};
    use isopod::module::{Error, Event, Module, ResultRef, TaskContext};
    use serde::Deserialize;
    use serde_json::json;

    use super::Result;

    trait Scanner: Send + Sync {}

    impl Scanner for ModuleTasks {}

    fn host() -> Result<Host> {
        let scan = ProcessModule::new("scan", "/usr/lib/analysis/scan")
            .config(json!({ "rules": "/etc/rules" }))
            .channel(Channel::default().retries(3).publishes("samples.*".parse()?))
            .client::<dyn Scanner>(|tasks| Arc::new(tasks));
        let host = Host::builder().module(scan).build()?;
        Ok(host)
    }

    #[derive(Deserialize)]
    struct Config {
        rules: String,
    }

    #[derive(Deserialize)]
    struct Sample {
        path: String,
    }

    fn matches(sample: &Sample, rules: &str) -> usize {
        sample.path.matches(rules).count()
    }

    fn main() -> Result<(), Error> {
        let module = Module::connect()?;
        let Config { rules } = module.config()?;
        module
            .tasks_max(4)
            .task("scan", move |ctx: TaskContext, sample: Sample| {
                let rules = rules.clone();
                async move {
                    ctx.progress(&0.5).await?;
                    ctx.emit("matches", matches(&sample, &rules)).await?;
                    Ok::<_, Error>(sample.path)
                }
            })
            .task("strings", |ctx: TaskContext, _: ResultRef| async move {
                let unpacked = ctx.read(&ctx.result()?).await?;
                ctx.emit("strings", unpacked.as_bytes().map(|bytes| bytes.len())).await
            })
            .chain("results.unpack", "strings")
            .on("samples.*", |event: Event| async move {
                event.publish("scan.seen", event.payload().clone()).await
            })
            .run()
    }

    async fn tasks(ctx: &Context) -> Result<()> {
        let tasks = ctx.hub().get_scoped::<ModuleTasks>("scan")?;
        let mut scan = tasks.run(
            ModuleRequest::new("scan")
                .payload(json!({ "path": "sample.exe" }))
                .config("depth", "2"),
        );
        while let Some(response) = scan.next().await {
            match response {
                TaskResponse::Progress(part) => println!("{part}"),
                TaskResponse::Result { name, data, .. } => println!("{name}: {} bytes", data.len()),
                TaskResponse::End(Ok(path)) => println!("{path:?}"),
                TaskResponse::End(Err(failure)) => eprintln!("{failure}"),
                _ => {}
            }
        }
        Ok(())
    }
}

mod lifecycle {
    use isopod::host::db::{DbManager, DbRule};
    use isopod::host::{Host, Module, PoolModule, Shutdown};
    use isopod::{Options, Pool, Script};
    use serde_json::Value;

    use super::Result;

    #[derive(Default)]
    struct Billing {
        rate: u32,
    }

    impl Module for Billing {
        fn name(&self) -> &str {
            "billing"
        }
    }

    fn host(script: Script, sections: Value) -> Result<()> {
        let report = Host::builder()
            .module(Billing::default())
            .module(PoolModule::new("pool", || Pool::builder().build()).script("shop", script, Options::default()))
            .discover()
            .config(sections)
            .db(DbManager::new(DbRule::SqliteFolder("data".into())).into())
            .shutdown(Shutdown::signals())
            .build()?
            .run_blocking()?;
        println!("{report}");
        Ok(())
    }
}

mod supervision {
    use std::convert::Infallible;

    use isopod::Pool;
    use tokio::runtime::Handle;

    async fn import(file: &str) -> Result<usize, Infallible> {
        Ok(file.len())
    }

    async fn tasks(handle: Handle, file: &'static str) {
        use isopod::host::supervise::{RunError, Supervisor};

        let supervisor = Supervisor::builder(handle).build();
        match supervisor.run("import", import(file)).await {
            Ok(rows) => println!("{rows} rows"),
            Err(RunError::Crashed { cause, .. }) => eprintln!("{cause}"),
            Err(error) => eprintln!("{error}"),
        }
    }

    async fn scripts(pool: &Pool, supervisor: isopod::host::supervise::Supervisor, order: u32) {
        use isopod::host::supervise::RunError;

        let pool = pool.clone();
        let total: Result<f64, RunError> = supervisor
            .run("billing", async move { pool.call("billing", "total", (order,)).await })
            .await;
        drop(total);
    }
}

mod worker_pool {
    use super::Result;

    fn fake() -> Result<()> {
        use isopod::engine::Pool;
        use isopod::engine::fake::{Call, FakeEngine, FakeScript};
        use isopod::{Meta, Options};
        use std::{sync::Arc, time::Duration};

        let pool = Pool::builder(FakeEngine::new()).threads(2).build()?;
        pool.deploy("hello", Arc::new(FakeScript::new()), &Options::default())?;
        let (call, reply) = Call::echo(7);
        let ticket = pool.dispatch("hello", call, Meta::default())?;
        assert_eq!(reply.recv()?, Ok(7));
        ticket.detach();
        let report = pool.shutdown_blocking(Duration::from_secs(5));
        assert_eq!((report.cut, report.threads_joined), (0, 2));
        Ok(())
    }

    async fn sessions(pool: isopod::Pool, event: isopod::EventKind, meta: isopod::Meta) -> Result<()> {
        let session = pool.open_session("chat")?;
        session.dispatch(event, meta)?.detach();
        let closing = session.closing().await;
        println!("{}: say goodbye until {:?}", closing.reason, closing.until);
        drop(session);
        Ok(())
    }

    #[test]
    fn a_pool_of_the_fake_engine() {
        fake().expect("a reply");
    }
}

mod runtime_safety {
    use isopod::io::{Io, IoOptions};

    fn main() -> Result<(), Box<dyn std::error::Error>> {
        let io = Io::start(IoOptions::default())?;
        let client = io.client(&"settings", |_| {
            Ok::<_, std::convert::Infallible>(String::from("a client"))
        })?;
        let answer = client.run(|client| async move { client.len() });
        let event_loop = tokio::runtime::Builder::new_current_thread().build()?;
        assert_eq!(event_loop.block_on(answer)?, 8);
        Ok(())
    }

    #[test]
    fn a_client_on_the_io_runtime() {
        main().expect("an answer");
    }
}

/// docs/cells.md.
mod cells {
    use isopod::prelude::*;
    use isopod::{Cells, Isolation};

    fn main() -> Result<(), Box<dyn std::error::Error>> {
        // First of all: where this process is to be a cell, it is one, and does not return.
        isopod::run_cell_if_asked();
        let pool = Pool::builder().cells(Cells::this_program()).build()?;
        let plugin = Script::builder("plugin")
            .file("plugin.js")
            .isolation(Isolation::Process)
            .build()?;
        pool.deploy("plugin", plugin, &Options::default())?;
        Ok(())
    }
}
