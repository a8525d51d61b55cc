//! The destinations that a worker's bindings permit to its sockets.

use deno_core::OpState;
use deno_core::url::Host;

use super::target::parse;

/// Hosts and ports that the worker may connect to regardless of the network guard.
#[derive(Default)]
pub(crate) struct Granted(Vec<(Host<String>, u16)>);

impl Granted {
    /// Permits a host and a port to the worker. Invalid hosts are skipped.
    pub(crate) fn add(state: &mut OpState, host: &str, port: u16) {
        if !state.has::<Self>() {
            state.put(Self::default());
        }
        state
            .borrow_mut::<Self>()
            .0
            .extend(parse(host).map(|host| (host, port)));
    }

    /// Returns whether a binding of the worker permits this destination.
    pub(super) fn has(state: &OpState, host: &str, port: u16) -> bool {
        let granted = state.try_borrow::<Self>();
        granted.is_some_and(|granted| parse(host).is_some_and(|host| granted.0.contains(&(host, port))))
    }
}

/// Returns whether `granted`, a host and a port, is this destination.
pub(crate) fn is_granted(granted: (&str, u16), host: &str, port: u16) -> bool {
    let (own, at) = granted;
    at == port && parse(host).is_some_and(|host| parse(own) == Some(host))
}
