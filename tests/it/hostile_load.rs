//! Scripts that take what others need: threads that do not come back, and more load than there is room for.

use std::time::{Duration, Instant};

use crate::client::Connection;
use crate::process::within;
use crate::program::Serving;
use crate::project::Project;

/// One thread, so that a lost one is missed at once. `includes` is what nothing in the process can interrupt.
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
             limits = { wall = '300ms' }
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
fn what_cannot_be_interrupted_is_a_504_and_another_thread_serves_the_others() {
    let (mut server, _project) = includes();
    let ready = |server: &Serving| {
        Connection::open(server.admin)
            .expect("an admin listener")
            .get("/readyz")
    };
    assert_eq!(server.get("/").body, "good");
    let start = Instant::now();
    let answer = server.get("/lost");
    assert_eq!(answer.status, 504, "{}", answer.body);
    // The limit, the grace, and time for a machine that is shared.
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!(server.get("/").body, "good");
    assert_eq!(server.metric("isopod_threads_lost_total"), 1);
    assert_eq!(server.metric("isopod_threads_stuck"), 1);
    assert_eq!(ready(&server).expect("an answer").status, 200);
    // A second one is one too many: who watches the process is to replace it.
    assert_eq!(server.get("/lost").status, 504);
    let why = within(Duration::from_secs(5), "it says that it is not ready", || {
        ready(&server).ok().filter(|answer| answer.status == 503)
    });
    assert!(why.body.contains("does not come back"), "{}", why.body);
    assert!(server.lives());
    // What does not come back does not keep the process from ending.
    server.signal("TERM");
    assert_eq!(server.exit_code(), Some(0), "{}", server.log());
}
