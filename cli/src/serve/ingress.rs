//! Host module for the public listeners. It binds its addresses before any worker starts, and accepts connections once all
//! have started.

use std::io::IsTerminal;
use std::sync::Arc;

use isopod::host::{Context, Module, PhaseResult, async_trait};
use isopod::server::{Address, Bound, Running, ServerConfig};
use isopod::{OwnServers, Pool};

use super::deploy::Deploy;
use super::dispatch::Workers;
use super::life::Life;
use super::sites::Sites;
use crate::logging;

pub(super) struct Ingress {
    config: ServerConfig,
    sites: Sites,
    servers: OwnServers,
    life: Arc<Life>,
    bound: Option<Bound>,
    running: Option<Running>,
}

impl Ingress {
    pub(super) const NAME: &'static str = "ingress";

    pub(super) fn new(mut config: ServerConfig, servers: OwnServers, sites: Sites, life: Arc<Life>) -> Self {
        config.depth_key = servers.key().map(str::to_owned);
        Self {
            config,
            servers,
            sites,
            life,
            bound: None,
            running: None,
        }
    }
}

#[async_trait]
impl Module for Ingress {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn depends_on(&self) -> Vec<String> {
        vec![Deploy::NAME.to_owned()]
    }

    async fn build(&mut self, ctx: &Context) -> PhaseResult {
        let bound = self.config.clone().bind()?;
        ctx.hub().register(Arc::new(bound.handle()))?;
        let addresses = bound.local_addrs().iter().filter_map(|address| match address {
            Address::Tcp(address) => Some(*address),
            Address::Unix(_) => None,
        });
        self.servers.set_addresses(addresses.collect());
        self.bound = Some(bound);
        Ok(())
    }

    async fn ready(&mut self, ctx: &Context) -> PhaseResult {
        let Some(bound) = self.bound.take() else { return Ok(()) };
        let pool = ctx.hub().get::<Pool>()?;
        let running = bound.start(Workers {
            pool: Pool::clone(&pool),
            sites: self.sites.clone(),
        })?;
        self.life.serves();
        for (address, listen) in running.local_addrs().iter().zip(&self.config.listeners) {
            announce(address, listen.tls.is_some());
        }
        self.running = Some(running);
        Ok(())
    }

    async fn drain(&mut self, _ctx: &Context) -> PhaseResult {
        if let Some(running) = self.running.take() {
            self.life.requests_ended(running.shutdown(self.life.left()).await);
        }
        Ok(())
    }

    async fn close(&mut self, _ctx: &Context) -> PhaseResult {
        self.bound = None;
        Ok(())
    }
}

fn announce(address: &Address, tls: bool) {
    let scheme = if tls { "https" } else { "http" };
    let text = match address {
        Address::Tcp(address) => format!("{scheme}://{address}"),
        Address::Unix(path) => format!("unix:{}", path.display()),
    };
    let (on, off) = if std::io::stderr().is_terminal() {
        ("\x1b[1m", "\x1b[0m")
    } else {
        ("", "")
    };
    logging::tell(format_args!("listening on {on}{text}{off}"));
}
