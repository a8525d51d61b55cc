//! Bounds the amount that a PostgreSQL server sends at a time.
//!
//! sqlx receives a row whole, up to PostgreSQL's limit of 1 GB, before its size is known, and does not share its socket.
//! Its connections therefore lead through a Unix socket to a task of this process, which counts what it passes on to
//! sqlx and ends the connection at a limit.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::runtime::Handle;

/// Bytes that pass without being part of the row that sqlx waits for: what was read ahead, messages of other kinds.
const AHEAD: usize = 1 << 20;

/// Counts the bytes that a server has sent since the last row.
#[derive(Clone, Debug)]
pub(super) struct Flow(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    received: AtomicUsize,
    max: usize,
}

impl Flow {
    fn new(row_max: usize) -> Self {
        Self(Arc::new(Counts {
            received: AtomicUsize::new(0),
            max: row_max.saturating_add(AHEAD),
        }))
    }

    /// Begins to count from zero, because sqlx has returned what it received.
    pub(super) fn row_taken(&self) {
        self.0.received.store(0, Ordering::Relaxed);
    }

    /// Returns true if the server has sent too much, and the connection has ended.
    pub(super) fn is_exceeded(&self) -> bool {
        self.0.received.load(Ordering::Relaxed) > self.0.max
    }

    fn add(&self, bytes: usize) -> io::Result<()> {
        self.0.received.fetch_add(bytes, Ordering::Relaxed);
        if self.is_exceeded() {
            return Err(io::Error::other("the server has sent too much for one row"));
        }
        Ok(())
    }
}

/// Connects to a server that may send rows of this many bytes. The connection's other end runs on `runtime`.
pub(super) async fn connect(
    options: &PgConnectOptions,
    row_max: usize,
    runtime: &Handle,
) -> Result<(PgConnection, Flow), sqlx::Error> {
    let flow = Flow::new(row_max);
    let gate = match Gate::open(options.get_port()) {
        Ok(gate) => gate,
        Err(error) => {
            tracing::warn!(%error, "rows of PostgreSQL are not bounded: no socket can be created in the folder for temporary files");
            return Ok((options.connect().await?, flow));
        }
    };
    let server = server(options).await?;
    let through = options.clone().socket(&gate.folder);
    let admitted = async {
        let (client, _) = gate.listener.accept().await?;
        // Nothing else can connect.
        gate.close();
        let server = Counted {
            server,
            flow: flow.clone(),
        };
        runtime.spawn(pass(client, server));
        Ok(())
    };
    let (connection, ()) = tokio::try_join!(through.connect(), admitted)?;
    Ok((connection, flow))
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

async fn server(options: &PgConnectOptions) -> io::Result<Box<dyn Stream>> {
    let (host, port) = (options.get_host(), options.get_port());
    let folder = options.get_socket().map(PathBuf::as_path);
    let folder = folder.or_else(|| host.starts_with('/').then(|| Path::new(host)));
    if let Some(folder) = folder {
        return Ok(Box::new(UnixStream::connect(socket_in(folder, port)).await?));
    }
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(Box::new(stream))
}

/// The name that PostgreSQL's clients look for in a folder.
fn socket_in(folder: &Path, port: u16) -> PathBuf {
    folder.join(format!(".s.PGSQL.{port}"))
}

/// A socket in a folder of its own, which only this user can enter. It exists until sqlx has connected.
struct Gate {
    folder: PathBuf,
    listener: UnixListener,
    socket: PathBuf,
}

impl Gate {
    fn open(port: u16) -> io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("isopod-{:016x}", fastrand::u64(..)));
        DirBuilder::new().mode(0o700).create(&folder)?;
        let socket = socket_in(&folder, port);
        match UnixListener::bind(&socket) {
            Ok(listener) => Ok(Self {
                folder,
                listener,
                socket,
            }),
            Err(error) => {
                drop(std::fs::remove_dir(&folder));
                Err(error)
            }
        }
    }

    fn close(&self) {
        drop(std::fs::remove_file(&self.socket));
        drop(std::fs::remove_dir(&self.folder));
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.close();
    }
}

/// Passes bytes on until either side ends.
async fn pass(client: UnixStream, server: Counted) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = tokio::io::split(server);
    tokio::select! {
        ended = tokio::io::copy(&mut from_client, &mut to_server) => drop(ended),
        ended = tokio::io::copy(&mut from_server, &mut to_client) => drop(ended),
    }
}

/// The connection to the server.
struct Counted {
    server: Box<dyn Stream>,
    flow: Flow,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.server).poll_read(cx, buffer))?;
        Poll::Ready(self.flow.add(buffer.filled().len() - before))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.server).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.server).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.server).poll_shutdown(cx)
    }
}
