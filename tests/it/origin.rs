//! A server for scripts to fetch from, in the test's process.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Answers each `GET /PATH` with `/PATH`, and counts. Its threads end with the connections.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    connections: AtomicUsize,
    requests: AtomicUsize,
    /// Closed connections.
    left: AtomicUsize,
}

impl Origin {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let counts = Arc::new(Counts::default());
        let counted = counts.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                counted.connections.fetch_add(1, Ordering::SeqCst);
                let counted = counted.clone();
                std::thread::spawn(move || {
                    let _ = serve(stream, &counted);
                    counted.left.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, counts }
    }

    pub(crate) fn connections(&self) -> usize {
        self.counts.connections.load(Ordering::SeqCst)
    }

    /// The number of closed connections.
    pub(crate) fn left(&self) -> usize {
        self.counts.left.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> usize {
        self.counts.requests.load(Ordering::SeqCst)
    }
}

/// Serves until the client disconnects. `/silence` is never answered, `/half` not completely.
fn serve(stream: TcpStream, counts: &Counts) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let read = stream.read_until(b'\n', &mut head).ok()?;
            (read > 0).then_some(())?;
        }
        counts.requests.fetch_add(1, Ordering::SeqCst);
        let head = String::from_utf8_lossy(&head);
        let path = head.split(' ').nth(1)?;
        if path != "/silence" {
            let length = if path == "/half" { 99 } else { path.len() };
            write!(
                stream.get_mut(),
                "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{path}"
            )
            .ok()?;
        }
    }
}
