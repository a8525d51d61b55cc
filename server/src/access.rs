//! Access control of an admin listener. Through a browser, any web page can reach loopback and private networks. A request
//! must therefore name the listener and be same-origin.

use http::{HeaderMap, Request, StatusCode, Version, header, uri::Authority};
use subtle::ConstantTimeEq;

/// Access rules of an admin listener. In addition, the method is checked and cross-site requests are refused.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct AdminAccess {
    /// Accepted `Host` names besides addresses, `localhost` and names without a dot. Any registered name could resolve to
    /// this listener (DNS rebinding). Default: none.
    pub hosts: Vec<String>,
    /// Bearer token required for all paths except `/healthz` and `/readyz`. Default: none.
    pub token: Option<String>,
}

impl std::fmt::Debug for AdminAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdminAccess")
            .field("hosts", &self.hosts)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .finish()
    }
}

/// The reason for denying a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denial {
    #[error("unknown host name; use the admin listener's address, or add the name to `admin.hosts`")]
    Host,
    #[error("cross-site requests to the admin listener are not allowed")]
    Origin,
    #[error("send `authorization: Bearer` with the token of `admin.token`")]
    Token,
}

impl Denial {
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::Host | Self::Origin => StatusCode::FORBIDDEN,
            Self::Token => StatusCode::UNAUTHORIZED,
        }
    }
}

impl AdminAccess {
    /// Checks a request.
    pub(crate) fn check<B>(&self, request: &Request<B>) -> Result<(), Denial> {
        let host = host(request).ok_or(Denial::Host)?;
        if !self.is_ours(&host) {
            return Err(Denial::Host);
        }
        if !is_same_origin(request.headers(), &host) {
            return Err(Denial::Origin);
        }
        // Probes need no token, because their answers contain no secrets.
        let is_probe = matches!(request.uri().path(), "/healthz" | "/readyz");
        match &self.token {
            Some(token) if !is_probe && !has_token(request.headers(), token) => Err(Denial::Token),
            _ => Ok(()),
        }
    }

    fn is_ours(&self, host: &Authority) -> bool {
        let name = host.host().trim_end_matches('.').to_ascii_lowercase();
        let address = name.trim_start_matches('[').trim_end_matches(']');
        address.parse::<std::net::IpAddr>().is_ok()
            || !name.contains('.')
            || name.ends_with(".localhost")
            || self.hosts.iter().any(|ours| ours.eq_ignore_ascii_case(&name))
    }
}

/// Returns the host of a request. An HTTP/1.0 client without a host is not a browser.
fn host<B>(request: &Request<B>) -> Option<Authority> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let authority: Authority = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok()?.parse().ok()?,
        (None, _) if request.version() < Version::HTTP_11 => Authority::from_static("localhost"),
        _ => return None,
    };
    (!authority.host().is_empty() && !authority.as_str().contains('@')).then_some(authority)
}

/// Returns whether a request is same-origin, by the headers that browsers send.
fn is_same_origin(headers: &HeaderMap, host: &Authority) -> bool {
    let header_fits = |name: &str, fits: &dyn Fn(&str) -> bool| {
        headers.get_all(name).iter().all(|value| value.to_str().is_ok_and(fits))
    };
    let is_ours = |origin: &str| {
        origin
            .strip_prefix("http://")
            .is_some_and(|origin| origin.eq_ignore_ascii_case(host.as_str()))
    };
    header_fits("origin", &is_ours) && header_fits("sec-fetch-site", &|site| matches!(site, "same-origin" | "none"))
}

fn has_token(headers: &HeaderMap, token: &str) -> bool {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(given), None) = (given.next(), given.next()) else {
        return false;
    };
    let Some((scheme, given)) = given.as_bytes().split_at_checked(7) else {
        return false;
    };
    scheme.eq_ignore_ascii_case(b"bearer ") && bool::from(given.trim_ascii().ct_eq(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(access: &AdminAccess, path: &str, headers: &[(&str, &str)]) -> Result<(), Denial> {
        let request = headers
            .iter()
            .fold(Request::builder().uri(path), |request, (name, value)| {
                request.header(*name, *value)
            });
        access.check(&request.body(()).unwrap())
    }

    #[test]
    fn public_names_are_not_names_of_the_listener() {
        let access = AdminAccess {
            hosts: vec!["admin.example.com".to_owned()],
            ..AdminAccess::default()
        };
        let by = |host: &str| check(&access, "/metrics", &[("host", host)]);
        for host in [
            "127.0.0.1:9000",
            "10.0.0.7",
            "[::1]:9000",
            "localhost:9000",
            "LOCALHOST",
            "isopod:9000",
            "a.localhost",
            "Admin.example.com:9000",
        ] {
            assert_eq!(by(host), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "a.admin.example.com",
            "u@127.0.0.1",
        ] {
            assert_eq!(by(host), Err(Denial::Host), "{host}");
        }
        assert_eq!(check(&access, "/metrics", &[]), Err(Denial::Host));
        assert_eq!(
            check(&access, "/metrics", &[("host", "a"), ("host", "b")]),
            Err(Denial::Host)
        );
    }

    /// https://fetch.spec.whatwg.org/#origin-header and https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header
    #[test]
    fn a_page_of_another_site_is_refused() {
        let access = AdminAccess::default();
        let from = |name: &str, value: &str| check(&access, "/healthz", &[("host", "127.0.0.1:9000"), (name, value)]);
        assert_eq!(from("origin", "http://127.0.0.1:9000"), Ok(()));
        assert_eq!(from("sec-fetch-site", "none"), Ok(()));
        assert_eq!(from("sec-fetch-site", "same-origin"), Ok(()));
        for origin in [
            "https://evil.example",
            "http://127.0.0.1:8787",
            "https://127.0.0.1:9000",
            "null",
            "",
        ] {
            assert_eq!(from("origin", origin), Err(Denial::Origin), "{origin}");
        }
        for site in ["cross-site", "same-site"] {
            assert_eq!(from("sec-fetch-site", site), Err(Denial::Origin), "{site}");
        }
    }

    #[test]
    fn with_a_token_only_probes_need_none() {
        let access = AdminAccess {
            token: Some("s3cret".to_owned()),
            ..AdminAccess::default()
        };
        let with = |path: &str, given: &str| check(&access, path, &[("host", "localhost"), ("authorization", given)]);
        assert_eq!(with("/metrics", "Bearer s3cret"), Ok(()));
        assert_eq!(with("/metrics", "bearer  s3cret"), Ok(()));
        for given in ["", "Bearer", "Bearer s3cre", "Bearer s3crett", "Basic s3cret", "s3cret"] {
            assert_eq!(with("/metrics", given), Err(Denial::Token), "{given}");
            assert_eq!(with("/readyz", given), Ok(()), "{given}");
        }
        assert!(!format!("{access:?}").contains("s3cret"));
    }
}
