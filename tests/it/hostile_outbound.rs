//! Scripts that try to reach forbidden addresses, observed at those addresses.

use crate::origin::Origin;
use crate::process::until;
use crate::program::{Serving, isopod_with};
use crate::project::Project;

const ASKS: &str = "export default { async fetch(request) {
    try {
        return new Response(await (await fetch(new URL(request.url).searchParams.get('url'))).text());
    } catch (error) {
        return new Response(`${error.name}: ${error.cause ?? error.message}`);
    }
} }";

#[test]
fn network_rules_follow_the_configuration() {
    let (one, two) = (Origin::start(), Origin::start());
    let configuration = |allowed: &Origin| {
        format!(
            "routes = [{{ path = '/open/*', worker = 'open' }}, {{ path = '/shut/*', worker = 'shut' }}]
             [network]\ndeny = ['127.0.0.2']
             [workers.open]\nmain = 'asks.js'
             [workers.open.network]\nallow = ['{}', '127.0.0.2']
             [workers.shut]\nmain = 'asks.js'",
            allowed.address
        )
    };
    let project = Project::new(&[("isopod.toml", &configuration(&one)), ("asks.js", ASKS)]);
    let server = Serving::start_with(project.path(), &["--watch"]);
    let ask = |worker: &str, origin: &Origin| {
        server
            .get(&format!("/{worker}/?url=http://{}/there", origin.address))
            .body
    };
    let refused = "TypeError: address 127.0.0.1 is loopback and not allowed by the network policy of this worker";
    assert_eq!(ask("open", &one), "/there");
    assert_eq!([ask("open", &two), ask("shut", &one), ask("shut", &two)], [refused; 3]);
    let denied = server.get("/open/?url=http://127.0.0.2/").body;
    assert_eq!(
        denied,
        "TypeError: 127.0.0.2 is denied by the network policy of this worker"
    );
    assert_eq!((one.connections(), two.connections()), (1, 0));
    project.write("isopod.toml", &configuration(&two));
    until("the new policy holds", || (ask("open", &two) == "/there").then_some(()));
    assert_eq!(ask("open", &one), refused);
}

#[test]
fn proxies_of_the_environment_are_not_used() {
    let (origin, proxy) = (Origin::start(), Origin::start());
    let project = Project::new(&[(
        "ask.js",
        &format!(
            "console.log(await (await fetch('http://{}/direct')).text())",
            origin.address
        ),
    )]);
    let proxy_url = format!("http://{}", proxy.address);
    let environment =
        ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"].map(|name| (name, &*proxy_url));
    let ended = isopod_with(
        &["run", "--allow-private-network", &project.file("ask.js")],
        &environment,
        "",
    );
    assert_eq!(ended.stdout, "/direct\n", "{}", ended.stderr);
    assert_eq!((origin.requests(), proxy.connections()), (1, 0));
}

#[test]
fn an_event_source_passes_the_guard_as_well() {
    let origin = Origin::start();
    let script = format!(
        "const source = new EventSource('http://{}/');
         await new Promise((resolve) => source.addEventListener('error', resolve));
         source.close();
         console.log('refused');",
        origin.address
    );
    let project = Project::new(&[("listen.js", &script)]);
    let listen = |flags: &[&str]| isopod_with(&[&["run"], flags, &[&project.file("listen.js")]].concat(), &[], "");
    assert_eq!(listen(&[]).stdout, "refused\n");
    assert_eq!(origin.connections(), 0);
    assert_eq!(
        listen(&["--allow-private-network"]).stdout,
        "refused\n",
        "it is no event stream"
    );
    assert_eq!(origin.connections(), 1);
}
