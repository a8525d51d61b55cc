//! Static site: serves the files of a folder without a script.

use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use isopod::server::{Body, BoxError};
use tower_http::services::ServeDir;

/// A served folder. Hidden files, `node_modules` and links out of the folder are not served.
#[derive(Clone, Debug)]
pub(super) struct Assets {
    root: PathBuf,
    files: ServeDir,
}

impl Assets {
    /// Worker name of the only route.
    pub(super) const WORKER: &'static str = "assets";

    pub(super) fn new(folder: &Path) -> Result<Self> {
        let root = std::fs::canonicalize(folder).with_context(|| format!("cannot serve {}", folder.display()))?;
        Ok(Self {
            files: ServeDir::new(&root),
            root,
        })
    }

    /// Answers a request with a file, `index.html` for a folder, or 404. Ranges and `If-Modified-Since` are honored.
    pub(super) async fn answer(&self, request: Request<Body>) -> Response<Body> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = status(StatusCode::METHOD_NOT_ALLOWED);
            let allowed = http::HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(http::header::ALLOW, allowed);
            return response;
        }
        if !self.may_be_served(request.uri().path()).await {
            return status(StatusCode::NOT_FOUND);
        }
        match self.files.clone().try_call(request).await {
            Ok(response) => response.map(|body| body.map_err(BoxError::from).boxed_unsync()),
            Err(error) => {
                tracing::error!(target: "isopod::assets", "cannot read a file: {error}");
                status(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }

    async fn may_be_served(&self, path: &str) -> bool {
        let Some(relative) = relative(path) else { return false };
        // What is not there is a 404 of the files' own.
        match tokio::fs::canonicalize(self.root.join(relative)).await {
            Ok(real) => real.strip_prefix(&self.root).is_ok_and(is_public),
            Err(_) => true,
        }
    }
}

/// Returns the file's path below the folder, or `None` if it is never served.
fn relative(path: &str) -> Option<PathBuf> {
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8().ok()?;
    let relative = PathBuf::from(decoded.trim_start_matches('/'));
    let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    (plain && is_public(&relative)).then_some(relative)
}

/// Returns whether no part of a path is hidden or a package folder. `.well-known` is public by RFC 8615.
fn is_public(relative: &Path) -> bool {
    relative
        .iter()
        .all(|part| part == ".well-known" || (part != "node_modules" && !part.to_string_lossy().starts_with('.')))
}

fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("site/index.html", "<h1>home</h1>");
        write("site/a b/style.css", "p {}");
        write("site/.env", "KEY=1");
        write("site/.well-known/security.txt", "Contact: x");
        write("site/node_modules/x/index.js", "1");
        write("outside.txt", "secret");
        std::os::unix::fs::symlink(folder.path().join("outside.txt"), folder.path().join("site/link.txt")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("site/.env"), folder.path().join("site/env.txt")).unwrap();
        folder
    }

    async fn ask(folder: &Path, method: Method, path: &str) -> (StatusCode, http::HeaderMap, Vec<u8>) {
        let assets = Assets::new(&folder.join("site")).unwrap();
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let request = Request::builder().method(method).uri(path).body(body).unwrap();
        let (head, body) = assets.answer(request).await.into_parts();
        (
            head.status,
            head.headers,
            body.collect().await.unwrap().to_bytes().to_vec(),
        )
    }

    #[tokio::test]
    async fn files_are_served_with_their_type_and_folders_by_their_index() {
        let folder = site();
        let (status, headers, body) = ask(folder.path(), Method::GET, "/").await;
        assert_eq!((status, &body[..]), (StatusCode::OK, &b"<h1>home</h1>"[..]));
        assert_eq!(headers["content-type"], "text/html");
        let (status, headers, _) = ask(folder.path(), Method::GET, "/a%20b/style.css").await;
        assert_eq!(
            (status, &headers["content-type"]),
            (StatusCode::OK, &"text/css".parse().unwrap())
        );
        let (status, _, _) = ask(folder.path(), Method::GET, "/.well-known/security.txt").await;
        assert_eq!(status, StatusCode::OK);
    }

    #[tokio::test]
    async fn hidden_files_packages_and_what_lies_outside_are_not_served() {
        let folder = site();
        for path in [
            "/.env",
            "/%2eenv",
            "/node_modules/x/index.js",
            "/../outside.txt",
            "/%2e%2e/outside.txt",
            "/..%2foutside.txt",
            "/link.txt",
            "/env.txt",
            "/nothing.txt",
        ] {
            let (status, _, body) = ask(folder.path(), Method::GET, path).await;
            assert_eq!((status, body.len()), (StatusCode::NOT_FOUND, 0), "{path}");
        }
    }

    #[tokio::test]
    async fn other_methods_are_refused_with_those_allowed() {
        let folder = site();
        let (status, headers, _) = ask(folder.path(), Method::POST, "/index.html").await;
        assert_eq!(
            (status, &headers["allow"]),
            (StatusCode::METHOD_NOT_ALLOWED, &"GET, HEAD".parse().unwrap())
        );
        let (status, headers, body) = ask(folder.path(), Method::HEAD, "/index.html").await;
        assert_eq!(
            (status, body.len(), &headers["content-length"]),
            (StatusCode::OK, 0, &"13".parse().unwrap())
        );
    }
}
