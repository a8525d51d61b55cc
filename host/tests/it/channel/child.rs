//! The other side: the same test program, started as a module's process. Its configuration selects the behavior.

use std::io::Write;
use std::os::fd::AsFd;

use isopod_module::{Event, Module, Payload, TaskContext};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Does {
    /// Serves its tasks.
    Work,
    /// Writes invalid frames.
    Garbage,
    /// Never writes.
    Silence,
    /// Registers a chain to a task that it does not have.
    Wrong,
    /// Publishes without reading the answers.
    Flood,
}

#[derive(Deserialize)]
struct Config {
    does: Does,
}

/// Runs only in processes that a host of these tests has started.
#[test]
#[ignore = "is the module's process of other tests"]
fn process() {
    let does = {
        let config = std::env::var("ISOPOD_MODULE_CONFIG").unwrap();
        serde_json::from_str::<Config>(&config).unwrap().does
    };
    match does {
        Does::Work | Does::Wrong => serve(does),
        Does::Garbage => write(b"GET / HTTP/1.1\r\n\r\n"),
        Does::Silence => {}
        Does::Flood => flood(),
    }
    // Until it is killed.
    loop {
        std::thread::park();
    }
}

fn write(bytes: &[u8]) {
    let channel = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let mut channel = std::fs::File::from(channel);
    channel.write_all(bytes).unwrap();
}

fn flood() {
    use isopod_module::protocol::{Hello, Limits, PROTOCOL, ToHost, encode};
    let mut hello = bytes::BytesMut::new();
    let registers = ToHost::Hello(Hello {
        protocol: PROTOCOL,
        ..Hello::default()
    });
    encode(&registers, &Payload::Empty, &Limits::default(), &mut hello).unwrap();
    write(&hello);
    let mut frames = bytes::BytesMut::new();
    for request in 0..1000 {
        let message = ToHost::Publish {
            request,
            topic: "child.flood".to_owned(),
            cause: None,
        };
        encode(&message, &Payload::Empty, &Limits::default(), &mut frames).unwrap();
    }
    // Blocks forever once the socket is full.
    loop {
        write(&frames);
    }
}

fn serve(does: Does) {
    let module = Module::connect().unwrap();
    let mut module = module
        .tasks_max(4)
        .threads(2)
        .program("test 1.0")
        .task("add", |_: TaskContext, (a, b): (i64, i64)| async move {
            a.checked_add(b).ok_or("too large")
        })
        .task("steps", |ctx: TaskContext, steps: u32| async move {
            for step in 0..steps {
                ctx.progress(&step).await?;
            }
            ctx.emit("steps", json!({ "of": steps, "locale": ctx.config("locale") }))
                .await?;
            ctx.emit_payload("raw", vec![7_u8; 3]).await?;
            Ok::<_, isopod_module::Error>(ctx.attempt())
        })
        .task("length", |ctx: TaskContext, _: Value| async move {
            let result = ctx.result()?;
            let data = ctx.read(&result).await?;
            let length = data.as_bytes().map_or(0, bytes::Bytes::len);
            ctx.emit("length", length).await?;
            ctx.publish("child.measured", json!(length)).await?;
            Ok::<_, isopod_module::Error>(())
        })
        .chain("results.source", "length")
        .task("exit", |ctx: TaskContext, code: i32| async move {
            if ctx.attempt() == 0 {
                std::process::exit(code);
            }
            Ok::<_, isopod_module::Error>(ctx.attempt())
        })
        .task("pid", |_: TaskContext, (): ()| async move {
            Ok::<_, isopod_module::Error>(std::process::id())
        })
        .task("hang", |ctx: TaskContext, (): ()| async move {
            ctx.progress(&std::process::id()).await?;
            std::future::pending::<Result<(), isopod_module::Error>>().await
        })
        .task("spin", |_: TaskContext, (): ()| async move {
            loop {
                std::thread::park();
            }
            #[expect(unreachable_code, reason = "names the type")]
            Ok::<_, isopod_module::Error>(())
        })
        .task("panic", |_: TaskContext, (): ()| async move {
            if true {
                panic!("on purpose");
            }
            Ok::<_, isopod_module::Error>(())
        })
        .task("forbidden", |ctx: TaskContext, (): ()| async move {
            ctx.publish("other.topic", ()).await
        })
        .task_payload("echo", |ctx: TaskContext| async move {
            Ok::<_, isopod_module::Error>(ctx.payload().clone())
        })
        .on("orders.*", |event: Event| async move {
            event.publish("child.seen", event.payload().clone()).await
        });
    if does == Does::Wrong {
        module = module.chain("results.source", "missing");
    }
    if let Err(error) = module.run() {
        eprintln!("{error}");
        std::process::exit(3);
    }
    std::process::exit(0);
}
