//! A server of the tests' files, and of what the tests expect of their server beside files.
//! <https://web-platform-tests.org/writing-tests/server-features.html>

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Result, bail};
use http::header::{HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use isopod::Failure;
use isopod::assets::{Assets, HtmlHandling, Options};
use isopod::server::{Address, Dispatch, RequestMeta, Routes, Running, Server, ServerBody, ServerConfig};

struct Files(Assets);

impl Dispatch for Files {
    async fn fetch(
        &self,
        _: &str,
        request: Request<ServerBody>,
        meta: RequestMeta,
    ) -> Result<Response<ServerBody>, Failure> {
        let query = request.uri().query().unwrap_or_default().to_owned();
        // A program on the tests' own server, which is here in its place.
        if request.uri().path().ends_with("/echo-content.py") {
            return Ok(Response::new(request.into_body()));
        }
        if request.uri().path().ends_with("/status.py") {
            let mut response = Response::new(ServerBody::from(""));
            let status = query.strip_prefix("status=").and_then(|status| status.parse().ok());
            *response.status_mut() = status.unwrap_or(StatusCode::BAD_REQUEST);
            return Ok(response);
        }
        let answer = self.0.answer(&request).await;
        let mut answer = answer.map(ServerBody::new);
        if let Some((name, value)) = piped_header(&meta.url) {
            answer.headers_mut().insert(name, value);
        }
        Ok(answer)
    }
}

/// Returns the header that the query sets: `?pipe=header(Name,value)`.
fn piped_header(url: &str) -> Option<(HeaderName, HeaderValue)> {
    let pipe = url.split_once("?pipe=header(")?.1;
    let (name, value) = pipe.strip_suffix(')')?.split_once(',')?;
    Some((name.parse().ok()?, decoded(value).parse().ok()?))
}

/// Decodes `%XX` in ASCII text.
fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut decoded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                decoded.push(char::from(byte));
                decoded.push_str(&part[2..]);
            }
            None => {
                decoded.push('%');
                decoded.push_str(part);
            }
        }
    }
    decoded
}

/// Starts a server of a folder.
pub(crate) fn start(folder: &Path) -> Result<(Running, SocketAddr)> {
    let (assets, _) = Assets::open(folder, Options::default().html_handling(HtmlHandling::None))?;
    let config = ServerConfig::default().routes(Routes::to("files"));
    let running = Server::new(config, Files(assets)).start()?;
    match running.local_addrs() {
        [Address::Tcp(address)] => {
            let address = *address;
            Ok((running, address))
        }
        other => bail!("the server of resources listens on {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::piped_header;

    #[test]
    fn a_query_can_set_a_header() {
        let url = "http://localhost/a.wasm?pipe=header(Content-Type,APPLICATION%2Fwasm%3B)";
        let (name, value) = piped_header(url).unwrap();
        assert_eq!(
            (name.as_str(), value.to_str().unwrap()),
            ("content-type", "APPLICATION/wasm;")
        );
        assert!(piped_header("http://localhost/a.wasm").is_none());
    }
}
