//! Hostile scripts through the public API: a pool as a supervised module of a host, next to a well-behaved script.

use std::sync::Arc;
use std::time::Duration;

use futures::executor::block_on;
use http_body_util::BodyExt;
use isopod::host::supervise::{RunError, RunOptions, Supervisor};
use isopod::host::{CancellationToken, Cause, Host, PoolModule, Running, Shutdown};
use isopod::{Body, Failure, Limits, Meta, Options, Outcome, Pool, Script};

use crate::bus::runtime;
use crate::hostile_host::panics_when_read;
use crate::process::until;

/// Misbehaviors by name, and the outcome of each.
const MISDEEDS: &[(&str, Outcome)] = &[
    ("loop", Outcome::ExceededCpu),
    ("microtasks", Outcome::ExceededCpu),
    ("sort", Outcome::ExceededCpu),
    ("regexp", Outcome::ExceededCpu),
    ("heap", Outcome::ExceededMemory),
    ("recursion", Outcome::Exception),
    ("never", Outcome::Exception),
    // Last, because its timer keeps running.
    ("late", Outcome::ExceededWall),
];

const HOSTILE: &str = "
    export function loop() { for (;;); }
    export function microtasks() { const again = () => { Promise.resolve().then(again); }; again(); return new Promise(() => {}); }
    export function sort() { [1, 2, 3].sort(() => { for (;;); }); }
    export function regexp() { return /(a+)+b/.test('a'.repeat(64)); }
    export function heap() { const all = []; for (;;) all.push(new Array(10_000).fill(1.5)); }
    export function recursion() { return recursion() + 1; }
    export const late = () => new Promise((done) => setTimeout(done, 60_000));
    export const never = () => new Promise(() => {});
    export default { fetch: async (request) => new Response(await request.text()) };
";

struct Hosted {
    pool: Arc<Pool>,
    running: Option<Running>,
}

impl Hosted {
    fn start(shutdown: Shutdown) -> Self {
        let limits = Limits::default().cpu(Duration::from_secs(2));
        let hostile = Script::builder("hostile").source(HOSTILE).limits(limits);
        let good = Script::builder("good").source(
            "export const add = (a, b) => a + b;
             export const slow = () => new Promise((done) => setTimeout(() => done('slow'), 200));",
        );
        let pool = PoolModule::with("pool", |ctx| {
            Pool::builder().threads(2).on(ctx.bus().observer()).build()
        })
        .script("good", good.build().expect("a script"), Options::default())
        .script(
            "hostile",
            hostile.build().expect("a script"),
            Options::default().wall_timeout(Duration::from_secs(20)).workers_max(1),
        );
        let host = Host::builder().module(pool).shutdown(shutdown).build().expect("a host");
        let running = host.start_blocking().expect("ready");
        Self {
            pool: running.hub().get::<Pool>().expect("registered"),
            running: Some(running),
        }
    }

    fn good(&self) -> Result<u32, Failure> {
        block_on(self.pool.call("good", "add", (40, 2)))
    }

    fn stops_clean(mut self) {
        let running = self.running.take().expect("running");
        let report = running.stop_blocking().expect("stopped");
        assert!(report.is_clean(), "{report}");
    }
}

#[test]
fn hostile_scripts_in_a_hosted_pool_do_not_affect_others() {
    let hosted = Hosted::start(Shutdown::default());
    for (misdeed, outcome) in MISDEEDS {
        let meta = Meta::default()
            // Far above the CPU limit: only the machine is slow.
            .deadline(
                (*outcome == Outcome::ExceededWall).then(|| std::time::Instant::now() + Duration::from_millis(100)),
            );
        let failed = std::thread::scope(|scope| {
            let call = scope.spawn(|| block_on(hosted.pool.call_with::<_, ()>("hostile", misdeed, (), meta)));
            assert_eq!(hosted.good(), Ok(42));
            while !call.is_finished() {
                assert_eq!(hosted.good(), Ok(42), "beside {misdeed}");
            }
            call.join().expect("no panic").expect_err("no answer")
        });
        assert_eq!(failed.outcome, *outcome, "{misdeed}: {failed:?}");
    }
    // An answer arrives shortly before its event ends.
    until("all events have ended", || {
        (hosted.pool.stats().open == 0).then_some(())
    });
    let stats = hosted.pool.stats();
    let outcomes = &stats.scripts["hostile"].outcomes;
    assert_eq!(outcomes.values().sum::<u64>(), MISDEEDS.len() as u64, "{outcomes:?}");
    assert_eq!((stats.open, stats.threads.lost), (0, 0));
    hosted.stops_clean();
}

// row 22
#[test]
fn panics_in_a_hosted_pool_are_isolated() {
    let hosted = Hosted::start(Shutdown::default());
    let failed = block_on(hosted.pool.fetch("hostile", panics_when_read(), Meta::default()));
    assert_eq!(failed.expect_err("no response").outcome, Outcome::Exception);
    let failed = hosted
        .pool
        .native::<(), _>("native", Meta::default(), async |_| panic!("outside of V8"));
    assert_eq!(failed.wait().expect_err("no value").outcome, Outcome::Exception);
    assert_eq!(hosted.good(), Ok(42));
    let echo = http::Request::post("http://localhost/")
        .body(Body::from("again"))
        .expect("a request");
    let echoed = block_on(async {
        let response = hosted
            .pool
            .fetch("hostile", echo, Meta::default())
            .await
            .expect("a response");
        response.into_body().collect().await.expect("a body").to_bytes()
    });
    assert_eq!(echoed, "again");
    hosted.stops_clean();
}

#[test]
fn cpu_and_wall_limits_are_distinguished() {
    let hosted = Hosted::start(Shutdown::default());
    let runtime = runtime();
    let supervisor = Supervisor::builder(runtime.handle().clone()).build();
    let task = |function: &'static str| {
        let pool = Arc::clone(&hosted.pool);
        async move { pool.call::<_, ()>("hostile", function, ()).await }
    };
    let patient = RunOptions::default().timeout(Duration::from_secs(30));
    let burned = block_on(supervisor.run_with(patient, "hostile", task("loop"))).expect_err("it loops");
    assert_eq!(
        burned.failure().map(|failure| failure.outcome),
        Some(Outcome::ExceededCpu)
    );
    let hasty = RunOptions::default().timeout(Duration::from_millis(50));
    let late = block_on(supervisor.run_with(hasty, "hostile", task("late")));
    assert!(matches!(late, Err(RunError::TimedOut { .. })), "{late:?}");
    until("the late one is canceled", || {
        (hosted.pool.stats().open == 0).then_some(())
    });
    assert_eq!(hosted.good(), Ok(42));
    hosted.stops_clean();
}

#[test]
fn a_stop_under_load_finishes_accepted_requests() {
    let token = CancellationToken::new();
    let mut hosted = Hosted::start(Shutdown::token(token.clone()));
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let pool = Arc::clone(&hosted.pool);
            std::thread::spawn(move || block_on(pool.call::<_, String>("good", "slow", ())))
        })
        .collect();
    until("all are accepted", || (hosted.pool.stats().open == 20).then_some(()));
    token.cancel();
    until("it drains", || hosted.good().is_err().then_some(()));
    for call in calls {
        assert_eq!(call.join().expect("no panic").as_deref(), Ok("slow"));
    }
    assert_eq!(hosted.good().expect_err("it is closed").outcome, Outcome::LoadShed);
    let report = hosted
        .running
        .take()
        .expect("running")
        .wait_blocking()
        .expect("stopped");
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.cause, Cause::Token);
}
