use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use isopod_ext::fetch::{FetchConfig, NetPolicy};
use isopod_ext::io::{Bound, Io, IoError, IoOptions};

use crate::common::run;
use crate::common::server::Server;

/// Waits for a condition.
fn eventually(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "the condition never came true");
        // tidy:allow(sleep): the pause between checks of the condition.
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn connections_survive_from_worker_to_worker_on_every_thread() {
    const THREADS: usize = 16;
    const WORKERS: usize = 4;
    let server = Server::start();
    // V8 requires its threads to descend from the one that initialized it.
    deno_core::JsRuntime::init_platform(None);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let io = Rc::new(Io::start(IoOptions::default()).unwrap());
                let policy = Arc::new(NetPolicy::default().allow_private(true));
                for _ in 0..WORKERS {
                    let config = FetchConfig::default().policy(policy.clone());
                    let script = format!(
                        "for (let i = 0; i < 5; i++) if (await (await fetch('{}')).text() !== 'hello') return 'wrong'; return 'done'",
                        server.url("/")
                    );
                    assert_eq!(run(&io, |state| state.put(config), &script), "done");
                }
            });
        }
    });
    assert_eq!(
        server.accepted(),
        THREADS,
        "one connection a thread, whichever worker asks"
    );
}

#[test]
fn a_dropped_wait_aborts_its_task_and_a_panic_is_an_error() {
    struct Flag(Arc<std::sync::atomic::AtomicBool>);
    impl Drop for Flag {
        fn drop(&mut self) {
            self.0.store(true, std::sync::atomic::Ordering::SeqCst);
        }
    }
    let io = Io::start(IoOptions::default()).unwrap();
    let client = io.bound(());
    let dropped = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let flag = Flag(dropped.clone());
    drop(client.run(|()| async move {
        let _flag = flag;
        std::future::pending::<()>().await;
    }));
    eventually(|| dropped.load(std::sync::atomic::Ordering::SeqCst));
    let panicked = futures::executor::block_on(client.run(|()| async { panic!("inside") }));
    assert_eq!(panicked.map(|(): ()| ()), Err(IoError::Panicked("inside".to_owned())));
}

#[test]
fn a_client_is_dropped_before_its_runtime() {
    struct Client(Rc<Cell<bool>>);
    impl Drop for Client {
        fn drop(&mut self) {
            // Shows that the runtime is still there to close sockets on.
            self.0.set(tokio::runtime::Handle::try_current().is_ok());
        }
    }
    let closed = Rc::new(Cell::new(false));
    let io = Io::start(IoOptions::default()).unwrap();
    let kept = io.client(&1, |_| Ok::<_, ()>(Rc::new(Client(closed.clone())))).unwrap();
    drop(kept);
    let bound = io.bound(());
    assert!(!closed.get());
    drop(io);
    assert!(closed.get());
    assert_eq!(
        futures::executor::block_on(bound.run(|()| async { 1 })),
        Err(IoError::Stopped)
    );
}

#[test]
fn an_io_runtime_is_dropped_inside_asynchronous_code() {
    let event_loop = tokio::runtime::Builder::new_current_thread().build().unwrap();
    event_loop.block_on(async {
        let io = Io::start(IoOptions::default()).unwrap();
        let work = io.bound(()).run(|()| async { 7 });
        assert_eq!(work.await, Ok(7));
        drop(io);
    });
}

/// The threads of this process with this name.
fn threads_named(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux").flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|found| found.trim() == name).count()
}

#[test]
fn a_runtime_that_was_stopped_starts_again_with_new_clients() {
    let io = Io::new(IoOptions::default().name("io-again"));
    let client = || io.client(&1, |_| Ok::<_, ()>(Arc::new(40))).unwrap();
    let answer = |client: &Bound<Arc<i32>>| futures::executor::block_on(client.run(|n| async move { *n + 2 }));
    let old = client();
    assert_eq!(answer(&old), Ok(42));
    io.stop();
    assert!(!io.is_started());
    eventually(|| threads_named("io-again") == 0);
    assert_eq!(answer(&old), Err(IoError::Stopped));
    assert_eq!(answer(&client()), Ok(42));
    eventually(|| threads_named("io-again") == 2);
}

#[test]
fn a_runtime_starts_at_its_first_use() {
    let io = Io::new(IoOptions::default().name("io-at-first"));
    assert!(!io.is_started());
    assert_eq!(threads_named("io-at-first"), 0);
    let client = io.client(&1, |_| Ok::<_, ()>(40)).unwrap();
    assert_eq!(
        futures::executor::block_on(client.run(|n| async move { n + 2 })),
        Ok(42)
    );
    assert!(io.is_started());
    eventually(|| threads_named("io-at-first") == 2);
    drop(io);
    eventually(|| threads_named("io-at-first") == 0);
    // A runtime that was never used has no threads to end.
    drop(Io::new(IoOptions::default()));
}

#[test]
fn clients_of_an_event_loop_run_on_its_thread_and_end_with_their_owner() {
    let client = Rc::new(());
    let event_loop = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    event_loop.block_on(async {
        let io = Io::of_event_loop();
        let own = io.client(&1, |_| Ok::<_, std::convert::Infallible>(7)).unwrap();
        let ran_on = own
            .run(|seven| async move { (seven, std::thread::current().id()) })
            .await
            .unwrap();
        assert_eq!(ran_on, (7, std::thread::current().id()));
        assert!(!io.is_started());
        let panicked = own.run(|_| async { panic!("a bug") }).await;
        assert_eq!(panicked, Err::<(), _>(IoError::Panicked("a bug".to_owned())));
        drop(io.client(&2, |_| Ok::<_, std::convert::Infallible>(Held(client.clone()))));
        assert_eq!(Rc::strong_count(&client), 2);
        drop(io);
        assert_eq!(Rc::strong_count(&client), 1);
    });
}

/// A client that counts its copies.
#[derive(Clone)]
struct Held(#[expect(dead_code, reason = "it is counted")] Rc<()>);
