//! The I/O runtime's side of a connection: a task that owns the socket and exchanges chunks with the worker.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;

use super::elsewhere;
use super::error::{ConnectError, Failed};
use super::target::Target;
use super::tls::{Client, Handshaken, server_name};
use crate::fetch::Piped;
use crate::ledger::MemoryLedger;

/// Maximum size of a chunk, in both directions.
pub(super) const CHUNK_BYTES: usize = 16 << 10;

/// Maximum number of chunks that wait in each direction; with [`CHUNK_BYTES`], 128 KiB.
const CHUNKS_WAITING_MAX: usize = 8;

/// The end of a connection; `None` while it is open.
pub(super) type Ending = Option<Result<(), Failed>>;

/// A socket of this process, or a pipe to a socket of another process.
pub(super) type Plain = Either<TcpStream, Box<dyn Piped>>;

type Stream = Either<Plain, Box<TlsStream<Plain>>>;

/// A command of the worker. Commands are executed in order.
pub(super) enum Command {
    /// Sends bytes, and reports when the socket has taken them.
    Send(Bytes, oneshot::Sender<()>),
    /// Sends the end of the stream, after all earlier bytes.
    Shutdown(oneshot::Sender<()>),
    StartTls(Box<StartTls>),
}

/// The start of TLS. Data received before is discarded, because it was not authenticated.
pub(super) struct StartTls {
    pub(super) name: ServerName<'static>,
    pub(super) client: Client,
    /// The channel for data received from now on.
    pub(super) received: mpsc::Sender<Bytes>,
    pub(super) done: oneshot::Sender<Handshaken>,
}

/// The task's ends of the channels.
pub(super) struct Ports {
    commands: mpsc::Receiver<Command>,
    /// Chunks; an empty one is the end.
    received: mpsc::Sender<Bytes>,
    ending: watch::Sender<Ending>,
    /// Canceled when the worker drops the connection.
    released: CancellationToken,
}

/// The worker's ends of the channels.
pub(super) struct WorkerPorts {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) received: mpsc::Receiver<Bytes>,
    pub(super) ending: watch::Receiver<Ending>,
    pub(super) released: CancellationToken,
}

pub(super) fn ports() -> (Ports, WorkerPorts) {
    let (command_sender, commands) = mpsc::channel(CHUNKS_WAITING_MAX);
    let (received, receiver) = received();
    let (ending, ended) = watch::channel(None);
    let released = CancellationToken::new();
    let ports = Ports {
        commands,
        received,
        ending,
        released: released.clone(),
    };
    let worker = WorkerPorts {
        commands: command_sender,
        received: receiver,
        ending: ended,
        released,
    };
    (ports, worker)
}

/// The channel of received chunks.
pub(super) fn received() -> (mpsc::Sender<Bytes>, mpsc::Receiver<Bytes>) {
    mpsc::channel(CHUNKS_WAITING_MAX)
}

pub(super) struct Options {
    /// True if the worker may send after the peer has ended its stream.
    pub(super) allow_half_open: bool,
    pub(super) idle_timeout: Duration,
    pub(super) handshake_timeout: Duration,
    pub(super) ledger: MemoryLedger,
    pub(super) tls: Option<Arc<ClientConfig>>,
}

/// The addresses of a connection.
pub(super) struct Addresses {
    pub(super) remote: SocketAddr,
    pub(super) local: SocketAddr,
}

/// Opens a connection, and spawns the task that runs it.
pub(super) async fn open(
    target: Target,
    with_tls: bool,
    options: Options,
    ports: Ports,
) -> Result<Addresses, ConnectError> {
    let limit = options.handshake_timeout;
    let opening = async {
        let (stream, addresses) = match target.config.network.remote() {
            None => {
                let (stream, addresses) = connect(&target).await?;
                (Either::Left(stream), addresses)
            }
            Some(remote) => {
                let (stream, (remote, local)) = elsewhere::connect(Arc::clone(remote), &target).await?;
                (Either::Right(stream), Addresses { remote, local })
            }
        };
        let stream = match with_tls {
            true => {
                let secured = secure(stream, server_name(&target.hostname())?, options.tls.clone(), limit).await?;
                Either::Right(secured)
            }
            false => Either::Left(stream),
        };
        Ok::<_, ConnectError>((stream, addresses))
    };
    let too_late = || Failed::ConnectTimeout {
        host: target.hostname(),
        limit,
    };
    let (stream, addresses) = timeout(limit, opening).await.map_err(|_| too_late())??;
    spawn_here(run(stream, options, ports));
    Ok(addresses)
}

/// Connects to the first address that accepts.
pub(super) async fn connect(target: &Target) -> Result<(TcpStream, Addresses), ConnectError> {
    let mut failed = Failed::NoAddress(target.hostname());
    for address in target.addresses().await? {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                let transfer = |error| Failed::Transfer(Arc::new(error));
                let addresses = Addresses {
                    remote: stream.peer_addr().map_err(transfer)?,
                    local: stream.local_addr().map_err(transfer)?,
                };
                stream.set_nodelay(true).map_err(transfer)?;
                return Ok((stream, addresses));
            }
            Err(cause) => {
                failed = Failed::Connect {
                    host: target.hostname(),
                    cause: Arc::new(cause),
                };
            }
        }
    }
    Err(failed.into())
}

async fn secure(
    stream: Plain,
    name: ServerName<'static>,
    config: Option<Arc<ClientConfig>>,
    limit: Duration,
) -> Result<Box<TlsStream<Plain>>, Failed> {
    let Some(config) = config else {
        return Err(Failed::Lost);
    };
    let handshake = TlsConnector::from(config).connect(name, stream);
    let handshaken = timeout(limit, handshake).await;
    let stream = handshaken.map_err(|_| Failed::HandshakeTimeout(limit))?;
    stream.map(Box::new).map_err(|error| Failed::Handshake(Arc::new(error)))
}

#[expect(
    clippy::disallowed_methods,
    reason = "called from a future that `Bound::run` put on the I/O runtime"
)]
pub(super) fn spawn_here(task: impl Future<Output = ()> + Send + 'static) {
    // The task ends with the worker's ports, so it need not be joined.
    tokio::spawn(task);
}

async fn run(stream: Stream, options: Options, ports: Ports) {
    let Ports {
        mut commands,
        received,
        ending,
        released,
    } = ports;
    let ended = tokio::select! {
        () = released.cancelled() => Ok(()),
        ended = exchange(stream, &options, &mut commands, received) => ended,
    };
    ending.send_replace(Some(ended));
}

/// Runs a connection to its end, with TLS if it is started.
async fn exchange(
    mut stream: Stream,
    options: &Options,
    commands: &mut mpsc::Receiver<Command>,
    mut received: mpsc::Sender<Bytes>,
) -> Result<(), Failed> {
    while let Some(start) = Duplex::new(options).run(&mut stream, commands, &received).await? {
        let StartTls {
            name,
            client,
            received: sender,
            done,
        } = *start;
        let Either::Left(plain) = stream else {
            return Err(Failed::Lost);
        };
        let config = client.config(options.tls.as_ref());
        let secured = secure(plain, name, config, options.handshake_timeout).await?;
        // The worker may no longer wait.
        let _ = done.send(Handshaken::of(secured.get_ref().1));
        stream = Either::Right(secured);
        received = sender;
    }
    Ok(())
}

/// The state of a connection between two handshakes.
struct Duplex<'a> {
    options: &'a Options,
    reads: bool,
    writes: bool,
    /// Bytes to be written.
    unsent: Bytes,
    /// Notified when they are written and flushed.
    sent: Option<oneshot::Sender<()>>,
    /// True if written bytes are not flushed yet.
    is_dirty: bool,
    /// True if the end of the stream must be written.
    closes: bool,
    /// Notified when the end is written.
    closed: Option<oneshot::Sender<()>>,
}

impl<'a> Duplex<'a> {
    fn new(options: &'a Options) -> Self {
        Self {
            options,
            reads: true,
            writes: true,
            unsent: Bytes::new(),
            sent: None,
            is_dirty: false,
            closes: false,
            closed: None,
        }
    }

    /// Moves bytes in both directions, until both have ended or TLS starts.
    async fn run(
        &mut self,
        stream: &mut Stream,
        commands: &mut mpsc::Receiver<Command>,
        received: &mpsc::Sender<Bytes>,
    ) -> Result<Option<Box<StartTls>>, Failed> {
        let transfer = |error| Failed::Transfer(Arc::new(error));
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut permit = None;
        let idle_timeout = self.options.idle_timeout;
        let mut idle = pin!(sleep(idle_timeout));
        while self.reads || self.writes {
            let takes = self.writes && self.unsent.is_empty() && !self.is_dirty && !self.closes;
            let has_output = self.writes && (!self.unsent.is_empty() || self.is_dirty || self.closes);
            tokio::select! {
                reserved = received.reserve(), if self.reads && permit.is_none() => match reserved {
                    Ok(reserved) => permit = Some(reserved),
                    // The worker reads no more.
                    Err(_) => self.reads = false,
                },
                read = reader.read(&mut buffer), if self.reads && permit.is_some() => {
                    let length = match read {
                        // The peer did not end its TLS stream, which is acceptable if this side had ended its own.
                        Err(error) if self.closes && error.kind() == io::ErrorKind::UnexpectedEof => 0,
                        read => read.map_err(transfer)?,
                    };
                    let chunk = Bytes::copy_from_slice(&buffer[..length]);
                    if chunk.is_empty() {
                        self.reads = false;
                        self.closes |= !self.options.allow_half_open;
                    }
                    if let Some(permit) = permit.take() {
                        permit.send(self.options.ledger.keep(chunk));
                    }
                }
                command = commands.recv(), if takes => match command {
                    Some(Command::Send(chunk, sent)) => {
                        self.unsent = chunk;
                        self.sent = Some(sent);
                    }
                    Some(Command::Shutdown(done)) => {
                        self.closes = true;
                        self.closed = Some(done);
                    }
                    Some(Command::StartTls(start)) => return Ok(Some(start)),
                    None => return Ok(None),
                },
                output = output(&mut writer, &self.unsent, self.is_dirty), if has_output => {
                    let output = output.map_err(transfer)?;
                    self.is_dirty = matches!(output, Output::Written(_));
                    match output {
                        Output::Written(length) => self.unsent.advance(length),
                        Output::Flushed => confirm(&mut self.sent),
                        Output::Closed => {
                            self.writes = false;
                            confirm(&mut self.closed);
                        }
                    }
                }
                () = &mut idle => return Err(Failed::Idle(idle_timeout)),
            }
            idle.as_mut().reset(Instant::now() + idle_timeout);
        }
        Ok(None)
    }
}

/// Wakes the worker, unless it no longer waits.
fn confirm(waiting: &mut Option<oneshot::Sender<()>>) {
    if let Some(done) = waiting.take() {
        let _ = done.send(());
    }
}

/// A step of the output.
enum Output {
    Written(usize),
    Flushed,
    Closed,
}

/// Writes some of the bytes; without any, flushes, and then ends the stream. Cancel-safe.
async fn output(writer: &mut (impl AsyncWrite + Unpin), unsent: &[u8], is_dirty: bool) -> io::Result<Output> {
    if !unsent.is_empty() {
        return match writer.write(unsent).await? {
            0 => Err(io::ErrorKind::WriteZero.into()),
            length => Ok(Output::Written(length)),
        };
    }
    match is_dirty {
        true => writer.flush().await.map(|()| Output::Flushed),
        false => writer.shutdown().await.map(|()| Output::Closed),
    }
}
