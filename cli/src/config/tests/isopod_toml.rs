use std::path::PathBuf;
use std::time::Duration;

use super::*;

#[test]
fn a_port_listens_on_loopback_and_with_a_colon_on_every_address() {
    let shown = |text: &str| text.parse::<Listen>().map(|listen| listen.to_string());
    assert_eq!(shown("8080").as_deref(), Ok("127.0.0.1:8080"));
    assert_eq!(shown(":8080").as_deref(), Ok("0.0.0.0:8080"));
    for wrong in ["", ":", "+80", ":+80", "65536", "8080:", "::1:"] {
        assert!(shown(wrong).is_err_and(|error| error.contains("8787")), "{wrong:?}");
    }
}

#[test]
fn a_file_with_only_main_uses_all_defaults() {
    let project = Project::isopod("main = 'a.ts'");
    let config = project.config();
    let worker = &config.workers["main"];
    assert_eq!(worker.main, project.path().join("a.ts"));
    assert_eq!(
        (worker.policy, worker.concurrency, worker.limits.memory),
        (Policy::PerWorker, 64, 128 << 20)
    );
    assert_eq!(config.listen, ["127.0.0.1:8787".parse().unwrap()]);
    assert_eq!(
        config.routes,
        [Route {
            pattern: RoutePattern::everything(),
            worker: "main".into()
        }]
    );
    assert_eq!(
        (config.threads, config.mode, config.log.access),
        (None, Mode::Development, true)
    );
    assert_eq!(config.notes, []);
}

#[test]
fn durations_sizes_and_addresses_are_read_with_their_units() {
    let config = Project::isopod(
        "main = 'a.ts'\nlisten = ['[::]:80', 'unix:s.sock', 'localhost:1']\nmode = 'production'\n\
         [limits]\nwall = '150ms'\ncpu = '1m 30s'\nmemory = '16 MiB'\n\
         [ingress]\nbody_bytes_max = 4096\n[recycle]\nage = '1h'\nmemory = '1MiB'\n\
         [sessions]\nmax = 20\ngrace = '2s'",
    );
    let root = config.path().to_owned();
    let config = config.config();
    let worker = &config.workers["main"];
    assert_eq!(
        (worker.limits.wall, worker.limits.cpu),
        (Duration::from_millis(150), Duration::from_secs(90))
    );
    assert_eq!(worker.limits.memory, 16 << 20);
    assert_eq!(
        (worker.recycle.age, worker.recycle.memory),
        (Some(Duration::from_secs(3600)), Some(1 << 20))
    );
    let sessions = &worker.sessions;
    assert_eq!(
        (sessions.max, sessions.grace, sessions.per_worker),
        (20, Duration::from_secs(2), 5_000)
    );
    assert_eq!(config.ingress.body_bytes_max, 4096);
    let listen = [
        Listen::Tcp("[::]:80".parse().unwrap()),
        Listen::Unix(root.join("s.sock")),
    ];
    assert_eq!(config.listen[..2], listen);
    assert_eq!(config.listen[2].to_string(), "127.0.0.1:1");
    assert_eq!(config.mode, Mode::Production);
}

#[test]
fn several_workers_are_reached_by_their_routes() {
    let config = Project::isopod(
        "main = 'a.ts'\nname = 'site'\nroutes = [{ pattern = 'Example.com/api/*', worker = 'api' }, \
         { host = '*.example.com', worker = 'site' }, { path = '/x', worker = 'api' }]\n\
         [workers.api]\nmain = 'b.ts'\npolicy = 'per_request'",
    )
    .config();
    let routes: Vec<String> = config
        .routes
        .iter()
        .map(|r| format!("{} {}", r.pattern, r.worker))
        .collect();
    assert_eq!(routes, ["example.com/api/* api", "*.example.com/* site", "/x api"]);
    assert_eq!(
        (config.workers["api"].concurrency, config.workers["site"].concurrency),
        (1, 64)
    );
}

#[test]
fn a_worker_without_a_route_is_noted() {
    let config = Project::isopod(
        "routes = [{ pattern = '/*', worker = 'one' }]\n[workers.one]\nmain = 'a.ts'\n[workers.two]\nmain = 'b.ts'",
    )
    .config();
    let notes: Vec<&str> = config.notes.iter().map(|note| note.message.as_str()).collect();
    assert_eq!(notes, ["worker `two` has no route"]);
}

#[test]
fn vars_keep_their_type() {
    let config = Project::isopod("main = 'a.ts'\n[vars]\nA = 'text'\nB = 3\nC = { d = [1, true] }").config();
    let vars = &config.workers["main"].vars;
    assert_eq!(vars["A"], Var::Text("text".into()));
    assert_eq!(vars["B"], Var::Json(serde_json::json!(3)));
    assert_eq!(vars["C"], Var::Json(serde_json::json!({ "d": [1, true] })));
}

#[test]
fn the_environment_overrides_env_files_and_secrets_are_never_shown() {
    let text = "main = 'a.ts'\nsecrets = ['A', 'B', 'C']\nenv_files = ['.env', '.env.local']";
    let mut project = Project::new(&[
        ("isopod.toml", text),
        ("a.ts", ""),
        (".env", "A=file\nB=\"x $HOME\"\nC=low\nUNASKED=1"),
        (".env.local", "export C=high"),
    ]);
    project = project.set("A", "environment");
    let config = project.config();
    let secrets: Vec<(&str, &str)> = config.workers["main"]
        .secrets
        .iter()
        .map(|(name, value)| (name.as_str(), value.reveal()))
        .collect();
    assert_eq!(secrets, [("A", "environment"), ("B", "x $HOME"), ("C", "high")]);
    assert!(!format!("{config:?}").contains("high"));
}

#[test]
fn databases_are_found_by_url_or_by_variable_and_hide_their_password() {
    let project = Project::isopod(
        "main = 'a.ts'\n[[databases]]\nbinding = 'DB'\nurl = 'sqlite:data/app.db'\n\
         [[databases]]\nbinding = 'PG'\nurl_from = 'PG_URL'\nmax_connections = 9\ntimeout = '5s'\nvalue_bytes_max = '4 MiB'",
    )
    .set("PG_URL", "postgres://me:hunter2@db/app");
    let config = project.config();
    let [set, other] = ["DB", "PG"].map(|name| database(&config.workers["main"], name));
    assert_eq!(
        set.url,
        format!("sqlite:{}", project.path().join("data/app.db").display())
    );
    assert_eq!(other.url, "postgres://me:hunter2@db/app");
    assert_eq!((set.max_connections, other.max_connections), (4, 9));
    assert_eq!((other.timeout, other.value_len_max), (Duration::from_secs(5), 4 << 20));
    // Settings that are not set have the library's defaults.
    assert_eq!(*set, SqlConfig::new(set.url.as_str()));
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn flags_override_variables_and_variables_override_the_file() {
    let mut project = Project::isopod("main = 'a.ts'\nthreads = 1\nlisten = ['[::1]:1']\n[log]\nlevel = 'error'")
        .set("ISOPOD_LISTEN", "127.0.0.1:2, unix:/run/x")
        .set("ISOPOD_THREADS", "2")
        .set("ISOPOD_LOG", "");
    let flags = Overrides {
        threads: Some(3),
        ..Overrides::default()
    };
    project.overrides = flags.or(Overrides::from_environment(&project.environment).unwrap());
    let config = project.config();
    assert_eq!((config.threads, config.log.level), (Some(3), LogLevel::Error));
    assert_eq!(
        config.listen,
        ["127.0.0.1:2".parse().unwrap(), Listen::Unix(PathBuf::from("/run/x"))]
    );
}

#[test]
fn an_invalid_environment_variable_is_reported_by_name() {
    let environment = [("ISOPOD_THREADS", "many"), ("ISOPOD_LOG", "loud")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let error = Overrides::from_environment(&environment.into())
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "`ISOPOD_THREADS` = \"many\": should be a whole number from 0 (as many as workers need) to 10000\n  \
         = change or unset this environment variable\n\n\
         `ISOPOD_LOG` = \"loud\": should be \"off\", \"error\", \"warn\", \"info\", \"debug\" or \"trace\"\n  \
         = change or unset this environment variable"
    );
}

#[test]
fn a_script_alone_takes_every_line_of_the_env_file() {
    let mut project = Project::new(&[("src/index.ts", ""), (".env", "TOKEN=t")]);
    project.overrides.env_files = vec![project.path().join(".env")];
    let config = project.config();
    assert_eq!(config.workers["main"].main, project.path().join("src/index.ts"));
    assert_eq!(config.workers["main"].secrets["TOKEN"].reveal(), "t");
}

#[test]
fn every_part_of_a_configuration_can_be_read_back_from_its_text() {
    for text in ["127.0.0.1:8787", "[::]:80", "unix:/a"] {
        assert_eq!(text.parse::<Listen>().unwrap().to_string(), text);
    }
    for text in ["10.0.0.0/8", "api.internal", "*.internal:443", "*:25", "[::1]:80"] {
        assert_eq!(text.parse::<NetworkRule>().unwrap().to_string(), text);
    }
    for wrong in ["10.0.0.300", "10.0.0.0/99", "a b", ""] {
        assert!(wrong.parse::<NetworkRule>().is_err(), "{wrong}");
    }
    for wrong in ["", "a/*/b", "a*b/", "host:80/", "/x?y"] {
        assert!(wrong.parse::<RoutePattern>().is_err(), "{wrong}");
    }
}

#[test]
fn a_worker_s_network_rules_override_the_common_ones() {
    let config = Project::isopod(
        "routes = [{ path = '/*', worker = 'a' }, { path = '/b/*', worker = 'b' }]
         [network]\nallow_private = true\nallow = ['10.0.0.0/8']\ndeny = ['*:25']\nonly = ['one.example']
         [workers.a]\nmain = 'a.ts'
         [workers.a.network]\nallow_private = false\nallow = ['db.internal:5432']\ndeny = ['169.254.169.254']\nonly = []
         [workers.b]\nmain = 'b.ts'",
    )
    .config();
    let shown = |rules: &[NetworkRule]| rules.iter().map(ToString::to_string).collect::<Vec<_>>();
    let network = &config.workers["a"].network;
    assert!(!network.allow_private);
    assert_eq!(shown(&network.allow), ["10.0.0.0/8", "db.internal:5432"]);
    assert_eq!(shown(&network.deny), ["*:25", "169.254.169.254"]);
    assert_eq!(network.only.as_deref(), Some(&[][..]));
    let network = &config.workers["b"].network;
    assert!(network.allow_private);
    assert_eq!(shown(network.only.as_ref().unwrap()), ["one.example"]);
    let error = Project::isopod("[workers.a]\nmain = 'a.ts'\n[workers.a.network]\nallow = ['10.0.0.300']").error();
    assert!(
        error.contains("`workers.a.network.allow[0]` = \"10.0.0.300\": should be an address"),
        "{error}"
    );
}

#[test]
fn triggers_and_events_are_a_workers_own() {
    let config = Project::isopod(
        "routes = [{ path = '/*', worker = 'shop' }]\n[workers.shop]\nmain = 'a.ts'\ncrons = ['*/5 * * * *', '0 0 1 * * *']\nevents = { publish = ['orders.>'] }\n\
         [workers.mail]\nmain = 'b.ts'\nevents = { subscribe = ['orders.*', 'isopod.>'] }",
    )
    .config();
    let [mail, shop] = ["mail", "shop"].map(|name| &config.workers[name]);
    let crons: Vec<String> = shop.crons.iter().map(ToString::to_string).collect();
    assert_eq!(crons, ["*/5 * * * *", "0 0 1 * * *"]);
    let names = |worker: &Worker| {
        worker
            .bindings
            .iter()
            .map(|bound| bound.name.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(shop), ["EVENTS"]);
    assert_eq!((names(mail), mail.events.subscribe.len()), (vec![], 2));
    assert_eq!((mail.crons.len(), shop.events.subscribe.len()), (0, 0));
    assert_eq!(config.notes, [], "a worker that is told of events needs no route");
}

#[test]
fn invalid_events_are_reported_with_their_place() {
    let error = Project::isopod(
        "main = 'a.ts'\n[vars]\nEVENTS = 'taken'\n[events]\npublish = ['orders.>', 'isopod.worker.ready', 'a..b']",
    )
    .error();
    assert!(
        error.contains("isopod.toml:5:47: `events.publish[2]` = \"a..b\""),
        "{error}"
    );
    let error = Project::isopod(
        "main = 'a.ts'\n[vars]\nEVENTS = 'taken'\n[events]\npublish = ['orders.>', 'isopod.worker.ready']",
    )
    .error();
    assert!(
        error.contains("`events.publish[1]` = \"isopod.worker.ready\": topics that begin with"),
        "{error}"
    );
    assert!(error.contains("`env.EVENTS` is defined twice"), "{error}");
    let error = Project::isopod("main = 'a.ts'\nevents = { binding = 'BUS', subscribe = ['a'] }").error();
    assert!(
        error.contains("`events.binding` is set, but `publish` has no topics"),
        "{error}"
    );
}

#[test]
fn compatibility_date_and_flags_choose_behavior() {
    let text = "main = 'a.ts'\n[workers.old]\nmain = 'a.ts'\ncompatibility_date = '2024-01-01'\n\
                compatibility_flags = ['nodejs_als', 'no_global_navigator']\n[[routes]]\npattern = '/*'\nworker = 'main'";
    let config = Project::new(&[("isopod.toml", text), ("a.ts", "")]).config();
    assert_eq!(config.workers["main"].compatibility, Compatibility::default());
    let old = config.workers["old"].compatibility;
    assert_eq!((old.node, old.navigator), (NodeCompat::AsyncLocalStorage, false));
}

#[test]
fn a_compatibility_date_or_flag_that_does_not_exist_is_a_problem() {
    let text = "main = 'a.ts'\ncompatibility_date = '2024-13-01'\ncompatibility_flags = ['node_compat']";
    let error = Project::new(&[("isopod.toml", text), ("a.ts", "")]).error();
    for part in [
        "`compatibility_date` = \"2024-13-01\": should be a date, written as YYYY-MM-DD",
        "`compatibility_flags` = \"node_compat\": no such flag",
        "did you mean `nodejs_compat`?",
    ] {
        assert!(error.contains(part), "{part} in\n{error}");
    }
}
