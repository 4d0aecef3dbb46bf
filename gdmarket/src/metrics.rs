//! The metrics of this process, for `/metrics`. The recorder is one per process.

mod descriptions;

use gdmarket_domain::Services;
use gdmarket_projections::managers;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;
use std::sync::OnceLock;

/// The upper bounds of the buckets of durations, in seconds: from a cached read to the longest request.
const SECONDS_BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// The upper bounds of the buckets of batch sizes.
const COMMANDS_BUCKETS: &[f64] =
    &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0];

/// Counters that an operator watches. They start at zero: an alert can't notice the rise of a counter that is absent.
const FROM_ZERO: [&str; 10] = [
    "gdmarket_append_connections_lost_total",
    "gdmarket_append_contended_batches_total",
    "gdmarket_event_streams_refused_total",
    "gdmarket_http_connections_refused_total",
    "gdmarket_http_shed_total",
    "gdmarket_http_streams_reset_total",
    "gdmarket_http_waits_refused_total",
    "gdmarket_payment_contradictions_total",
    "gdmarket_payment_mismatches_total",
    "gdmarket_payment_refunds_refused_total",
];

/// Installs the recorder and registers the metrics of a process of these services, before anything is counted.
pub fn register_metrics(services: Services) {
    if recorder().is_none() {
        // `/metrics` reports that.
        return;
    }
    descriptions::describe();
    Collector::default().describe();
    metrics::gauge!("gdmarket_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    for name in FROM_ZERO {
        metrics::counter!(name).increment(0);
    }
    for manager in managers(services) {
        metrics::counter!("gdmarket_manager_parked_total", "manager" => manager).increment(0);
    }
}

/// All metrics in Prometheus' text format; `None` if this process records none.
pub fn render() -> Option<String> {
    recorder().map(|recorder| {
        Collector::default().collect();
        recorder.run_upkeep();
        recorder.render()
    })
}

/// Folds recorded samples into the histograms; to be called every few seconds.
pub fn run_upkeep() {
    if let Some(recorder) = recorder() {
        recorder.run_upkeep();
    }
}

/// The recorder of this process; `None` if another one was installed.
fn recorder() -> Option<&'static PrometheusHandle> {
    static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    RECORDER.get_or_init(install).as_ref()
}

fn install() -> Option<PrometheusHandle> {
    match builder().and_then(PrometheusBuilder::install_recorder) {
        Ok(handle) => Some(handle),
        Err(error) => {
            tracing::warn!(%error, "metrics are not recorded");
            None
        }
    }
}

/// Every distribution is a histogram: summaries of several servers can't be added up.
fn builder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new()
        .set_buckets(SECONDS_BUCKETS)?
        .set_buckets_for_metric(Matcher::Suffix("_commands".to_owned()), COMMANDS_BUCKETS)
}
