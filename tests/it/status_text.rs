//! Reason phrases of the built program's responses, and of those that its workers fetch.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::program::Serving;
use crate::project::Project;

/// HTTP/1.1 has a reason phrase beside the status (RFC 9112, section 4).
#[test]
fn the_status_text_of_a_response_is_sent_and_that_of_an_upstream_read() {
    let source = "export default { async fetch(request) {
        const { pathname, origin } = new URL(request.url);
        const statusText = new Map([['/own', 'Gone Fishing'], ['/none', '']]).get(pathname);
        if (statusText !== undefined) return new Response('x', { status: 410, statusText });
        const upstream = await fetch(origin + pathname.slice(2));
        return pathname.startsWith('/p') ? upstream : new Response(upstream.statusText);
    } };";
    let config = "[network]\nallow = ['127.0.0.1']\n[workers.main]\nmain = 'main.js'\n";
    let project = Project::new(&[("main.js", source), ("isopod.toml", config)]);
    let server = Serving::start(project.path());
    let host = server.address;
    let head = |path: &str| {
        let mut stream = TcpStream::connect(host).expect("a listener that accepts");
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"
        )
        .expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer.lines().next().expect("a line").to_owned()
    };
    for (path, expected) in [("/own", "Gone Fishing"), ("/none", "Gone")] {
        assert_eq!(head(path), format!("HTTP/1.1 410 {expected}"));
        assert_eq!(head(&format!("/p{path}")), format!("HTTP/1.1 410 {expected}"));
        let mut connection = server.connect();
        let told = connection.send(&format!("GET /t{path} HTTP/1.1\r\nhost: {host}\r\n\r\n"));
        assert_eq!(told.expect("an answer").body, expected);
    }
}
