use super::*;

const URL: &str = "postgres://app:hidden@db.internal/shop";

/// The places where the namespace, the queue and the ticks of a worker are kept, in this order.
fn places(project: &Project) -> [String; 3] {
    let config = project.config();
    let (_, worker) = config.workers.first_key_value().expect("a worker");
    let kv = worker.bindings.iter().find_map(|bound| {
        let binding: &dyn std::any::Any = &*bound.binding;
        binding.downcast_ref::<KvNamespace>()
    });
    let ticks = match &config.ticks {
        Engine::Local => "local".to_owned(),
        Engine::Server(server) => server.address(),
    };
    let below = |kept: String| kept.replace(&format!("{}/", project.path().display()), "");
    let queue = &worker.consumers.first().expect("a consumer").queue;
    [
        below(kv.expect("a namespace").kept.to_string()),
        below(queue.kept.to_string()),
        ticks,
    ]
}

const BOUND: &str = "main = 'a.ts'\nkv_namespaces = [{ binding = 'KV' }]\nqueues.consumers = [{ queue = 'q' }]\n";

#[test]
fn data_is_stored_locally_by_default() {
    let files = [".isopod/kv/KV.sqlite", ".isopod/queues/q.sqlite", "local"].map(str::to_owned);
    assert_eq!(places(&Project::isopod(BOUND)), files);
    let all = format!("{BOUND}[storage]\nkv = '{URL}'\nqueues = '{URL}'\ncrons = '{URL}'");
    let served = "postgres://db.internal:5432/shop".to_owned();
    let project = Project::isopod(&all);
    assert_eq!(
        places(&project),
        [served.clone(), served.clone(), "db.internal:5432/shop".to_owned()]
    );
    let config = format!("{:?}", project.config());
    assert!(!config.contains("hidden"), "{config}");
}

#[test]
fn a_binding_may_have_an_engine_of_its_own() {
    let text = format!(
        "main = 'a.ts'\nkv_namespaces = [{{ binding = 'KV', storage = 'local' }}]\nqueues.consumers = [{{ queue = 'q' }}]\n\
         queues.storage = '{URL}'\n[storage]\nkv = '{URL}'"
    );
    let [kv, queue, ticks] = places(&Project::isopod(&text));
    assert_eq!(kv, ".isopod/kv/KV.sqlite");
    assert_eq!([&*queue, &*ticks], ["postgres://db.internal:5432/shop", "local"]);
}

#[test]
fn queues_may_be_on_nats_and_nothing_else() {
    let text = format!("{BOUND}[storage]\nqueues = 'nats://app:hidden@nats.internal:4222/shop'");
    let project = Project::isopod(&text);
    assert_eq!(places(&project)[1], "nats://nats.internal:4222/shop");
    assert!(!format!("{:?}", project.config()).contains("hidden"));
    for (text, part) in [
        (
            "kv = 'nats://hidden@host'",
            "`storage.kv` = (not shown): NATS keeps queues only",
        ),
        ("crons = 'nats://hidden@host'", "NATS keeps queues only"),
        ("r2 = 'nats://hidden@host'", "NATS keeps queues only"),
        ("queues = 'nats://hidden@host/a_b'", "the prefix has other characters"),
    ] {
        let error = Project::isopod(&format!("{BOUND}[storage]\n{text}")).error();
        assert!(error.contains(part) && !error.contains("hidden"), "{part:?} in {error}");
    }
}

#[test]
fn a_url_comes_from_a_variable_or_an_env_file() {
    let text = format!("{BOUND}env_files = ['.env']\n[storage]\nkv = '$KV_URL'\nqueues = '$QUEUE_URL'");
    let env = format!("QUEUE_URL={URL}");
    let mut project = Project::new(&[("isopod.toml", &text), ("a.ts", ""), (".env", &env)]);
    project
        .environment
        .insert("KV_URL".to_owned(), "postgresql://app@other/kv".to_owned());
    let [kv, queue, _] = places(&project);
    assert_eq!(
        [&*kv, &*queue],
        ["postgres://other:5432/kv", "postgres://db.internal:5432/shop"]
    );
}

#[test]
fn variables_of_the_process_move_a_wrangler_project_to_a_server() {
    let text = "name = 'x'\nmain = 'a.ts'\n[[kv_namespaces]]\nbinding = 'KV'\n[[queues.consumers]]\nqueue = 'q'";
    let mut project = Project::new(&[("wrangler.toml", text), ("a.ts", "")]);
    let set = ["KV", "QUEUES", "CRONS"].map(|kind| (format!("ISOPOD_STORAGE_{kind}"), "$STORE".to_owned()));
    let environment: BTreeMap<_, _> = set.into_iter().collect();
    project.overrides = Overrides::from_environment(&environment).expect("overrides");
    project.environment.insert("STORE".to_owned(), URL.to_owned());
    let served = "postgres://db.internal:5432/shop".to_owned();
    assert_eq!(
        places(&project),
        [served.clone(), served, "db.internal:5432/shop".to_owned()]
    );
}

#[test]
fn mistakes_are_reported_with_their_place_and_without_passwords() {
    for (text, parts) in [
        (
            "[storage]\nkv = 'redis://hidden@host'",
            ["isopod.toml:3:6: `storage.kv` =", "\"postgres://user@host/name\""],
        ),
        (
            "[storage]\nkv = '$STORE'",
            ["`storage.kv`: `STORE` is neither in the environment", "set STORE"],
        ),
        (
            "[storage]\nkv = '$WRONG'",
            ["`WRONG` = (not shown)", "change the value"],
        ),
        (
            "[storage]\nkv = 'postgres://app:hidden@db/x'\n[[kv_namespaces]]\nbinding = 'KV'\npath = 'a'\n\
             storage = 'postgres://app:hidden@db/x'",
            [
                "`kv_namespaces[0]` has a `path`, and is stored on a server",
                "remove `path` or `storage`",
            ],
        ),
    ] {
        let mut project = Project::isopod(&format!("main = 'a.ts'\n{text}"));
        project
            .environment
            .insert("WRONG".to_owned(), "mysql://hidden@host".to_owned());
        let error = project.error();
        for part in parts {
            assert!(error.contains(part), "{part:?} in {error}");
        }
        assert!(!error.contains("hidden"), "{error}");
    }
    let environment = BTreeMap::from([("ISOPOD_STORAGE_KV".to_owned(), "mysql://hidden@host".to_owned())]);
    let error = Overrides::from_environment(&environment)
        .expect_err("a mistake")
        .to_string();
    assert!(
        error.contains("ISOPOD_STORAGE_KV") && !error.contains("hidden"),
        "{error}"
    );
}

/// The place of the bucket of a worker.
fn bucket(project: &Project) -> String {
    let config = project.config();
    let (_, worker) = config.workers.first_key_value().expect("a worker");
    let bucket = worker.bindings.iter().find_map(|bound| {
        let binding: &dyn std::any::Any = &*bound.binding;
        binding.downcast_ref::<R2Bucket>()
    });
    bucket.expect("a bucket").address()
}

#[test]
fn s3_is_chosen_for_all_buckets_or_one() {
    let section =
        "main = 'a.ts'\nr2_buckets = [{ binding = 'R2', bucket_name = 'up' }]\n[storage]\nr2 = 's3://all/shop'";
    assert_eq!(bucket(&Project::isopod(section)), "s3://all/shop/up/");
    let own = "main = 'a.ts'\nr2_buckets = [{ binding = 'R2', storage = 's3://mine?endpoint=http://localhost:9000' }]";
    let mut project = Project::isopod(own);
    assert!(
        project.error().contains("`AWS_ACCESS_KEY_ID` is neither"),
        "{}",
        project.error()
    );
    for (name, value) in [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "hidden")] {
        project.environment.insert(name.to_owned(), value.to_owned());
    }
    assert_eq!(bucket(&project), "s3://mine/");
    assert!(!format!("{:?}", project.config()).contains("hidden"));
    for (text, part) in [
        (
            "[storage]\nkv = 's3://all'",
            "S3 keeps R2 buckets and static assets only",
        ),
        (
            "[storage]\nr2 = 'postgres://host/x'",
            "PostgreSQL keeps neither R2 buckets nor",
        ),
        (
            "[storage]\nr2 = 's3://id:hidden@all'",
            "credentials are AWS_ACCESS_KEY_ID",
        ),
        ("[storage]\nr2 = 's3://all?zone=1'", "`zone` is not known"),
    ] {
        let error = Project::isopod(&format!("main = 'a.ts'\n{text}")).error();
        assert!(error.contains(part) && !error.contains("hidden"), "{part:?} in {error}");
    }
}
