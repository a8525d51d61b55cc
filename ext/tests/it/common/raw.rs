//! A server that answers with the given bytes, and records those of requests.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

pub(crate) struct Raw {
    pub(crate) address: SocketAddr,
    requests: Receiver<String>,
}

impl Raw {
    /// Answers each connection's request with the next of these, and closes the connection.
    pub(crate) fn answering(answers: Vec<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = sync_channel(answers.len());
        std::thread::spawn(move || {
            for answer in answers {
                let Ok((mut socket, _)) = listener.accept() else { return };
                let request = read_request(&mut socket);
                drop(socket.write_all(&answer));
                if sender.send(request).is_err() {
                    return;
                }
            }
        });
        Self { address, requests }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// The next request: its head in lower case, and its body.
    pub(crate) fn request(&self) -> (String, String) {
        let request = self
            .requests
            .recv_timeout(Duration::from_secs(20))
            .expect("a request arrives");
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        (head.to_ascii_lowercase(), body.to_owned())
    }
}

/// A server that keeps its connections, and sends a response's body late: before the answer to the next request.
/// Returns its URL.
pub(crate) fn late_bodies(head: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut socket in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut late: &[u8] = b"";
                while !read_request(&mut socket).is_empty() {
                    let answer = [late, format!("HTTP/1.1 {head}\r\n\r\n").as_bytes()].concat();
                    if socket.write_all(&answer).is_err() {
                        return;
                    }
                    late = b"hello";
                }
            });
        }
    });
    format!("http://{address}/")
}

fn read_request(socket: &mut impl Read) -> String {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            let is_whole = match head.contains("transfer-encoding: chunked") {
                true => body.ends_with("0\r\n\r\n"),
                false => body.len() >= length,
            };
            if is_whole {
                return text;
            }
        }
        match socket.read(&mut buffer) {
            Ok(0) | Err(_) => return text,
            Ok(read) => request.extend_from_slice(&buffer[..read]),
        }
    }
}
