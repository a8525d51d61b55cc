//! A small HTTP server for the workers to fetch from. It counts connections and requests.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Default)]
pub(crate) struct Counts {
    connections: AtomicUsize,
    requests: AtomicUsize,
}

impl Counts {
    /// The numbers of connections and requests so far.
    pub(crate) fn get(&self) -> (usize, usize) {
        (
            self.connections.load(Ordering::Relaxed),
            self.requests.load(Ordering::Relaxed),
        )
    }
}

/// Starts the server; its threads end with their connections.
pub(crate) fn start() -> io::Result<(SocketAddr, Arc<Counts>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let counts = Arc::new(Counts::default());
    let counted = Arc::clone(&counts);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            counted.connections.fetch_add(1, Ordering::Relaxed);
            let counted = Arc::clone(&counted);
            std::thread::spawn(move || serve(stream, &counted));
        }
    });
    Ok((address, counts))
}

/// Answers each request with its path until the client disconnects.
fn serve(stream: TcpStream, counts: &Counts) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read_until(b'\n', &mut head)? == 0 {
                return Ok(());
            }
        }
        counts.requests.fetch_add(1, Ordering::Relaxed);
        let head = String::from_utf8_lossy(&head);
        let path = head.split(' ').nth(1).unwrap_or_default();
        let length = path.len();
        write!(
            stream.get_mut(),
            "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{path}"
        )?;
    }
}
