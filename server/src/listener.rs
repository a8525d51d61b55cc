//! Sockets that accept. Bound synchronously, so that an address in use is an error of the start and not of a task.

use std::{io, net::SocketAddr, path::PathBuf};

use tokio::net::{TcpListener, UnixListener};
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
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Socket::Unix(_, path) = &self.socket {
            // Failing to remove it costs nothing: the next start finds that nobody listens there and takes it over.
            let _ = std::fs::remove_file(path);
        }
    }
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
