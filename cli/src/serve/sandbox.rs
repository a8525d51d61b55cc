//! The mechanisms that confine workers in sandboxes on this system, as reported at the start, in `/readyz`, and in metrics.

use isopod::server::{Metric, MetricKind};
use isopod::{Mechanism, Pool};

use crate::config::{Config, Isolation, Sandbox};

/// Reports the mechanisms that confine sandboxes, if there are any.
///
/// # Errors
/// Workers cannot be confined as far as required.
pub(super) async fn look(config: &Config, pool: &Pool) -> Result<(), String> {
    let mut workers = config.workers.values();
    if !workers.any(|worker| worker.isolation == Isolation::Sandbox) {
        return Ok(());
    }
    let confinement = pool.sandbox().await;
    let confinement = confinement.map_err(|error| format!("cannot start a sandbox: {error}"))?;
    match (confinement.is_whole(), config.pool.sandbox) {
        (true, _) => tracing::info!(target: "isopod", "sandboxes are confined by {confinement}"),
        (false, Sandbox::BestEffort) => tracing::warn!(target: "isopod", "sandboxes are confined {confinement}"),
        (false, Sandbox::Required) => {
            return Err(format!(
                "`pool.sandbox` is \"required\", and this system confines sandboxes {confinement}; permit what is missing, or \
                 set it to \"best_effort\""
            ));
        }
    }
    Ok(())
}

/// The line for `/readyz`.
pub(super) fn detail(pool: &Pool) -> Option<String> {
    Some(match pool.confinement()? {
        whole if whole.is_whole() => format!("sandbox: {whole}"),
        part => format!("sandbox: incomplete, {part}"),
    })
}

/// A gauge for each mechanism.
pub(super) fn metric(pool: &Pool) -> Option<Metric> {
    let confinement = pool.confinement()?;
    let metric = Metric::new(
        "isopod_sandbox_mechanism",
        "Whether a mechanism of the system confines workers in sandboxes",
        MetricKind::Gauge,
    );
    let has = |mechanism| confinement.mechanisms().any(|it| it == (mechanism, None));
    Some(Mechanism::ALL.into_iter().fold(metric, |metric, mechanism| {
        let value = if has(mechanism) { 1.0 } else { 0.0 };
        metric.labelled("mechanism", mechanism.name(), value)
    }))
}
