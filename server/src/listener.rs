//! Listening sockets. Bound synchronously, so that an address in use is a startup error.

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
    sync::Arc,
};

use socket2::{Domain, Protocol, SockFilter, SockRef, Socket as RawSocket, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::{
    config::{Address, Listen},
    error::StartError,
    stream::Socket as Accepted,
    tls::Identity,
};

/// Maximum number of connections waiting to be accepted.
const BACKLOG: i32 = 1024;

/// A bound address that does not accept connections yet. A TCP port refuses them; on a Unix socket they wait, because a
/// socket that refuses looks like a stale one.
pub(crate) struct Claim {
    socket: Claimed,
    tls: Option<Arc<Identity>>,
    address: Address,
}

enum Claimed {
    Tcp(RawSocket),
    Unix(std::os::unix::net::UnixListener, SocketFile),
}

/// A Unix socket's file, removed when it stops accepting.
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // A failure is harmless: the next start takes over a socket without a listener.
        let _ = std::fs::remove_file(&self.0);
    }
}

pub(crate) struct Listener {
    socket: Socket,
    pub(crate) tls: Option<Arc<Identity>>,
    /// The file of a Unix socket, while this listener owns it.
    file: Option<SocketFile>,
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A filter that drops SYN packets without ACK.
///
/// A client then retries instead of getting a reset. By that time the port is closed, or belongs to a successor.
const NO_NEW_CONNECTIONS: [SockFilter; 5] = [
    SockFilter::new(0x30, 0, 0, 13),       // load byte 13 of the TCP header
    SockFilter::new(0x54, 0, 0, 0x12),     // and 0x12: ACK, SYN
    SockFilter::new(0x15, 0, 1, 0x02),     // equal to SYN?
    SockFilter::new(0x06, 0, 0, 0),        // then drop it
    SockFilter::new(0x06, 0, 0, u32::MAX), // else keep all of it
];

impl Claim {
    /// Binds the address and reads the certificate, if any.
    pub(crate) fn new(listen: &Listen) -> Result<Self, StartError> {
        let refused = |source| StartError::Bind {
            address: listen.address.clone(),
            source,
        };
        let tls = listen.tls.as_ref().map(Identity::read).transpose()?.map(Arc::new);
        let (socket, address) = match &listen.address {
            Address::Tcp(address) => {
                let (socket, address) = claim_tcp(*address).map_err(refused)?;
                (Claimed::Tcp(socket), Address::Tcp(address))
            }
            Address::Unix(path) => {
                let socket = claim_unix(path).map_err(refused)?;
                (Claimed::Unix(socket, SocketFile(path.clone())), listen.address.clone())
            }
        };
        Ok(Self { socket, tls, address })
    }

    /// Returns the address as configured, with the port chosen by the system.
    pub(crate) const fn address(&self) -> &Address {
        &self.address
    }

    pub(crate) fn identity(&self) -> Option<Arc<Identity>> {
        self.tls.clone()
    }

    /// Accepts connections. Must be called inside an entered Tokio runtime.
    pub(crate) fn listen(self) -> Result<Listener, StartError> {
        let Self { socket, tls, address } = self;
        let (socket, file) = match socket {
            Claimed::Tcp(socket) => (listen_tcp(socket).map(Socket::Tcp), None),
            Claimed::Unix(socket, file) => (UnixListener::from_std(socket).map(Socket::Unix), Some(file)),
        };
        let socket = socket.map_err(|source| StartError::Bind { address, source })?;
        Ok(Listener { socket, tls, file })
    }
}

impl Listener {
    /// Prevents new connections, which would be reset if they were established between the last [`Listener::accept_waiting`]
    /// and closing the socket.
    pub(crate) fn refuse_new(&mut self) {
        match &self.socket {
            // If the system refuses the filter, connections of that moment are reset.
            Socket::Tcp(listener) => match SockRef::from(listener).attach_filter(&NO_NEW_CONNECTIONS) {
                Ok(()) => {}
                Err(error) => tracing::debug!(target: "isopod::server", %error, "cannot delay new connections"),
            },
            Socket::Unix(_) => drop(self.file.take()),
        }
    }

    pub(crate) async fn accept(&self) -> io::Result<(Accepted, Option<SocketAddr>)> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((Accepted::Tcp(stream), Some(peer)))
            }
            Socket::Unix(listener) => Ok((Accepted::Unix(listener.accept().await?.0), None)),
        }
    }

    /// Returns a waiting connection, if any. Asks the system directly, because the runtime learns of a connection later, and
    /// closing the socket before that would reset it.
    pub(crate) fn accept_waiting(&self) -> Option<io::Result<(Accepted, Option<SocketAddr>)>> {
        let accepted = match &self.socket {
            Socket::Tcp(listener) => duplicate(listener.as_fd(), std::net::TcpListener::from).and_then(|listener| {
                let (stream, peer) = listener.accept()?;
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                Ok((Accepted::Tcp(TcpStream::from_std(stream)?), Some(peer)))
            }),
            Socket::Unix(listener) => {
                duplicate(listener.as_fd(), std::os::unix::net::UnixListener::from).and_then(|listener| {
                    let (stream, _) = listener.accept()?;
                    stream.set_nonblocking(true)?;
                    Ok((Accepted::Unix(UnixStream::from_std(stream)?), None))
                })
            }
        };
        match accepted {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            accepted => Some(accepted),
        }
    }
}

/// Duplicates the socket descriptor, non-blocking as well.
fn duplicate<T>(socket: BorrowedFd<'_>, open: impl FnOnce(OwnedFd) -> T) -> io::Result<T> {
    socket.try_clone_to_owned().map(open)
}

/// Binds a TCP port and returns its address.
pub(crate) fn claim_tcp(address: SocketAddr) -> io::Result<(RawSocket, SocketAddr)> {
    let socket = RawSocket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // A restart must not wait for the TIME_WAIT of old connections.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    let address = socket.local_addr()?.as_socket().unwrap_or(address);
    Ok((socket, address))
}

/// Accepts connections. Must be called inside an entered Tokio runtime.
pub(crate) fn listen_tcp(socket: RawSocket) -> io::Result<TcpListener> {
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn claim_unix(path: &std::path::Path) -> io::Result<std::os::unix::net::UnixListener> {
    use std::os::unix::net::{UnixListener, UnixStream};
    let socket = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            // A socket without a listener was left behind by a killed process.
            if UnixStream::connect(path).is_ok() {
                return Err(error);
            }
            std::fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        bound => bound?,
    };
    socket.set_nonblocking(true)?;
    Ok(socket)
}
