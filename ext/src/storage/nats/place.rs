//! The address of a NATS server, parsed from its URL.

use std::fmt;

use super::super::StorageError;

/// Default prefix of streams and subjects.
const PREFIX: &str = "isopod";
const ABOUT: &str = "should be nats://HOST:PORT, or nats://USER:PASSWORD@HOST:PORT,HOST:PORT/PREFIX?replicas=3";

/// A server or cluster, and the prefix there.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The servers' URLs, without credentials.
    pub(super) servers: Vec<String>,
    pub(super) login: Login,
    pub(super) prefix: String,
    /// The number of servers of a cluster that store a queue.
    pub(super) replicas: u8,
}

/// The credentials of a URL.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Login {
    None,
    Token(String),
    Password(String, String),
}

impl Place {
    pub(super) fn parse(url: &str) -> Result<Self, StorageError> {
        let wrong = |reason: &str| StorageError::Failed(format!("{reason}; a URL of NATS {ABOUT}"));
        let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong("it has no scheme"))?;
        if !matches!(scheme, "nats" | "tls") {
            return Err(wrong("its scheme is not `nats` or `tls`"));
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (Some(login), hosts),
            None => (None, authority),
        };
        let plain = |text: &str| {
            percent_encoding::percent_decode_str(text)
                .decode_utf8_lossy()
                .into_owned()
        };
        let login = match login.map(|login| login.split_once(':').ok_or(login)) {
            None => Login::None,
            Some(Err(token)) => Login::Token(plain(token)),
            Some(Ok((user, password))) => Login::Password(plain(user), plain(password)),
        };
        if hosts.split(',').any(str::is_empty) {
            return Err(wrong("a host is missing"));
        }
        let prefix = match path.trim_end_matches('/') {
            "" => PREFIX,
            prefix if prefix.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') => prefix,
            _ => return Err(wrong("the prefix has other characters than letters, digits and `-`")),
        };
        let mut replicas = 1;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            replicas = match pair.split_once('=') {
                Some(("replicas", number)) => number.parse().ok().filter(|number| matches!(number, 1..=5)),
                _ => return Err(wrong("`replicas` is the one parameter that is known")),
            }
            .ok_or_else(|| wrong("`replicas` is not a number from 1 to 5"))?;
        }
        Ok(Self {
            servers: hosts.split(',').map(|host| format!("{scheme}://{host}")).collect(),
            login,
            prefix: prefix.to_owned(),
            replicas,
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.servers.iter().filter_map(|server| server.split_once("://"));
        let hosts: Vec<_> = hosts.map(|(_, host)| host).collect();
        write!(f, "{}/{}", hosts.join(","), self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(url: &str) -> String {
        Place::parse(url).map_or_else(|error| error.to_string(), |place| place.to_string())
    }

    #[test]
    fn a_url_names_hosts_a_prefix_and_replicas() {
        assert_eq!(shown("nats://localhost:4222"), "localhost:4222/isopod");
        let place = Place::parse("tls://app:p%40ss@a:4222,b:4223/shop?replicas=3").unwrap();
        assert_eq!(place.servers, ["tls://a:4222", "tls://b:4223"]);
        assert!(place.login == Login::Password("app".to_owned(), "p@ss".to_owned()));
        assert_eq!((&*place.prefix, place.replicas), ("shop", 3));
        assert_eq!(place.to_string(), "a:4222,b:4223/shop");
        assert!(Place::parse("nats://secret@a").unwrap().login == Login::Token("secret".to_owned()));
    }

    #[test]
    fn a_wrong_url_is_refused_with_an_example() {
        for (url, part) in [
            ("nats:localhost", "no scheme"),
            ("redis://localhost", "not `nats` or `tls`"),
            ("nats://a,", "a host is missing"),
            ("nats://", "a host is missing"),
            ("nats://a/x_y", "the prefix has other characters"),
            ("nats://a?replicas=9", "not a number from 1 to 5"),
            ("nats://a?tls=1", "the one parameter"),
        ] {
            let error = shown(url);
            assert!(
                error.contains(part) && error.contains("nats://HOST:PORT"),
                "{url}: {error}"
            );
        }
    }
}
