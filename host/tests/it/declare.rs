//! Declaring hosts: configuration, clients, discovery.

use std::sync::Arc;

use isopod_host::{BuildError, Context, Host, HostError, Hub, Module, Phase, PhaseResult, async_trait};
use serde::Deserialize;
use serde_json::json;

use crate::common::{Log, Probe};

trait Billing: Send + Sync {
    fn total(&self) -> u64;
}

struct Ledger(u64);

impl Billing for Ledger {
    fn total(&self) -> u64 {
        self.0
    }
}

#[derive(Deserialize)]
struct BillingConfig {
    start_at: u64,
}

/// Registers a client as it is configured.
struct BillingModule;

#[async_trait]
impl Module for BillingModule {
    fn name(&self) -> &str {
        "billing"
    }

    async fn build(&mut self, ctx: &Context) -> PhaseResult {
        let config: BillingConfig = ctx.config()?;
        ctx.hub().register::<dyn Billing>(Arc::new(Ledger(config.start_at)))?;
        Ok(())
    }
}

/// Needs that client.
struct ReportModule;

#[async_trait]
impl Module for ReportModule {
    fn name(&self) -> &str {
        "report"
    }

    async fn start(&mut self, ctx: &Context) -> PhaseResult {
        let total = ctx.hub().get::<dyn Billing>()?.total();
        ctx.hub()
            .register(Arc::new(format!("{total} for {}", ctx.instance())))?;
        Ok(())
    }

    async fn close(&mut self, ctx: &Context) -> PhaseResult {
        // Still there: no client is removed before the later modules are closed.
        ctx.hub().get::<dyn Billing>()?;
        Ok(())
    }
}

#[test]
fn clients_are_available_from_configure_to_close() {
    let config = json!({ "billing": { "start_at": 41 } });
    let host = Host::builder()
        .module(BillingModule)
        .module(ReportModule)
        .config(config)
        .instance("one")
        .build();
    let running = host.unwrap().start_blocking().unwrap();
    let hub: Hub = running.hub().clone();
    assert_eq!(*hub.get::<String>().unwrap(), "41 for one");
    running.stop_blocking().unwrap();
    assert!(hub.try_get::<dyn Billing>().is_none());
    assert!(hub.try_get::<String>().is_none());
}

#[test]
fn clients_given_to_the_host_are_there_from_the_start_and_stay() {
    let host = Host::builder()
        .client::<dyn Billing>(Arc::new(Ledger(3)))
        .module(ReportModule)
        .build();
    let running = host.unwrap().start_blocking().unwrap();
    let hub = running.hub().clone();
    running.stop_blocking().unwrap();
    assert_eq!(hub.get::<dyn Billing>().unwrap().total(), 3);
    let twice = Host::builder().client(Arc::new(1_u8)).client(Arc::new(2_u8)).build();
    assert!(matches!(twice.unwrap_err(), BuildError::Hub(_)));
}

#[test]
fn a_missing_client_stops_the_start_with_its_type_in_the_error() {
    let error = Host::builder()
        .module(ReportModule)
        .build()
        .unwrap()
        .start_blocking()
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("module `report` failed in phase `start`: no client `dyn"),
        "{text}"
    );
    assert!(text.contains("Billing` is registered (nothing is)"), "{text}");
}

#[test]
fn an_invalid_configuration_is_reported_with_module_phase_and_field() {
    let wrong = |module: &str| (module == "billing").then(|| json!({ "start_at": "now" }));
    let error = Host::builder()
        .module(BillingModule)
        .config(wrong)
        .build()
        .unwrap()
        .start_blocking();
    let HostError::Module { failure, .. } = error.unwrap_err() else {
        panic!("a failure");
    };
    assert_eq!(failure.phase, Phase::Build);
    assert!(failure.to_string().contains("at `start_at`"), "{failure}");
    let unknown = Host::builder().config(json!({ "biling": {} })).build();
    assert!(unknown.unwrap_err().to_string().contains("no such module"));
}

#[test]
fn a_declaration_that_cannot_work_is_refused_before_anything_runs() {
    let log = Log::default();
    let probe = |name: &str, after: &str| Probe::new(name, &log).after(after);
    let cycle = Host::builder().module(probe("a", "b")).module(probe("b", "a")).build();
    assert!(cycle.unwrap_err().to_string().contains("a → b → a"));
    let name = Host::builder().module(Probe::new("../etc", &log)).build();
    assert!(matches!(name.unwrap_err(), BuildError::Name(name) if name == "../etc"));
    assert!(log.calls().is_empty());
}

struct Linked;

#[async_trait]
impl Module for Linked {
    fn name(&self) -> &str {
        "linked"
    }

    async fn build(&mut self, ctx: &Context) -> PhaseResult {
        ctx.hub().register(Arc::new(17_u16))?;
        Ok(())
    }
}

isopod_host::register!(Linked);

#[test]
fn a_linked_module_is_part_of_hosts_that_discover() {
    let running = Host::builder().discover().build().unwrap().start_blocking().unwrap();
    assert_eq!(*running.hub().get::<u16>().unwrap(), 17);
    running.stop_blocking().unwrap();
    let running = Host::builder().build().unwrap().start_blocking().unwrap();
    assert!(running.hub().try_get::<u16>().is_none());
    running.stop_blocking().unwrap();
}
