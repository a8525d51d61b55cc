//! A minimal HTTP/1.1 client that reports errors unchanged.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::process::PATIENCE;

/// A complete response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The status code, and the outcome that the server names.
    pub(crate) fn verdict(&self) -> (u16, &str) {
        (self.status, self.header("x-isopod-outcome").unwrap_or("no outcome"))
    }
}

/// A keep-alive connection.
pub(crate) struct Connection {
    pub(crate) stream: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    pub(crate) fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n"))
    }

    pub(crate) fn post(&mut self, path: &str, body: &str) -> io::Result<Answer> {
        let length = body.len();
        self.send(&format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
    }

    /// Writes a request unchanged, and reads the response.
    pub(crate) fn send(&mut self, request: &str) -> io::Result<Answer> {
        self.write(request)?;
        self.read_answer()
    }

    /// Writes a request unchanged.
    pub(crate) fn write(&mut self, request: &str) -> io::Result<()> {
        self.stream.get_mut().write_all(request.as_bytes())
    }

    pub(crate) fn read_answer(&mut self) -> io::Result<Answer> {
        let head = self.read_head()?;
        self.read_rest(head)
    }

    /// Reads the body that follows a head.
    pub(crate) fn read_rest(&mut self, mut answer: Answer) -> io::Result<Answer> {
        let mut body = Vec::new();
        self.read_body(&answer, |part| body.extend_from_slice(part))?;
        answer.body = String::from_utf8(body).map_err(io::Error::other)?;
        Ok(answer)
    }

    /// Passes on the body that follows a head, as it arrives.
    pub(crate) fn read_body(&mut self, head: &Answer, mut take: impl FnMut(&[u8])) -> io::Result<()> {
        if head.header("transfer-encoding") == Some("chunked") {
            return self.read_chunks(take);
        }
        let mut left = head
            .header("content-length")
            .and_then(|length| length.parse().ok())
            .unwrap_or(0);
        while left > 0 {
            let buffered = self.stream.fill_buf()?;
            let part = buffered.len().min(left);
            if part == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            take(&buffered[..part]);
            self.stream.consume(part);
            left -= part;
        }
        Ok(())
    }

    /// Reads a response's head, and returns a response without a body.
    pub(crate) fn read_head(&mut self) -> io::Result<Answer> {
        let first = self.read_line()?;
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status line: {first:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.read_line()?;
            match line.split_once(": ") {
                Some((name, value)) => headers.push((name.to_lowercase(), value.to_owned())),
                None => {
                    return Ok(Answer {
                        status,
                        headers,
                        body: String::new(),
                    });
                }
            }
        }
    }

    fn read_chunks(&mut self, mut take: impl FnMut(&[u8])) -> io::Result<()> {
        let mut chunk = Vec::new();
        loop {
            let length = usize::from_str_radix(self.read_line()?.trim(), 16).map_err(io::Error::other)?;
            chunk.resize(length, 0);
            self.stream.read_exact(&mut chunk)?;
            self.read_line()?;
            if length == 0 {
                return Ok(());
            }
            take(&chunk);
        }
    }

    fn read_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }
}
