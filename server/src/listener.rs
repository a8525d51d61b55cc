//! Sockets that accept. Bound synchronously, so that an address in use is an error of the start and not of a task.

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_rustls::TlsAcceptor;

use crate::{
    config::{Address, Listen},
    error::StartError,
    stream::Plain,
    tls,
};

pub(crate) struct Listener {
    socket: Socket,
    pub(crate) tls: Option<TlsAcceptor>,
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

impl Listener {
    /// Binds. Must be called inside an entered Tokio runtime, to which the socket then belongs.
    pub(crate) fn bind(listen: &Listen) -> Result<Self, StartError> {
        let refused = |source| StartError::Bind {
            address: listen.address.clone(),
            source,
        };
        let tls = listen.tls.as_ref().map(tls::acceptor).transpose()?;
        let socket = match &listen.address {
            Address::Tcp(address) => Socket::Tcp(tcp(*address).map_err(refused)?),
            Address::Unix(path) => Socket::Unix(unix(path).map_err(refused)?, path.clone()),
        };
        Ok(Self { socket, tls })
    }

    pub(crate) fn address(&self) -> io::Result<Address> {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr().map(Address::Tcp),
            Socket::Unix(_, path) => Ok(Address::Unix(path.clone())),
        }
    }

    pub(crate) async fn accept(&self) -> io::Result<(Plain, Option<SocketAddr>)> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((Plain::Tcp(stream), Some(peer)))
            }
            Socket::Unix(listener, _) => Ok((Plain::Unix(listener.accept().await?.0), None)),
        }
    }

    /// A connection that waits to be accepted, if there is one. Asks the system itself: the runtime hears of a new
    /// connection a moment later, and closing the socket in that moment would reset it.
    pub(crate) fn accept_waiting(&self) -> Option<io::Result<(Plain, Option<SocketAddr>)>> {
        let accepted = match &self.socket {
            Socket::Tcp(listener) => duplicate(listener.as_fd(), std::net::TcpListener::from).and_then(|listener| {
                let (stream, peer) = listener.accept()?;
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                Ok((Plain::Tcp(TcpStream::from_std(stream)?), Some(peer)))
            }),
            Socket::Unix(listener, _) => {
                duplicate(listener.as_fd(), std::os::unix::net::UnixListener::from).and_then(|listener| {
                    let (stream, _) = listener.accept()?;
                    stream.set_nonblocking(true)?;
                    Ok((Plain::Unix(UnixStream::from_std(stream)?), None))
                })
            }
        };
        match accepted {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            accepted => Some(accepted),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Socket::Unix(_, path) = &self.socket {
            // Failing to remove it costs nothing: the next start finds that nobody listens there and takes it over.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The same socket by another descriptor, which does not block either.
fn duplicate<T>(socket: BorrowedFd<'_>, open: impl FnOnce(OwnedFd) -> T) -> io::Result<T> {
    socket.try_clone_to_owned().map(open)
}

pub(crate) fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        tokio::net::TcpSocket::new_v4()?
    } else {
        tokio::net::TcpSocket::new_v6()?
    };
    // A restart must not wait for the old connections' TIME_WAIT to end.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

fn unix(path: &std::path::Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            // A socket nobody answers on is what a killed process left behind.
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(error);
            }
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        bound => bound,
    }
}
