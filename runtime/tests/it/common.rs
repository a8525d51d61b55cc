//! A worker on its own thread, driven as by a host.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use futures::channel::oneshot;
use http_body_util::BodyExt;
use isopod_runtime::handlers::{Body, Event, EventKind, Fault, RequestInfo};
use isopod_runtime::io::IoOptions;
use isopod_runtime::values::IntoArguments;
use isopod_runtime::{
    BootOptions, OsScheduling, Script, ScriptBuilder, Watchdog, Worker, WorkerTemplate, WorkerThread, platform,
};
use serde_json::Value;

/// Runs `body` on a worker thread, inside a fresh event loop and `LocalSet`, and returns its result.
pub(crate) fn on_worker_thread<T, F, Fut>(body: F) -> T
where
    T: Send + 'static,
    F: FnOnce(WorkerThread) -> Fut + Send + 'static,
    Fut: Future<Output = T>,
{
    let (done, result) = std::sync::mpsc::sync_channel(1);
    let thread = platform::spawn(
        "worker-test".into(),
        Box::new(move || {
            let watchdog = Arc::new(Watchdog::start(OsScheduling::default()).unwrap());
            let thread = WorkerThread::new(IoOptions::default(), watchdog);
            let event_loop = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let local = tokio::task::LocalSet::new();
            done.send(event_loop.block_on(local.run_until(body(thread)))).unwrap();
        }),
    )
    .unwrap();
    let result = result.recv();
    thread.join().unwrap();
    result.unwrap()
}

/// Drives a worker until `ready` returns something.
pub(crate) async fn drive<T>(worker: &mut Worker, mut ready: impl FnMut() -> Option<T>) -> T {
    poll_fn(|cx| {
        loop {
            if let Some(value) = ready() {
                return Poll::Ready(value);
            }
            match worker.poll(cx) {
                Poll::Ready(_) => {}
                Poll::Pending => return ready().map_or(Poll::Pending, Poll::Ready),
            }
        }
    })
    .await
}

pub(crate) fn script(source: &str) -> ScriptBuilder {
    Script::builder("test").source(source)
}

pub(crate) fn fetch_event(
    request: http::Request<Body>,
    reply: isopod_runtime::handlers::Reply<http::Response<Body>>,
) -> Event {
    Event {
        entrypoint: None,
        kind: EventKind::Fetch {
            request: Box::new(request),
            info: RequestInfo::default(),
            reply,
        },
    }
}

pub(crate) fn get(path: &str) -> http::Request<Body> {
    http::Request::get(format!("http://example.com{path}"))
        .body(Body::empty())
        .unwrap()
}

/// Boots a script, and answers one request with it.
pub(crate) fn answer(
    script: ScriptBuilder,
    make: impl FnOnce(isopod_runtime::handlers::Reply<http::Response<Body>>) -> Event + Send + 'static,
) -> Result<http::Response<Body>, Fault> {
    let script = Arc::new(script.build().unwrap());
    on_worker_thread(move |thread| async move {
        let mut worker = Worker::boot(&thread, &script, BootOptions::default()).await?;
        let (reply, mut answer) = oneshot::channel();
        worker.begin(make(reply));
        drive(&mut worker, || answer.try_recv().ok().flatten()).await
    })
}

/// Fetches from a script, and reads the whole response. Streams are read while the worker is driven.
pub(crate) fn fetch(
    script: ScriptBuilder,
    request: http::Request<Body>,
) -> Result<(http::response::Parts, String), Fault> {
    let script = Arc::new(script.build().unwrap());
    on_worker_thread(move |thread| async move {
        let mut worker = Worker::boot(&thread, &script, BootOptions::default()).await?;
        let (reply, answer) = oneshot::channel();
        worker.begin(fetch_event(request, reply));
        let read = async {
            let response = answer.await.unwrap()?;
            let (head, body) = response.into_parts();
            let bytes = body.collect().await.unwrap().to_bytes();
            Ok((head, String::from_utf8(bytes.to_vec()).unwrap()))
        };
        tokio::select! {
            biased;
            answer = read => answer,
            () = drive(&mut worker, || None::<()>) => unreachable!(),
        }
    })
}

/// Calls a function of a script.
pub(crate) fn call(script: ScriptBuilder, function: &str, arguments: Vec<Value>) -> Result<Value, Fault> {
    call_with(Arc::new(script.build().unwrap()), function, arguments)
}

/// Calls a function of a script without arguments, in a worker of its own.
pub(crate) fn call_shared(script: &Arc<Script>, function: &str) -> Result<Value, Fault> {
    call_with(script.clone(), function, Vec::new())
}

fn call_with(script: Arc<Script>, function: &str, arguments: Vec<Value>) -> Result<Value, Fault> {
    let function = function.to_owned();
    on_worker_thread(move |thread| async move {
        let mut worker = Worker::boot(&thread, &script, BootOptions::default()).await?;
        let (reply, mut answer) = isopod_runtime::values::answer();
        worker.begin(Event {
            entrypoint: None,
            kind: EventKind::Call {
                function,
                arguments: arguments.into_arguments(),
                reply,
            },
        });
        drive(&mut worker, || answer.try_recv().ok().flatten()).await
    })
}

/// Calls a function of a script twice in one worker, and returns both results.
pub(crate) fn twice_on(template: WorkerTemplate, script: ScriptBuilder, function: &str) -> [Value; 2] {
    let script = Arc::new(script.build().unwrap());
    let function = function.to_owned();
    on_worker_thread(move |thread| async move {
        let thread = thread.with_template(template);
        let mut worker = Worker::boot(&thread, &script, BootOptions::default()).await.unwrap();
        let mut given = [Value::Null, Value::Null];
        for place in &mut given {
            let (reply, mut answer) = isopod_runtime::values::answer();
            worker.begin(Event {
                entrypoint: None,
                kind: EventKind::Call {
                    function: function.clone(),
                    arguments: ().into_arguments(),
                    reply,
                },
            });
            *place = drive(&mut worker, || answer.try_recv().ok().flatten()).await.unwrap();
        }
        given
    })
}
