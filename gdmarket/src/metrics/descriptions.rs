//! The help text of every metric that this program records, as `/metrics` shows it.

use metrics::{describe_counter, describe_gauge, describe_histogram};

/// Counters: name and help text.
const COUNTERS: &[(&str, &str)] = &[
    (
        "gdmarket_aggregate_cache_total",
        "Lookups of aggregates: found in memory, read from the log, or assumed new.",
    ),
    ("gdmarket_append_connections_lost_total", "Connections of the appender that broke."),
    (
        "gdmarket_append_contended_batches_total",
        "Batches that were written again without some of their commands.",
    ),
    ("gdmarket_append_events_total", "Events that this process appended to the log."),
    ("gdmarket_appends_refused_total", "Appends that the log refused, by reason."),
    ("gdmarket_command_conflicts_total", "Appends that another append preceded."),
    ("gdmarket_commands_total", "Executed commands, by aggregate and outcome."),
    ("gdmarket_event_stream_events_total", "Events sent to the followers of /events."),
    ("gdmarket_event_streams_ended_total", "Streams of /events that ended, by reason."),
    ("gdmarket_event_streams_refused_total", "Streams of /events that were refused."),
    (
        "gdmarket_http_connections_cut_total",
        "Connections that the server closed by itself, by reason.",
    ),
    ("gdmarket_http_connections_refused_total", "Connections that found no place at all."),
    ("gdmarket_http_requests_total", "Answered requests, by method, route and status."),
    ("gdmarket_http_shed_total", "Requests that were refused because too many were in flight."),
    (
        "gdmarket_http_streams_reset_total",
        "HTTP/2 streams that were reset because their client took nothing of them.",
    ),
    ("gdmarket_http_waits_refused_total", "Requests that found no place to wait."),
    ("gdmarket_log_damaged_rows_total", "Rows of the log that could not be read."),
    ("gdmarket_manager_parked_total", "Steps of process managers that were parked."),
    (
        "gdmarket_payment_contradictions_total",
        "Declines of the payment gateway after it had approved the same payment.",
    ),
    (
        "gdmarket_payment_mismatches_total",
        "Answers of the payment gateway about another payment, order or amount.",
    ),
    ("gdmarket_payment_refunds_refused_total", "Refunds that the payment gateway refused."),
    ("gdmarket_relay_published_total", "Events of the own log that NATS has acknowledged."),
    (
        "gdmarket_source_events_total",
        "Events read from another service's log, by the way that they came: nats or http.",
    ),
    (
        "gdmarket_source_messages_dropped_total",
        "Messages of a stream that were not the events of the log that they should be.",
    ),
];

/// Gauges: name and help text.
const GAUGES: &[(&str, &str)] = &[
    ("gdmarket_append_queue_commands", "Commands that wait for the batch being written."),
    ("gdmarket_breaker_state", "State of a circuit breaker: 0 closed, 1 half open, 2 open."),
    ("gdmarket_build_info", "The version of the running program; always 1."),
    ("gdmarket_event_streams_open", "Streams of /events that are open."),
    ("gdmarket_http_connections_open", "Connections that are open."),
    ("gdmarket_http_requests_in_flight", "Requests that hold a place to work."),
    ("gdmarket_http_requests_waiting", "Requests that hold a place to wait."),
    ("gdmarket_nats_connected", "Whether this process is connected to NATS: 1 if so."),
    ("gdmarket_projection_blocked", "Whether a subscription is blocked: 1 if so."),
    ("gdmarket_projection_lag_events", "Events that a subscription has not handled yet."),
    (
        "gdmarket_projection_lag_seconds",
        "Age of the oldest event that is not handled yet; time since the source was read while it does not answer.",
    ),
    ("gdmarket_projection_parked", "Keys that a subscription has parked."),
    (
        "gdmarket_projection_parked_position",
        "Lowest log position that a parked key stopped at; 0 without any.",
    ),
    ("gdmarket_relay_lag_events", "Events of the own log that NATS has not acknowledged yet."),
    ("gdmarket_relay_lag_seconds", "Age of the oldest event that NATS has not acknowledged."),
    ("gdmarket_source_lag_seconds", "Time for which another service's log could not be read."),
    ("gdmarket_source_readable", "Whether another service's log can be read: 1 if so."),
    ("gdmarket_source_streaming", "Whether another service's events come over NATS: 1 if so."),
];

/// Histograms: name and help text.
const HISTOGRAMS: &[(&str, &str)] = &[
    ("gdmarket_append_batch_commands", "Commands in one batch of the appender."),
    ("gdmarket_append_batch_seconds", "Time to write one batch of the appender."),
    ("gdmarket_http_request_duration_seconds", "Time that a route took to answer a request."),
];

/// Gives every metric its help text.
pub(super) fn describe() {
    for (name, help) in COUNTERS {
        describe_counter!(*name, *help);
    }
    for (name, help) in GAUGES {
        describe_gauge!(*name, *help);
    }
    for (name, help) in HISTOGRAMS {
        describe_histogram!(*name, *help);
    }
}
