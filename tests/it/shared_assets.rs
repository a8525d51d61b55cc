//! Static assets in a bucket of S3, which several processes serve.

use std::fmt::Write as _;

use crate::client::Answer;
use crate::process::until;
use crate::program::{Serving, isopod_with};
use crate::project::Project;
use crate::seaweed::Seaweed;

/// Larger than what is kept in memory.
const LARGE: usize = (3 << 20) + 7;

fn get_with(process: &Serving, path: &str, headers: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n\r\n");
    process.connect().send(&request).expect("an answer")
}

fn header(answer: &Answer, name: &str) -> String {
    answer.header(name).unwrap_or_default().to_owned()
}

#[test]
fn assets_of_a_bucket_are_served_as_those_of_a_folder() {
    let server = Seaweed::start();
    let (id, secret) = Seaweed::CREDENTIALS;
    let place = format!("s3://company/sites?endpoint={}", server.endpoint());
    let env = format!("AWS_ACCESS_KEY_ID={id}\nAWS_SECRET_ACCESS_KEY={secret}\nPLACE={place}");
    // The command puts the files there, as any program of S3 does.
    let upload = format!(
        "main = 'worker.js'\nenv_files = ['.env']\nr2_buckets = [{{ binding = 'B', storage = 's3://company/sites/public?endpoint={}' }}]",
        server.endpoint()
    );
    let uploads = Project::new(&[
        ("isopod.toml", &upload),
        ("worker.js", "export default {};"),
        (".env", &env),
    ]);
    let mut large = String::with_capacity(LARGE);
    while large.len() < LARGE {
        write!(large, "{:08x}", large.len()).expect("a string");
    }
    large.truncate(LARGE);
    let put = |key: &str, content: &str| {
        let folder = uploads.path().to_str().expect("UTF-8");
        let file = uploads.path().join("content");
        std::fs::write(&file, content).expect("written");
        let file = file.to_str().expect("UTF-8");
        let ended = isopod_with(
            &["r2", "object", "put", key, "--path", file, "--project", folder],
            &[],
            "",
        );
        assert_eq!(ended.code, Some(0), "{ended:?}");
    };
    for (key, content) in [
        ("index.html", "<h1>Shop</h1>"),
        ("a b/c.txt", "plain"),
        ("large.bin", &*large),
        ("drafts/x.txt", "hidden"),
        (".env", "hidden"),
        (".assetsignore", "/drafts\n"),
        ("_headers", "/*\n  X-Site: shop\n"),
        ("_redirects", "/old /a%20b/c.txt 301\n"),
    ] {
        put(key, content);
    }

    let worker = "export default { fetch: (request, env) => request.url.endsWith('/bound')
        ? env.ASSETS.fetch(new URL('/a%20b/c.txt', request.url)) : new Response('worker', { status: 418 }) };";
    let configuration = "name = 'site'\nmain = 'worker.js'\nenv_files = ['.env']
        assets = { directory = 'public', binding = 'ASSETS' }\nstorage.assets = '$PLACE'";
    let project = Project::new(&[("isopod.toml", configuration), ("worker.js", worker), (".env", &env)]);
    let process = Serving::start(project.path());
    let page = process.get("/");
    assert_eq!(
        (page.status, &*page.body, &*header(&page, "x-site")),
        (200, "<h1>Shop</h1>", "shop")
    );
    assert_eq!(header(&page, "content-type"), "text/html; charset=utf-8");
    let etag = header(&page, "etag");
    assert!(etag.starts_with('"') && etag.len() > 10, "{etag}");
    let known = get_with(&process, "/", &format!("if-none-match: {etag}"));
    assert_eq!((known.status, &*known.body), (304, ""));
    assert_eq!(process.get("/a%20b/c.txt").body, "plain");
    assert_eq!(process.get("/bound").body, "plain");
    assert_eq!(header(&process.get("/old"), "location"), "/a%20b/c.txt");
    for path in ["/drafts/x.txt", "/.env", "/_headers", "/none"] {
        assert_eq!(process.get(path).status, 418, "{path}");
    }
    assert!(process.get("/large.bin").body == large);
    for path in ["/large.bin", "/large.bin"] {
        let part = get_with(&process, path, "range: bytes=2000000-2000007");
        assert_eq!((part.status, &*part.body), (206, &large[2_000_000..2_000_008]));
        assert_eq!(header(&part, "content-range"), format!("bytes 2000000-2000007/{LARGE}"));
    }
    let part = get_with(&process, "/a%20b/c.txt", "range: bytes=-2");
    assert_eq!((part.status, &*part.body), (206, "in"));

    put("index.html", "<h1>New</h1>");
    until("the change is seen", || {
        (process.get("/").body == "<h1>New</h1>").then_some(())
    });
    let none = isopod_with(
        &[
            "serve",
            project.path().to_str().expect("UTF-8"),
            "--listen",
            "127.0.0.1:0",
        ],
        &[("AWS_SECRET_ACCESS_KEY", "wrong")],
        "",
    );
    assert_eq!(none.code, Some(1), "{none:?}");
    assert!(
        none.stderr.contains("s3://company/sites/public/") && none.stderr.contains("assets of site"),
        "{none:?}"
    );
}
