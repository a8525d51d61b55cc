//! Scripts that use up shared resources: stuck threads, and more load than the server has capacity for.

use std::time::{Duration, Instant};

use crate::client::Connection;
use crate::process::within;
use crate::program::Serving;
use crate::project::Project;

/// One thread, so that losing it is noticed. `includes` cannot be interrupted.
fn includes() -> (Serving, Project) {
    let project = Project::new(&[
        (
            "isopod.toml",
            "threads = 1
             routes = [{ path = '/lost', worker = 'lost' }, { path = '/*', worker = 'good' }]
             [pool]
             lost_grace = '200ms'
             [workers.lost]
             main = 'lost.js'
             limits = { cpu = '200ms' }
             [workers.good]
             main = 'good.js'",
        ),
        (
            "lost.js",
            "export default { fetch: () => new Response(`${[].includes.call({ length: 2 ** 53 - 1 }, 1)}`) }",
        ),
        ("good.js", "export default { fetch: () => new Response('good') }"),
    ]);
    (Serving::start(project.path()), project)
}

// row 6
#[test]
fn uninterruptible_code_is_a_504_and_its_thread_is_replaced() {
    let (mut server, _project) = includes();
    let ready = |server: &Serving| {
        Connection::open(server.admin)
            .expect("an admin listener")
            .get("/readyz")
    };
    assert_eq!(server.get("/").body, "good");
    let start = Instant::now();
    let answer = server.get("/lost");
    assert_eq!(answer.verdict(), (504, "exceeded_cpu"), "{}", answer.body);
    // The CPU limit, the grace period, and a margin for a shared machine.
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!(server.get("/").body, "good");
    assert_eq!(server.metric("isopod_threads_lost_total"), 1);
    assert_eq!(server.metric("isopod_threads_stuck"), 1);
    assert_eq!(ready(&server).expect("an answer").status, 200);
    // A second one is too many: a process supervisor should replace the process.
    assert_eq!(server.get("/lost").status, 504);
    let why = within(Duration::from_secs(5), "it says that it is not ready", || {
        ready(&server).ok().filter(|answer| answer.status == 503)
    });
    assert!(why.body.contains("uninterruptible"), "{}", why.body);
    assert!(server.lives());
    // A stuck thread does not keep the process from exiting.
    server.signal("TERM");
    assert_eq!(server.exit_code(), Some(0), "{}", server.log());
}

#[test]
fn loops_past_their_wall_limit_are_answered_in_time() {
    let project = Project::new(&[
        (
            "isopod.toml",
            "threads = 2
             routes = [{ path = '/spin', worker = 'spin' }, { path = '/*', worker = 'good' }]
             [workers.spin]
             main = 'spin.js'
             limits = { wall = '1s' }
             [workers.good]
             main = 'good.js'",
        ),
        (
            "spin.js",
            "export default { fetch() { for (const until = Date.now() + 9000; Date.now() < until;); return new Response('spun') } }",
        ),
        ("good.js", "export default { fetch: () => new Response('good') }"),
    ]);
    let server = Serving::start(project.path());
    assert_eq!(server.get("/").body, "good");
    let start = Instant::now();
    std::thread::scope(|scope| {
        let spins: Vec<_> = (0..5)
            .map(|_| scope.spawn(|| (server.get("/spin"), start.elapsed())))
            .collect();
        within(Duration::from_secs(5), "they are on their way", || {
            (server.metric("isopod_threads_busy") > 0).then_some(())
        });
        assert_eq!(server.get("/").body, "good");
        assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
        for spin in spins {
            let (answer, after) = spin.join().expect("no panic");
            assert_eq!(answer.verdict(), (504, "exceeded_wall"), "{}", answer.body);
            assert!(after < Duration::from_secs(4), "{after:?}");
        }
    });
    assert_eq!(server.metric("isopod_threads_lost_total"), 0);
}

#[test]
fn uncounted_memory_is_released_with_its_worker() {
    let project = Project::new(&[
        (
            "isopod.toml",
            "threads = 1
             routes = [{ path = '/intl', worker = 'intl' }, { path = '/*', worker = 'good' }]
             [workers.intl]
             main = 'intl.js'
             limits = { cpu = '2s' }
             [workers.good]
             main = 'good.js'",
        ),
        (
            "intl.js",
            "export default { fetch() { const all = []; for (;;) all.push(new Intl.DateTimeFormat('en', { dateStyle: 'full' })); } }",
        ),
        ("good.js", "export default { fetch: () => new Response('good') }"),
    ]);
    let server = Serving::start(project.path());
    assert_eq!(server.get("/").body, "good");
    let resident = || server.metric("process_resident_memory_bytes");
    let (before, much) = (resident(), 100 << 20);
    std::thread::scope(|scope| {
        let intl = scope.spawn(|| server.get("/intl"));
        within(Duration::from_secs(60), "it takes much", || {
            (resident() > before + much).then_some(())
        });
        assert!(matches!(intl.join().expect("no panic").status, 500 | 504));
    });
    within(Duration::from_secs(60), "it is given back", || {
        (resident() < before + much).then_some(())
    });
    assert_eq!(server.get("/").body, "good");
    assert_eq!(server.metric("isopod_threads_lost_total"), 0);
}

/// Two threads; workers take one request at a time, for 5 ms.
fn sleepers() -> Project {
    Project::new(&[
        (
            "isopod.toml",
            "threads = 2
             routes = [{ path = '/quiet', worker = 'quiet' }, { path = '/*', worker = 'noisy' }]
             log = { access = false }
             [workers.noisy]
             main = 'sleep.js'
             concurrency = 1
             [workers.quiet]
             main = 'sleep.js'
             concurrency = 1",
        ),
        (
            "sleep.js",
            "export default { fetch: () => new Promise((done) => setTimeout(() => done(new Response('slept')), 5)) }",
        ),
    ])
}

/// The responses that clients received, and their latencies.
#[derive(Default)]
struct Load {
    answers: Vec<Duration>,
    refusals: Vec<Duration>,
}

impl Load {
    /// Runs clients for this long. Each sends its next request after a response, but no sooner than after the pause.
    fn of(server: &Serving, clients: usize, time: Duration, pause: Duration) -> Self {
        let client = |_| {
            let (mut connection, mut told, start) = (server.connect(), Self::default(), Instant::now());
            while start.elapsed() < time {
                let asked = Instant::now();
                let answer = connection.get("/").expect("an answer");
                match answer.status {
                    200 => told.answers.push(asked.elapsed()),
                    429 | 503 => {
                        assert!(answer.header("retry-after").is_some(), "{answer:?}");
                        assert_eq!(answer.header("x-isopod-outcome"), Some("load_shed"), "{answer:?}");
                        told.refusals.push(asked.elapsed());
                    }
                    _ => panic!("{answer:?}"),
                }
                // tidy:allow(sleep): callers with a fixed rate, whatever the responses
                std::thread::sleep(pause.saturating_sub(asked.elapsed()));
            }
            told
        };
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..clients).map(|n| scope.spawn(move || client(n))).collect();
            clients.into_iter().fold(Self::default(), |mut all, client| {
                let told = client.join().expect("a client");
                all.answers.extend(told.answers);
                all.refusals.extend(told.refusals);
                all
            })
        })
    }
}

// row 39
#[test]
#[ignore = "nightly: measures, and wants the machine for itself"]
fn tenfold_overload_keeps_the_goodput() {
    const TIME: Duration = Duration::from_secs(10);
    let project = sleepers();
    let server = Serving::start(project.path());
    let peak = Load::of(&server, 4, TIME, Duration::ZERO);
    // About 4,000 per second, if all were answered immediately.
    let mut over = Load::of(&server, 400, TIME, Duration::from_millis(100));
    over.refusals.sort();
    let p99 = over.refusals.get(over.refusals.len() * 99 / 100).copied();
    eprintln!(
        "{} answers at the peak, {} and {} refusals (p99 {p99:?}) under ten times the load",
        peak.answers.len(),
        over.answers.len(),
        over.refusals.len()
    );
    assert!(over.refusals.len() > over.answers.len(), "that was no overload");
    assert!(over.answers.len() * 10 >= peak.answers.len() * 9);
    assert!(p99.is_some_and(|p99| p99 < Duration::from_millis(500)), "{p99:?}");
}

// row 40
#[test]
fn only_the_noisy_worker_is_refused() {
    let project = sleepers();
    let server = Serving::start(project.path());
    std::thread::scope(|scope| {
        let noise = scope.spawn(|| Load::of(&server, 150, Duration::from_secs(4), Duration::from_millis(10)));
        let mut quiet = server.connect();
        let mut answered = 0;
        while !noise.is_finished() {
            let answer = quiet.get("/quiet").expect("an answer");
            assert_eq!((answer.status, answer.body.as_str()), (200, "slept"));
            answered += 1;
        }
        let noise = noise.join().expect("clients");
        assert!(!noise.refusals.is_empty() && !noise.answers.is_empty());
        assert!(answered > 20, "{answered} answers beside the noise");
    });
}

#[test]
fn a_log_without_a_reader_delays_no_request_and_no_exit() {
    let project = Project::new(&[
        ("isopod.toml", "main = 'good.js'\n[log]\nlines_waiting_max = 10\n"),
        (
            "good.js",
            "export default { fetch() { console.log('x'.repeat(4096)); return new Response('good'); } }",
        ),
    ]);
    let mut server = Serving::start(project.path());
    let unread = server.log_unread();
    let mut client = server.connect();
    within(Duration::from_secs(30), "lines are dropped", || {
        assert_eq!(client.get("/").expect("an answer").body, "good");
        (server.metric("isopod_log_lines_dropped_total") > 10).then_some(())
    });
    server.signal("TERM");
    within(Duration::from_secs(30), "it ends", || {
        Connection::open(server.admin).is_err().then_some(())
    });
    drop(unread);
    assert_eq!(server.exit_code(), Some(0));
}
