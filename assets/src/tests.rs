//! The answers to requests, from a folder.

use http_body_util::BodyExt as _;

use super::*;

struct Site {
    folder: tempfile::TempDir,
    options: Options,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Site {
    fn new(files: &[(&str, &str)]) -> Self {
        let site = Self {
            folder: tempfile::tempdir().unwrap(),
            options: Options::default(),
        };
        for (name, text) in files {
            let path = site.folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        site
    }

    fn with(mut self, options: impl FnOnce(Options) -> Options) -> Self {
        self.options = options(self.options);
        self
    }

    fn assets(&self) -> Assets {
        let (assets, mistakes) = Assets::open(self.folder.path(), self.options.clone()).unwrap();
        assert_eq!(mistakes, []);
        assets
    }

    async fn ask(&self, request: http::request::Builder) -> Answer {
        let response = self.assets().answer(&request.body(()).unwrap()).await;
        read(response).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(Request::get(path)).await
    }

    /// Returns the status of the answer before the worker's, if any.
    async fn before(&self, request: http::request::Builder) -> Option<u16> {
        let response = self.assets().answer_before_worker(&request.body(()).unwrap()).await;
        response.map(|response| response.status().as_u16())
    }
}

async fn read(response: Response<AssetBody>) -> Answer {
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

fn site() -> Site {
    Site::new(&[
        ("index.html", "home"),
        ("about.html", "about"),
        ("a b/style.css", "p {}"),
        ("@x.txt", "at"),
        ("404.html", "none"),
    ])
}

#[tokio::test]
async fn a_file_is_served_with_its_type_and_a_validator() {
    let site = site();
    let answer = site.get("/a%20b/style.css").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "p {}"));
    assert_eq!(answer.header("content-type"), "text/css; charset=utf-8");
    assert_eq!(answer.header("cache-control"), "public, max-age=0, must-revalidate");
    assert_eq!(answer.header("content-length"), "4");
    let etag = answer.header("etag").to_owned();
    let again = site
        .ask(Request::get("/a%20b/style.css").header("if-none-match", &etag))
        .await;
    assert_eq!(
        (again.status, again.body.as_str(), again.header("etag")),
        (304, "", etag.as_str())
    );
    let head = site.ask(Request::head("/a%20b/style.css")).await;
    assert_eq!(
        (head.status, head.body.as_str(), head.header("content-length")),
        (200, "", "4")
    );
    std::fs::write(site.folder.path().join("a b/style.css"), "p {} ").unwrap();
    let changed = site
        .ask(Request::get("/a%20b/style.css").header("if-none-match", &etag))
        .await;
    assert_eq!((changed.status, changed.body.as_str()), (200, "p {} "));
}

/// Source: workerd with miniflare 4's asset worker.
#[tokio::test]
async fn a_path_has_one_form_and_keeps_its_query() {
    let site = site();
    for (path, location) in [
        ("/about.html?a=1", "/about?a=1"),
        ("/index.html", "/"),
        ("/@x.txt", "/%40x.txt"),
        ("/a%20b//style.css", "/a%20b/style.css"),
    ] {
        let answer = site.get(path).await;
        assert_eq!((answer.status, answer.header("location")), (307, location), "{path}");
    }
    assert_eq!(site.get("/about").await.body, "about");
}

#[tokio::test]
async fn other_methods_are_refused_where_there_is_an_asset() {
    let site = site();
    let answer = site.ask(Request::post("/about")).await;
    assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD"));
    assert_eq!(site.ask(Request::post("/none")).await.status, 404);
    assert_eq!(site.before(Request::post("/about")).await, Some(405));
    assert_eq!(site.before(Request::post("/none")).await, None);
}

#[tokio::test]
async fn large_files_and_their_parts_are_streamed() {
    let text: String = (0..400_000).map(|at| char::from(b'a' + (at % 26) as u8)).collect();
    let site = Site::new(&[("large.txt", &text)]);
    let whole = site.get("/large.txt").await;
    assert!(whole.status == 200 && whole.body == text);
    let part = site
        .ask(Request::get("/large.txt").header("range", "bytes=100000-299999"))
        .await;
    assert!(part.status == 206 && part.body == text[100_000..300_000]);
    assert_eq!(part.header("content-range"), "bytes 100000-299999/400000");
    assert_eq!(part.header("cache-control"), "");
    let outside = site
        .ask(Request::get("/large.txt").header("range", "bytes=400000-"))
        .await;
    assert_eq!(
        (outside.status, outside.header("content-range")),
        (416, "bytes */400000")
    );
}

#[tokio::test]
async fn a_file_that_becomes_shorter_is_no_complete_body() {
    let site = Site::new(&[("large.txt", &"x".repeat(1 << 20))]);
    let request = Request::get("/large.txt").body(()).unwrap();
    let mut body = site.assets().answer(&request).await.into_body();
    body.frame().await.unwrap().unwrap();
    std::fs::write(site.folder.path().join("large.txt"), "x").unwrap();
    let rest = body.collect().await;
    assert_eq!(rest.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn a_missing_path_is_handled_as_configured() {
    let page = site().with(|options| options.not_found_handling(NotFoundHandling::NotFoundPage));
    let answer = page.get("/none").await;
    assert_eq!((answer.status, answer.body.as_str()), (404, "none"));
    let application = site().with(|options| options.not_found_handling(NotFoundHandling::SinglePageApplication));
    let answer = application.get("/none").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "home"));
    assert_eq!(site().get("/none").await.status, 404);
}

/// Source: https://developers.cloudflare.com/workers/static-assets/routing/worker-script/.
#[tokio::test]
async fn the_worker_answers_first_or_without_an_asset() {
    let spa = |options: Options| options.not_found_handling(NotFoundHandling::SinglePageApplication);
    let navigate = |path: &str| Request::get(path).header("sec-fetch-mode", "navigate");
    let site = site().with(spa);
    assert_eq!(site.before(Request::get("/about")).await, Some(200));
    assert_eq!(site.before(Request::get("/none")).await, None);
    assert_eq!(site.before(navigate("/none")).await, None);
    let site = site.with(|options| options.navigations(true));
    assert_eq!(site.before(Request::get("/none")).await, None);
    assert_eq!(site.before(navigate("/none")).await, Some(200));
    let site = site.with(|options| options.worker_first(WorkerFirst::always()));
    assert_eq!(site.before(Request::get("/about")).await, None);
    let rules = WorkerFirst::rules(&["/api/*", "!/api/docs/*"]).unwrap();
    let site = site.with(|options| options.worker_first(rules).navigations(false));
    assert_eq!(site.before(Request::get("/api/about")).await, None);
    assert_eq!(site.before(Request::get("/api/docs/none")).await, Some(200));
    assert_eq!(site.before(Request::get("/none")).await, Some(200));
}

#[tokio::test]
async fn rules_of_the_folder_are_applied() {
    let site = Site::new(&[
        ("index.html", "home"),
        ("app/index.html", "app"),
        (
            "_redirects",
            "/old/* /new/:splat 301\n/app/* /app/ 200\n/lost /nowhere 200",
        ),
        ("_headers", "/*\n  X-Frame-Options: DENY\n/app/*\n  ! Cache-Control"),
    ]);
    let answer = site.get("/old/a?q").await;
    assert_eq!((answer.status, answer.header("location")), (301, "/new/a?q"));
    assert_eq!(answer.header("x-frame-options"), "DENY");
    let answer = site.get("/app/some/where").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "app"));
    assert_eq!(
        (answer.header("cache-control"), answer.header("x-frame-options")),
        ("", "DENY")
    );
    assert_eq!(site.get("/lost").await.status, 404);
    assert_eq!(site.before(Request::get("/lost")).await, Some(404));
    assert_eq!(site.get("/_redirects").await.status, 404);
    let url = site.get("http://a.example:8787/old/x").await;
    assert_eq!((url.status, url.header("location")), (301, "/new/x"));
}
