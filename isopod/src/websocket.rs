//! WebSockets that workers accept, for programs with an HTTP server of their own. `isopod::server` (feature `server`) does
//! all of this itself.
//!
//! A request that [`handshake::opening`] recognizes is answered with status 101 and an [`Upgrade`] in the extensions of the
//! response. Its [`Wire`] runs on the byte stream that the server gets when the connection has switched.
//!
//! ```no_run
//! use isopod::websocket::{Ending, Role, Upgrade, handshake};
//! use isopod::{Body, Meta, Pool};
//!
//! async fn answer(pool: &Pool, request: http::Request<Body>) -> Result<http::Response<Body>, isopod::Failure> {
//!     let Ok(Some(opening)) = handshake::opening(&request, false) else {
//!         return pool.fetch("chat", request, Meta::default()).await;
//!     };
//!     // The session keeps the worker for as long as the socket.
//!     let session = pool.open_session("chat")?;
//!     let mut response = session.fetch(request, Meta::default()).await?;
//!     if let Some(upgrade) = response.extensions_mut().remove::<Upgrade>() {
//!         handshake::complete(response.headers_mut(), &opening);
//!         if let Some(wire) = upgrade.take() {
//!             // Once the server has sent the response: `wire.run(stream, read, Role::Server, ends)`.
//!             # drop(wire);
//!         }
//!     }
//!     Ok(response)
//! }
//! # use isopod::http;
//! ```

#[doc(inline)]
pub use isopod_runtime::websocket::{Ending, Guard, Report, Role, SocketLimits, Upgrade, Wire, handshake};
