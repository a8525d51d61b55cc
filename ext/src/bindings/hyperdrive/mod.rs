//! `env.HYPERDRIVE`: the address of a database in the shape of Workers' Hyperdrive, for database clients in scripts.
//!
//! There is no proxy: a client connects to the database over `cloudflare:sockets`. The binding permits the script's sockets
//! to connect to that address regardless of the network guard.

use std::fmt;

use deno_core::OpState;
use deno_core::url::Url;
use percent_encoding::percent_decode_str;
use serde_json::json;

use super::{Binding, EnvValue, NewWorker, WrittenBinding};
use crate::sockets::Granted;

/// A database that a client in the script connects to, such as `pg`, `postgres` or `mysql2`.
///
/// ```
/// # mod isopod { pub use isopod_ext::bindings; }
/// use isopod::bindings::Hyperdrive;
///
/// let database = Hyperdrive::new("postgres://shop:secret@db.internal/shop")?;
/// # drop(database);
/// # Ok::<_, isopod::bindings::HyperdriveUrlError>(())
/// ```
///
/// `env.NAME.connectionString` is the URL; `host`, `port`, `user`, `password` and `database` are its parts, and `connect()`
/// opens a socket to it. The script's sockets, but not `fetch`, may connect to this host and port regardless of the network
/// guard.
#[derive(Clone)]
pub struct Hyperdrive {
    url: Url,
    host: String,
    port: u16,
}

/// An error of a database's URL.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum HyperdriveUrlError {
    /// It is not a URL.
    #[error("it is not a URL; write `postgres://user:password@host:5432/database`")]
    Syntax,
    /// Its scheme is not that of a supported database.
    #[error("its scheme should be `postgres`, `postgresql` or `mysql`")]
    Scheme,
    /// It has no host.
    #[error("it has no host; write `postgres://user:password@host:5432/database`")]
    Host,
}

impl Hyperdrive {
    /// Creates a binding for the database at a URL. The default port is 5432 for PostgreSQL and 3306 for MySQL.
    ///
    /// # Errors
    /// The URL is invalid, has no host, or is not that of a supported database.
    pub fn new(url: &str) -> Result<Self, HyperdriveUrlError> {
        let url = Url::parse(url).map_err(|_| HyperdriveUrlError::Syntax)?;
        let port = match url.scheme() {
            "postgres" | "postgresql" => 5432,
            "mysql" => 3306,
            _ => return Err(HyperdriveUrlError::Scheme),
        };
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or(HyperdriveUrlError::Host)?;
        Ok(Self {
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: url.port().unwrap_or(port),
            url,
        })
    }
}

impl fmt::Debug for Hyperdrive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hyperdrive({}:{})", self.host, self.port)
    }
}

impl Binding for Hyperdrive {
    fn kind(&self) -> &'static str {
        "Hyperdrive"
    }

    fn install(&self, _name: &str, _worker: &NewWorker<'_>, state: &mut OpState) -> EnvValue<'_> {
        Granted::add(state, &self.host, self.port);
        let text = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        let options = json!({
            "connectionString": self.url.as_str(),
            "host": self.host,
            "port": self.port,
            "user": text(self.url.username()),
            "password": text(self.url.password().unwrap_or_default()),
            "database": text(self.url.path().trim_start_matches('/')),
        });
        EnvValue::made("ext:isopod_hyperdrive/hyperdrive.js", &options)
    }

    fn grants(&self) -> Option<(String, u16)> {
        Some((self.host.clone(), self.port))
    }

    fn written(&self) -> Option<WrittenBinding> {
        Some(WrittenBinding::Hyperdrive(self.url.to_string()))
    }
}

/// A module of its own, because the macro creates a public type.
pub(crate) mod extension {
    deno_core::extension!(
        isopod_hyperdrive,
        deps = [isopod_sockets],
        lazy_loaded_js = [dir "src/bindings/hyperdrive", "hyperdrive.js"],
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_host_and_a_port() {
        let at = |url| Hyperdrive::new(url).map(|it| (it.host, it.port));
        assert_eq!(
            at("postgres://u:p@db.internal/shop"),
            Ok(("db.internal".to_owned(), 5432))
        );
        assert_eq!(at("mysql://u:p@127.0.0.1/shop"), Ok(("127.0.0.1".to_owned(), 3306)));
        assert_eq!(at("postgresql://[::1]:6000/shop"), Ok(("::1".to_owned(), 6000)));
        assert_eq!(at("https://db.internal/"), Err(HyperdriveUrlError::Scheme));
        assert_eq!(at("postgres:///shop"), Err(HyperdriveUrlError::Host));
        assert_eq!(at("shop"), Err(HyperdriveUrlError::Syntax));
    }

    #[test]
    fn the_password_is_not_shown() {
        let binding = Hyperdrive::new("postgres://shop:hunter2@db.internal/shop").unwrap();
        assert_eq!(format!("{binding:?}"), "Hyperdrive(db.internal:5432)");
    }
}
