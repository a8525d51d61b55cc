//! A minimal HTTP/1.1 client that reports errors unchanged, and can be slow or misbehave on demand.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, sleep};

/// Connections are not reused after this time: the server may be about to close them.
const FRESH: Duration = Duration::from_secs(20);
/// In place of an outcome, for responses to invalid requests.
pub(crate) const NO_OUTCOME: &str = "none";
/// Maximum length of a line in a head.
const LINE_MAX: u64 = 64 * 1024;

/// The start of a response.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The outcome that the server names.
    pub(crate) fn outcome(&self) -> &str {
        // Every request has an id.
        let outcome = self
            .header("x-request-id")
            .and_then(|_| self.header("x-isopod-outcome"));
        outcome.unwrap_or(NO_OUTCOME)
    }

    fn is_chunked(&self) -> bool {
        self.header("transfer-encoding") == Some("chunked")
    }
}

/// A complete response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
}

/// The speed of reading a body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    Full,
    /// This many bytes, then a pause.
    Slow(usize, Duration),
}

impl Pace {
    /// Number of bytes to read next, out of `left`, after `before` bytes.
    async fn next(self, left: usize, before: usize) -> usize {
        match self {
            Self::Full => left,
            Self::Slow(portion, rest) => {
                let of_portion = before % portion;
                if of_portion == 0 {
                    sleep(rest).await;
                }
                left.min(portion - of_portion)
            }
        }
    }
}

/// A keep-alive connection.
#[derive(Debug)]
pub(crate) struct Connection {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    used: Instant,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        Ok(Self {
            reader: BufReader::new(reader),
            writer,
            used: Instant::now(),
        })
    }

    pub(crate) fn is_fresh(&self) -> bool {
        self.used.elapsed() < FRESH
    }

    /// Sends these pieces, with a pause after each.
    pub(crate) async fn write(&mut self, pieces: &[Vec<u8>], rest: Duration) -> io::Result<()> {
        write(&mut self.writer, pieces, rest).await
    }

    /// Sends these pieces with a pause after each, and meanwhile reads a response, its body at this pace. A server may
    /// respond before the request is complete.
    pub(crate) async fn exchange(&mut self, pieces: &[Vec<u8>], rest: Duration, pace: Pace) -> io::Result<Answer> {
        let (reader, writer) = (&mut self.reader, &mut self.writer);
        let (answer, written) = futures::join!(answer(reader, pace), write(writer, pieces, rest));
        let answer = answer?;
        written?;
        self.used = Instant::now();
        Ok(answer)
    }

    /// Reads up to this many bytes; none at the end.
    pub(crate) async fn some(&mut self, bytes: usize) -> io::Result<usize> {
        self.reader.read(&mut vec![0; bytes]).await
    }
}

async fn write(writer: &mut OwnedWriteHalf, pieces: &[Vec<u8>], rest: Duration) -> io::Result<()> {
    for piece in pieces {
        writer.write_all(piece).await?;
        if !rest.is_zero() {
            sleep(rest).await;
        }
    }
    Ok(())
}

type Reader = BufReader<OwnedReadHalf>;

async fn answer(reader: &mut Reader, pace: Pace) -> io::Result<Answer> {
    let head = head(reader).await?;
    let mut body = Vec::new();
    if head.is_chunked() {
        loop {
            let length = usize::from_str_radix(line(reader).await?.trim(), 16).map_err(io::Error::other)?;
            read_into(reader, &mut body, length, pace).await?;
            line(reader).await?;
            if length == 0 {
                break;
            }
        }
    } else {
        let length = head.header("content-length").map_or(Ok(0), str::parse);
        read_into(reader, &mut body, length.map_err(io::Error::other)?, pace).await?;
    }
    Ok(Answer { head, body })
}

async fn read_into(reader: &mut Reader, body: &mut Vec<u8>, length: usize, pace: Pace) -> io::Result<()> {
    let mut left = length;
    while left > 0 {
        let part = pace.next(left, body.len()).await;
        let start = body.len();
        body.resize(start + part, 0);
        reader.read_exact(&mut body[start..]).await?;
        left -= part;
    }
    Ok(())
}

async fn head(reader: &mut Reader) -> io::Result<Head> {
    let first = line(reader).await?;
    let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("no status line: {first:?}")))?;
    let mut headers = Vec::new();
    loop {
        match line(reader).await?.split_once(": ") {
            Some((name, value)) => headers.push((name.to_lowercase(), value.to_owned())),
            None => return Ok(Head { status, headers }),
        }
    }
}

async fn line(reader: &mut Reader) -> io::Result<String> {
    let mut line = String::new();
    match reader.take(LINE_MAX).read_line(&mut line).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(line.trim_end().to_owned()),
    }
}

/// The bytes of a request to the worker with this name.
pub(crate) fn request(worker: &str, path: &str, extra: &str, body: Option<&[u8]>) -> Vec<u8> {
    let method = if body.is_some() { "POST" } else { "GET" };
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {worker}.soak\r\n{extra}");
    if let Some(body) = body {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body.unwrap_or_default());
    bytes
}
