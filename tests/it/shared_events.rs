//! Workers of several processes exchange messages over NATS.

use serde_json::{Value as Json, json};

use crate::nats::Nats;
use crate::process::until;
use crate::program::Serving;
use crate::project::Project;

const WORKER: &str = "const seen = [];
    export default {
        async fetch(request, env) {
            const url = new URL(request.url);
            if (url.pathname === '/publish') {
                env.EVENTS.publish('orders.created', new Map([['name', url.searchParams.get('name')]]));
            }
            return Response.json(seen);
        },
        message({ topic, source, data }, env) {
            seen.push([topic, source, data.get('name')]);
            if (topic === 'orders.created' && data.get('name') === env.REACTS) {
                env.EVENTS.publish('orders.paid', data);
            }
        },
    };";

/// A folder of its own, as on another machine, whose worker reacts to the message of this name.
fn project(nats: &str, reacts: &str) -> Project {
    let configuration = format!(
        "name = 'shop'
        main = 'worker.js'
        events = {{ publish = ['orders.*'], subscribe = ['orders.*'] }}
        vars = {{ REACTS = '{reacts}' }}
        storage.events = '{nats}'"
    );
    Project::new(&[("isopod.toml", &configuration), ("worker.js", WORKER)])
}

/// The messages that the worker of a process has received, in any order.
fn seen(process: &Serving) -> Vec<Json> {
    let mut seen: Vec<Json> = serde_json::from_str(&process.get("/").body).expect("JSON");
    seen.sort_by_key(ToString::to_string);
    seen
}

#[test]
fn a_message_reaches_the_workers_of_all_processes_once() {
    let nats = Nats::start();
    let projects = [
        project(&nats.url(), "a"),
        project(&nats.url(), "b"),
        project("local", "a"),
    ];
    let [one, two, apart] = projects.each_ref().map(|project| Serving::start(project.path()));
    for (process, name) in [(&one, "a"), (&two, "b")] {
        assert_eq!(process.get(&format!("/publish?name={name}")).status, 200);
    }
    let message = |topic: &str, name: &str| json!([topic, "shop", name]);
    let all = [
        message("orders.created", "a"),
        message("orders.created", "b"),
        message("orders.paid", "a"),
        message("orders.paid", "b"),
    ];
    until("all messages have come", || {
        (seen(&one).len() == 4 && seen(&two).len() == 4).then_some(())
    });

    // The link is there again after the server was gone.
    nats.crash();
    nats.run();
    let mut names = 0;
    until("a message has come after the crash", || {
        names += 1;
        one.get(&format!("/publish?name=after-{names}"));
        (seen(&two).len() > 4).then_some(())
    });
    let of_both = [seen(&one), seen(&two)];
    for of_one in &of_both {
        let before: Vec<_> = of_one.iter().filter(|one| !one.to_string().contains("after")).collect();
        assert_eq!(before, all.iter().collect::<Vec<_>>(), "each once");
    }
    assert_eq!(seen(&apart), Vec::<Json>::new(), "it is not linked");
}
