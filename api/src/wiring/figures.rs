//! Figures from the first moment on.

use crate::telemetry;
use gdmarket_projections::managers;

/// What is worth a look when it rises. `/metrics` tells their zeros, too: an alarm can't notice the rise of
/// what isn't there.
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

/// Starts counting before anything happens that is to be counted.
pub fn start_figures() {
    if telemetry::figures().is_none() {
        // `/metrics` says so.
        return;
    }
    for name in FROM_ZERO {
        metrics::counter!(name).increment(0);
    }
    for manager in managers() {
        metrics::counter!("gdmarket_manager_parked_total", "manager" => manager).increment(0);
    }
}
