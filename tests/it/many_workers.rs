//! More workers than processors: each has a thread for as long as it lives, and waiting ones keep no other from answering.

use std::time::{Duration, Instant};

use isopod::{FetchConfig, NetPolicy, Options, Pool, Script};

use crate::origin::Origin;
use crate::process::{resident_bytes, threads_named, until};
use crate::program::Serving;
use crate::project::Project;

/// A pool with default settings and this many warm workers, which have answered once.
fn warm(prefix: &str, workers: usize) -> Pool {
    let pool = Pool::builder()
        .thread_name(prefix)
        .workers_max(workers + 1)
        .build()
        .expect("a pool");
    for worker in 0..workers {
        let script = Script::builder(format!("w{worker}"))
            .source("let n = 0; export const next = () => ++n;")
            .build()
            .expect("a script");
        let name = format!("w{worker}");
        pool.deploy(name.as_str(), script, &Options::default())
            .expect("a pool that runs");
        assert_eq!(pool.call_blocking::<_, i32>(&name, "next", ()).expect("an answer"), 1);
    }
    pool
}

/// Workers that were never replaced count on.
fn assert_all_warm(pool: &Pool, workers: usize) {
    for worker in 0..workers {
        let next: i32 = pool
            .call_blocking(&format!("w{worker}"), "next", ())
            .expect("an answer");
        assert_eq!(next, 2, "worker {worker} was replaced");
    }
}

#[test]
fn workers_that_need_no_io_have_one_thread_each_and_stay_warm() {
    const WORKERS: usize = 24;
    let pool = warm("warm", WORKERS);
    assert_all_warm(&pool, WORKERS);
    // The supervisor is one more.
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = threads_named("warm");
    assert!(threads <= WORKERS.max(processors) + 1, "{threads} threads");
}

// What events allocated stays in the heap's young generation until something collects it.
#[test]
fn idle_workers_give_back_the_memory_of_their_events() {
    const WORKERS: u64 = 8;
    let pool = Pool::builder()
        .trim_after(Duration::from_millis(100))
        .build()
        .expect("a pool");
    let source = "export const litter = (count) => { const all = []; for (let i = 0; i < count; i++) all.push({ text: 'x' + i }); };";
    let names: Vec<_> = (0..WORKERS).map(|worker| format!("w{worker}")).collect();
    let litter = |count: u32| {
        for name in &names {
            pool.call_blocking::<_, ()>(name, "litter", (count,))
                .expect("an answer");
        }
    };
    for name in &names {
        let script = Script::builder(name.as_str()).source(source).build().expect("a script");
        pool.deploy(name.as_str(), script, &Options::default())
            .expect("a pool that runs");
    }
    litter(1);
    let pid = std::process::id();
    let before = resident_bytes(pid);
    litter(200_000);
    until("what they allocated is given back", || {
        (resident_bytes(pid) < before + WORKERS * (4 << 20)).then_some(())
    });
}

#[test]
fn a_thread_whose_worker_is_idle_ends_its_io_and_starts_it_again() {
    let origin = Origin::start();
    let pool = Pool::builder()
        .thread_name("ends-io")
        .trim_after(Duration::from_millis(100))
        .io_idle_timeout(Duration::from_millis(200))
        .build()
        .expect("a pool");
    let source = "let n = 0;
                  export const get = async (url) => { await (await fetch(url)).text(); return ++n; };";
    let policy = NetPolicy::default().allow_private(true);
    let script = Script::builder("s")
        .source(source)
        .fetch(FetchConfig::default().policy(policy))
        .build()
        .expect("a script");
    pool.deploy("s", script, &Options::default()).expect("a pool that runs");
    let io_threads = || {
        (0..8)
            .map(|thread| threads_named(&format!("ends-io-{thread}-io")))
            .sum::<usize>()
    };
    for n in 1..4 {
        let url = format!("http://{}/", origin.address);
        let count: usize = pool.call_blocking("s", "get", (url,)).expect("an answer");
        // The worker stays.
        assert_eq!((count, origin.connections()), (n, n));
        until("its connections and their threads have ended", || {
            (origin.left() == n && io_threads() == 0).then_some(())
        });
    }
}

#[test]
#[ignore = "nightly: takes minutes, and GiBs of memory"]
fn a_thousand_workers_stay_warm() {
    const WORKERS: usize = 1000;
    let pid = std::process::id();
    let few = warm("few", 1);
    let before = resident_bytes(pid);
    let pool = warm("thousand", WORKERS);
    assert_all_warm(&pool, WORKERS);
    let (each, threads) = (
        (resident_bytes(pid) - before) / WORKERS as u64,
        threads_named("thousand"),
    );
    eprintln!("{} KiB for each further worker, {threads} threads", each / 1024);
    assert!(threads * 2 <= WORKERS * 3, "{threads} threads");
    assert!(each <= 4 << 20, "{} KiB", each / 1024);
    drop((few, pool));
}

/// Lets `clients` send a request to each of the waiting workers without reading the answer, and measures the latency of
/// another worker.
fn beside(waiting: &str, reads_heads: bool) {
    const WORKERS: usize = 6;
    const CLIENTS: usize = 10;
    let workers: String = (0..WORKERS)
        .map(|worker| {
            format!("[workers.w{worker}]\nmain = 'waits.js'\n[[routes]]\npath = '/w{worker}'\nworker = 'w{worker}'\n")
        })
        .collect();
    let origin = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = origin.local_addr().expect("an address");
    let project = Project::new(&[
        (
            "isopod.toml",
            &format!(
                "network = {{ allow = ['{address}'] }}\n[workers.good]\nmain = 'good.js'\n[[routes]]\npath = '/*'\nworker = 'good'\n{workers}"
            ),
        ),
        ("waits.js", &waiting.replace("ORIGIN", &address.to_string())),
        ("good.js", "export default { fetch: () => new Response('good') }"),
    ]);
    let server = Serving::start(project.path());
    let clients: Vec<_> = (0..WORKERS * CLIENTS)
        .map(|client| {
            let mut connection = server.connect();
            let path = format!("/w{}", client % WORKERS);
            let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
            std::io::Write::write_all(connection.stream.get_mut(), request.as_bytes()).expect("a request");
            if reads_heads {
                connection.read_head().expect("a head");
            }
            connection
        })
        .collect();
    until("all of them run", || {
        let running: u64 = (0..WORKERS)
            .map(|worker| server.metric(&format!("isopod_events_in_flight{{worker=\"w{worker}\"}}")))
            .sum();
        (running >= (WORKERS * CLIENTS) as u64).then_some(())
    });
    let mut times: Vec<_> = (0..200)
        .map(|_| {
            let asked = Instant::now();
            assert_eq!(server.get("/").verdict(), (200, "ok"));
            asked.elapsed()
        })
        .collect();
    times.sort();
    eprintln!(
        "p50 {:?}, p99 {:?} beside {} that wait",
        times[100],
        times[198],
        WORKERS * CLIENTS
    );
    assert!(times[198] < Duration::from_millis(500), "{:?}", times[198]);
    drop((clients, origin));
}

// row 44
#[test]
#[ignore = "nightly: measures, and wants the machine for itself"]
fn waits_for_timers_do_not_block_other_workers() {
    let script = "export default { fetch: () => new Promise((ok) => setTimeout(() => ok(new Response()), 25_000)) }";
    beside(script, false);
}

// row 44
#[test]
#[ignore = "nightly: measures, and wants the machine for itself"]
fn waits_for_slow_origins_do_not_block_other_workers() {
    beside("export default { fetch: () => fetch('http://ORIGIN/') }", false);
}

// row 44
#[test]
#[ignore = "nightly: measures, and wants the machine for itself"]
fn slow_readers_do_not_block_other_workers() {
    let script = "const chunk = new Uint8Array(1 << 16);
         const pull = (controller) => controller.enqueue(chunk.slice());
         export default { fetch: () => new Response(new ReadableStream({ pull })) }";
    beside(script, true);
}

// row 44
#[test]
#[ignore = "nightly: measures, and wants the machine for itself"]
fn long_streams_do_not_block_other_workers() {
    let script = "const pull = async (controller) => {
             await new Promise((ok) => setTimeout(ok, 500));
             controller.enqueue(new TextEncoder().encode('tick\\n'));
         };
         export default { fetch: () => new Response(new ReadableStream({ pull })) }";
    beside(script, true);
}
