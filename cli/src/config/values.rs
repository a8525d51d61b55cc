//! Values with a text form of Isopod's own: listen addresses, route patterns, database URLs, network rules.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use isopod::Rule;
use isopod::host::bus::Pattern;
use isopod::server::TrustedProxy;
use isopod::storage::{NatsServer, PostgresServer};

use super::cron::Cron;
use super::text::{Bytes, TextForm, text_value};

/// An address to listen on: `127.0.0.1:8787`, `[::]:8787`, `localhost:8787`, `unix:/run/isopod.sock`; `8787` on 127.0.0.1,
/// `:8787` on every address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A TCP address; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}
text_value!(Listen);

impl TextForm for Listen {
    const FORMAT: &'static str = "listen-address";
    const ABOUT: &'static str = "an address with a port such as \"127.0.0.1:8787\" or \"[::]:8787\", a port (\"8787\" on 127.0.0.1, \
         \":8787\" on every address), or \"unix:/path\"";

    fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
            return Ok(Self::Unix(path.into()));
        }
        // The parser would accept `+80`, which is not a port.
        let port = |text: &str| text.parse().ok().filter(|_| !text.starts_with('+'));
        if let Some(port) = port(text.strip_prefix("localhost:").unwrap_or(text)) {
            return Ok(Self::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port))));
        }
        if let Some(port) = text.strip_prefix(':').and_then(port) {
            return Ok(Self::Tcp(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))));
        }
        text.parse()
            .map(Self::Tcp)
            .map_err(|_| format!("should be {}", Self::ABOUT))
    }

    fn print(&self) -> String {
        match self {
            Self::Tcp(address) => address.to_string(),
            Self::Unix(path) => format!("unix:{}", path.display()),
        }
    }
}

/// A route's pattern: `example.com/api/*`, `*.example.com`, `/api/*`.
///
/// Without a host it matches every host, without a path every path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutePattern {
    /// The host in lower case. `*.example.com` is every subdomain, `*example.com` the domain as well. `None`: every host.
    pub host: Option<String>,
    /// The path: exact, or everything that starts with it when it ends in `*`.
    pub path: String,
}
text_value!(RoutePattern);

impl RoutePattern {
    /// Returns the pattern that matches every request.
    pub fn everything() -> Self {
        Self {
            host: None,
            path: "/*".to_owned(),
        }
    }
}

impl TextForm for RoutePattern {
    const FORMAT: &'static str = "route-pattern";
    const ABOUT: &'static str = "a host and a path such as \"example.com/api/*\", \"*.example.com/*\" or \"/api/*\"";

    fn parse(text: &str) -> Result<Self, String> {
        let rest = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"))
            .unwrap_or(text);
        let (host, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/*"),
        };
        if text.is_empty() || text.contains(char::is_whitespace) {
            return Err(format!("should be {}", Self::ABOUT));
        }
        if path.contains(['?', '#']) {
            return Err("a route matches host and path, not the query; remove the part after `?`".to_owned());
        }
        if path.find('*').is_some_and(|at| at + 1 != path.len()) {
            return Err("`*` is only allowed at the end of the path".to_owned());
        }
        if host.rfind('*').is_some_and(|at| at != 0) {
            return Err("`*` is only allowed at the start of the host".to_owned());
        }
        if host.contains(':') {
            return Err("a route's host has no port; ports belong in `listen`".to_owned());
        }
        let host = (!matches!(host, "" | "*")).then(|| host.to_ascii_lowercase());
        Ok(Self {
            host,
            path: path.to_owned(),
        })
    }

    fn print(&self) -> String {
        format!("{}{}", self.host.as_deref().unwrap_or_default(), self.path)
    }
}

/// A rule of `network.allow` and similar lists: an address, a network (`10.0.0.0/8`), a name (`api.internal`,
/// `*.internal`) or any host (`*`), optionally with a port (`*:25`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkRule(Rule);
text_value!(NetworkRule);

impl NetworkRule {
    /// Converts it for the network guard.
    #[must_use]
    pub const fn rule(&self) -> &Rule {
        &self.0
    }
}

impl TextForm for NetworkRule {
    const FORMAT: &'static str = "network-rule";
    const ABOUT: &'static str = "an address (\"10.0.0.7\"), a network (\"10.0.0.0/8\") or a host name (\"api.internal\", \"*.internal\"), with a \
         port or without (\"10.0.0.7:8080\", \"*:25\")";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| format!("should be {}", Self::ABOUT))
    }

    fn print(&self) -> String {
        self.0.to_string()
    }
}

/// A proxy that is trusted to name its client: an address, a network (`10.0.0.0/8`), or `unix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyAddress(String, TrustedProxy);
text_value!(ProxyAddress);

impl ProxyAddress {
    /// Converts it for the server.
    #[must_use]
    pub fn trusted(&self) -> TrustedProxy {
        self.1.clone()
    }
}

impl TextForm for ProxyAddress {
    const FORMAT: &'static str = "proxy-address";
    const ABOUT: &'static str =
        "an address (\"10.0.0.7\"), a network (\"10.0.0.0/8\") or \"unix\" for peers on a Unix socket";

    fn parse(text: &str) -> Result<Self, String> {
        let trusted = text.parse().map_err(|_| format!("should be {}", Self::ABOUT))?;
        Ok(Self(text.to_owned(), trusted))
    }

    fn print(&self) -> String {
        self.0.clone()
    }
}

/// Topics of messages: `orders.created`, `orders.*` (one more segment), `orders.>` (one or more).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPattern(Pattern);
text_value!(TopicPattern);

impl TopicPattern {
    /// Converts it for the bus.
    #[must_use]
    pub const fn pattern(&self) -> &Pattern {
        &self.0
    }

    /// Returns whether it only matches the process's own events.
    pub(super) fn is_reserved(&self) -> bool {
        self.0.segments().next() == Some("isopod")
    }
}

impl TextForm for TopicPattern {
    const FORMAT: &'static str = "topic-pattern";
    const ABOUT: &'static str = "a topic such as \"orders.created\", or a pattern such as \"orders.*\" or \"orders.>\"";

    fn parse(text: &str) -> Result<Self, String> {
        let pattern = text.parse::<Pattern>();
        pattern
            .map(Self)
            .map_err(|error| format!("{error}; should be {}", Self::ABOUT))
    }

    fn print(&self) -> String {
        self.0.to_string()
    }
}

/// Text that is never shown: its `Debug` omits the value.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// Returns the value itself, for code that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A database's URL. PostgreSQL's may contain a password, so it is a [`Secret`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A SQLite database in memory, which ends with its connection.
    SqliteMemory,
    /// A PostgreSQL server.
    Postgres(Secret),
}
text_value!(DatabaseUrl);

impl DatabaseUrl {
    /// Returns the whole URL, including a password.
    pub(super) fn reveal(&self) -> String {
        match self {
            Self::Postgres(url) => url.reveal().to_owned(),
            other => other.print(),
        }
    }
}

impl TextForm for DatabaseUrl {
    const FORMAT: &'static str = "database-url";
    const ABOUT: &'static str = "\"sqlite:data/app.db\", \"sqlite::memory:\" or \"postgres://user@host/name\"";

    fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path {
                ":memory:" => Ok(Self::SqliteMemory),
                "" => Err("names no file, for example \"sqlite:data/app.db\"".to_owned()),
                path => Ok(Self::Sqlite(path.into())),
            };
        }
        let server = text
            .strip_prefix("postgres://")
            .or_else(|| text.strip_prefix("postgresql://"));
        match server {
            Some(rest) if !rest.is_empty() => Ok(Self::Postgres(Secret::new(text))),
            _ => Err(format!("should be {}", Self::ABOUT)),
        }
    }

    fn print(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
            Self::SqliteMemory => "sqlite::memory:".to_owned(),
            Self::Postgres(_) => "postgres://…".to_owned(),
        }
    }
}

/// The place of data: files of this machine, or a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StorageUrl {
    /// Files, at the places that the bindings have.
    #[default]
    Local,
    /// The URL in a variable.
    Variable(String),
    /// A PostgreSQL server.
    Postgres(Secret),
    /// A NATS server.
    Nats(Secret),
    /// A bucket of S3, or of a service with its interface.
    S3(S3Url),
}
text_value!(StorageUrl);

/// The place of a bucket: `s3://BUCKET/PREFIX?endpoint=…&region=…`. It contains no credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Url {
    /// The bucket.
    pub bucket: String,
    /// The beginning of the names of objects, empty or with a slash at its end.
    pub prefix: String,
    /// The URL of the service.
    pub endpoint: Option<String>,
    /// The region.
    pub region: Option<String>,
}

impl S3Url {
    fn parse(text: &str) -> Result<Self, String> {
        const ABOUT: &str = "should be s3://BUCKET, or s3://BUCKET/PREFIX?endpoint=https://HOST&region=REGION";
        let url = url::Url::parse(text).map_err(|error| format!("{error}; {ABOUT}"))?;
        let bucket = url.host_str().filter(|host| !host.is_empty()).ok_or(ABOUT)?;
        if !url.username().is_empty() || url.password().is_some() || url.port().is_some() || url.fragment().is_some() {
            return Err(format!(
                "{ABOUT}; credentials are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            ));
        }
        let prefix = url.path().trim_matches('/');
        let mut of = Self {
            bucket: bucket.to_owned(),
            prefix: if prefix.is_empty() {
                String::new()
            } else {
                format!("{prefix}/")
            },
            endpoint: None,
            region: None,
        };
        for (name, value) in url.query_pairs() {
            match &*name {
                "endpoint" => of.endpoint = Some(value.into_owned()),
                "region" => of.region = Some(value.into_owned()),
                other => return Err(format!("`{other}` is not known; {ABOUT}")),
            }
        }
        Ok(of)
    }
}

impl TextForm for StorageUrl {
    const FORMAT: &'static str = "storage-url";
    const ABOUT: &'static str = "\"local\", \"postgres://user@host/name\", \"nats://host:4222\", \"s3://bucket/prefix\", or \"$NAME\" for the URL in an environment variable or env file";

    fn parse(text: &str) -> Result<Self, String> {
        let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if text == "local" {
            return Ok(Self::Local);
        }
        if let Some(name) = text.strip_prefix('$').filter(|name| is_name(name)) {
            return Ok(Self::Variable(name.to_owned()));
        }
        match text.split_once("://") {
            Some(("postgres" | "postgresql", rest)) if !rest.is_empty() => match PostgresServer::new(text) {
                Ok(_) => Ok(Self::Postgres(Secret::new(text))),
                Err(error) => Err(error.to_string()),
            },
            Some(("nats" | "tls", _)) => match NatsServer::new(text) {
                Ok(_) => Ok(Self::Nats(Secret::new(text))),
                Err(error) => Err(error.to_string()),
            },
            Some(("s3", _)) => S3Url::parse(text).map(Self::S3),
            _ => Err(format!("should be {}", Self::ABOUT)),
        }
    }

    fn print(&self) -> String {
        match self {
            Self::S3(url) => format!("s3://{}/{}", url.bucket, url.prefix),
            Self::Local => "local".to_owned(),
            Self::Variable(name) => format!("${name}"),
            Self::Nats(_) => "nats://…".to_owned(),
            Self::Postgres(_) => "postgres://…".to_owned(),
        }
    }
}

/// The name of a worker, used in logs, metrics and routes.
pub(super) struct WorkerName;

impl WorkerName {
    pub(super) const FORMAT: &'static str = "worker-name";
    pub(super) const ABOUT: &'static str = "1 to 63 letters, digits, `-` or `_`";

    pub(super) fn check(text: &str) -> Result<(), String> {
        let fits = (1..=63).contains(&text.len())
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        if fits {
            Ok(())
        } else {
            Err(format!("should be {}", Self::ABOUT))
        }
    }
}

/// Checks a text against a `format` of the schema.
pub(super) fn check_format(format: &str, text: &str) -> Result<(), String> {
    match format {
        Duration::FORMAT => Duration::parse(text).map(drop),
        Bytes::FORMAT => Bytes::parse(text).map(drop),
        Listen::FORMAT => Listen::parse(text).map(drop),
        RoutePattern::FORMAT => RoutePattern::parse(text).map(drop),
        NetworkRule::FORMAT => NetworkRule::parse(text).map(drop),
        ProxyAddress::FORMAT => ProxyAddress::parse(text).map(drop),
        DatabaseUrl::FORMAT => DatabaseUrl::parse(text).map(drop),
        StorageUrl::FORMAT => StorageUrl::parse(text).map(drop),
        WorkerName::FORMAT => WorkerName::check(text),
        Cron::FORMAT => Cron::parse(text).map(drop),
        TopicPattern::FORMAT => TopicPattern::parse(text).map(drop),
        _ => Ok(()),
    }
}

/// Describes a `format`.
pub(super) fn about_format(format: &str) -> Option<&'static str> {
    Some(match format {
        Duration::FORMAT => Duration::ABOUT,
        Bytes::FORMAT => Bytes::ABOUT,
        Listen::FORMAT => Listen::ABOUT,
        RoutePattern::FORMAT => RoutePattern::ABOUT,
        NetworkRule::FORMAT => NetworkRule::ABOUT,
        ProxyAddress::FORMAT => ProxyAddress::ABOUT,
        DatabaseUrl::FORMAT => DatabaseUrl::ABOUT,
        StorageUrl::FORMAT => StorageUrl::ABOUT,
        WorkerName::FORMAT => WorkerName::ABOUT,
        Cron::FORMAT => Cron::ABOUT,
        TopicPattern::FORMAT => TopicPattern::ABOUT,
        _ => return None,
    })
}

/// Returns whether a text of this `format` may contain a password, so that neither it nor its line is shown.
pub(super) fn is_sensitive(format: &str) -> bool {
    format == DatabaseUrl::FORMAT || format == StorageUrl::FORMAT
}
