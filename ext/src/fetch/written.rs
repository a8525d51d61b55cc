//! The configuration of `fetch` in written form, for workers in other processes.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ConnectionOptions, FetchConfig, FetchLimits, NetPolicy, Network, OwnServers, Resolver, Rule, RuleError};

/// A [`FetchConfig`] in written form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WrittenFetch {
    allow_private: bool,
    allow: Vec<String>,
    deny: Vec<String>,
    only: Option<Vec<String>>,
    user_agent: String,
    limits: FetchLimits,
    /// The key of the process's own servers.
    servers: Option<String>,
    connect_timeout: Duration,
    idle_timeout: Duration,
    idle_per_host_max: usize,
    extra_roots: Vec<Vec<u8>>,
}

impl FetchConfig {
    /// Returns the written form, or `None` if the embedder's resolver is set, which another process does not have.
    #[must_use]
    pub fn written(&self) -> Option<WrittenFetch> {
        (self.connection.resolver == Resolver::default()).then(|| WrittenFetch {
            servers: self.servers.key().map(str::to_owned),
            ..self.written_for_sandbox()
        })
    }

    /// Returns the written form for a worker that asks the process with the network, without the resolver and the key of its
    /// servers.
    #[must_use]
    pub fn written_for_sandbox(&self) -> WrittenFetch {
        let connection = &self.connection;
        let texts = |rules: &[Rule]| rules.iter().map(Rule::to_string).collect();
        WrittenFetch {
            allow_private: self.policy.allow_private,
            allow: texts(&self.policy.allow),
            deny: texts(&self.policy.deny),
            only: self.policy.only.as_deref().map(texts),
            user_agent: self.user_agent.clone(),
            limits: self.limits.clone(),
            servers: None,
            connect_timeout: connection.connect_timeout,
            idle_timeout: connection.idle_timeout,
            idle_per_host_max: connection.idle_per_host_max,
            extra_roots: connection.extra_roots.clone(),
        }
    }
}

impl TryFrom<WrittenFetch> for FetchConfig {
    type Error = RuleError;

    fn try_from(written: WrittenFetch) -> Result<Self, RuleError> {
        let rules = |texts: Vec<String>| texts.iter().map(|text| text.parse()).collect::<Result<Vec<Rule>, _>>();
        let policy = NetPolicy {
            allow_private: written.allow_private,
            allow: rules(written.allow)?,
            deny: rules(written.deny)?,
            only: written.only.map(rules).transpose()?,
        };
        Ok(Self {
            policy: Arc::new(policy),
            user_agent: written.user_agent,
            limits: written.limits,
            servers: written.servers.map_or_else(OwnServers::default, OwnServers::new),
            connection: ConnectionOptions {
                connect_timeout: written.connect_timeout,
                idle_timeout: written.idle_timeout,
                idle_per_host_max: written.idle_per_host_max,
                extra_roots: written.extra_roots,
                resolver: Resolver::default(),
            },
            network: Network::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_survives_its_written_form() {
        let rules = [
            "*:25",
            "*.internal:443",
            "10.0.0.0/8",
            "[fd00::/8]:443",
            "::1",
            "db.internal",
        ];
        let rules: Vec<Rule> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        let config = FetchConfig {
            policy: Arc::new(NetPolicy {
                allow_private: true,
                allow: rules.clone(),
                deny: rules.clone(),
                only: Some(rules),
            }),
            servers: OwnServers::new("key"),
            ..FetchConfig::default()
        };
        let back = FetchConfig::try_from(config.written().unwrap()).unwrap();
        assert_eq!(back.policy, config.policy);
        assert_eq!(back.servers.key(), Some("key"));
        assert_eq!((back.limits, back.connection), (config.limits, config.connection));
    }
}
