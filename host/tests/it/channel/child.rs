//! The other side: the same test program, started as a module's process. Its configuration selects the behavior.

use std::io::{Read, Write};
use std::os::fd::AsFd;

use bytes::BytesMut;
use isopod_module::protocol::{Frame, Hello, Limits, PROTOCOL, ToHost, ToModule, decode, encode};
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
    /// Attaches shared memory that it was not offered.
    Unoffered,
    /// Serves `echo` as a program without shared memory.
    Plain,
    /// Announces a body in shared memory that it has not sent.
    #[cfg(feature = "shared-memory")]
    Lies,
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
        Does::Unoffered => write(&[hello(None), frame(&ToHost::Attached {}, &Payload::Empty)].concat()),
        Does::Plain => plain(),
        #[cfg(feature = "shared-memory")]
        Does::Lies => lie(),
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

fn frame(message: &ToHost, body: &Payload) -> BytesMut {
    let mut frame = BytesMut::new();
    encode(message, body, &Limits::default(), &mut frame).unwrap();
    frame
}

fn hello(shared_memory: Option<&str>) -> BytesMut {
    let hello = ToHost::Hello(Hello {
        protocol: PROTOCOL,
        tasks: vec!["echo".to_owned()],
        shared_memory: shared_memory.map(str::to_owned),
        ..Hello::default()
    });
    frame(&hello, &Payload::Empty)
}

/// Reads the next frame of the host.
fn read(input: &mut BytesMut) -> Frame<ToModule> {
    let channel = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let mut channel = std::fs::File::from(channel);
    loop {
        if let Some(frame) = decode(input, &Limits::default()).unwrap() {
            return frame;
        }
        let mut part = [0; 4096];
        let count = channel.read(&mut part).unwrap();
        assert!(count > 0, "the host is gone");
        input.extend_from_slice(&part[..count]);
    }
}

fn plain() {
    write(&hello(None));
    let mut input = BytesMut::new();
    let ToModule::Welcome(welcome) = read(&mut input).message else {
        panic!("no welcome")
    };
    assert_eq!(welcome.shared_memory, None);
    loop {
        let frame_in = read(&mut input);
        match frame_in.message {
            ToModule::Task { task, .. } => write(&frame(&ToHost::End { task, error: None }, &frame_in.body)),
            ToModule::Ping { ping } => write(&frame(&ToHost::Pong { ping }, &Payload::Empty)),
            ToModule::Shutdown { .. } => std::process::exit(0),
            _ => {}
        }
    }
}

#[cfg(feature = "shared-memory")]
fn lie() {
    use isopod_module::protocol::Parts;
    use isopod_module::shared::{End, LIBRARY};

    write(&hello(LIBRARY));
    let ToModule::Welcome(welcome) = read(&mut BytesMut::new()).message else {
        panic!("no welcome")
    };
    let end = End::open(&welcome.shared_memory.unwrap()).unwrap();
    write(&frame(&ToHost::Attached {}, &Payload::Empty));
    let message = ToHost::Publish {
        request: 1,
        topic: "child.lie".to_owned(),
        cause: None,
    };
    let mut announced = BytesMut::new();
    let parts = Parts::without_body(&message, 100_000, &Limits::default()).unwrap();
    parts.put_shared(&mut announced);
    write(&announced);
    // Until it is killed.
    std::thread::park();
    drop(end);
}

fn flood() {
    write(&hello(None));
    let mut frames = BytesMut::new();
    for request in 0..1000 {
        let message = ToHost::Publish {
            request,
            topic: "child.flood".to_owned(),
            cause: None,
        };
        frames.extend_from_slice(&frame(&message, &Payload::Empty));
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
        .task("results", |ctx: TaskContext, sizes: Vec<usize>| async move {
            for (n, size) in sizes.into_iter().enumerate() {
                ctx.progress(&n).await?;
                ctx.emit_payload("copied", vec![n as u8; size]).await?;
            }
            Ok::<_, isopod_module::Error>(())
        })
        .task("written", |ctx: TaskContext, size: usize| async move {
            let mut buffer = ctx.buffer(size).await;
            buffer.fill(9);
            let is_shared = buffer.is_shared();
            ctx.emit_buffer("written", buffer).await?;
            Ok::<_, isopod_module::Error>(is_shared)
        })
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
