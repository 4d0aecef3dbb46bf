//! What the program tells about its own doings: log lines on stderr, figures for `/metrics`.
//!
//! Bodies, tokens and names are never logged. The recorder of figures is one per process.

use crate::config::{LogFormat, Telemetry, masked};
use crate::printable;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::io::{self, IsTerminal as _};
use std::sync::OnceLock;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The upper bounds of the buckets that durations are counted in, in seconds.
const BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// What the command line says about log lines.
#[derive(Debug, Clone, Copy)]
pub struct LogStyle {
    /// Colours are wanted.
    pub has_colour: bool,
    /// JSON, whatever the setting is.
    pub is_json: bool,
    /// Errors only, whatever the setting is.
    pub is_quiet: bool,
}

/// Starts writing log lines. A second call in one process changes nothing.
pub fn start_log(telemetry: &Telemetry, style: LogStyle) {
    let wanted = if style.is_quiet { "error" } else { telemetry.log.as_str() };
    let filter = EnvFilter::try_new(wanted).unwrap_or_default();
    let registry = tracing_subscriber::registry().with(filter);
    let is_terminal = io::stderr().is_terminal();
    let is_json = style.is_json
        || match telemetry.format {
            LogFormat::Json => true,
            LogFormat::Pretty => false,
            LogFormat::Auto => !is_terminal,
        };
    let has_colour = style.has_colour && is_terminal && !is_json;
    let lines = tracing_subscriber::fmt::layer().with_writer(move || LogWriter { has_colour });
    let started = if is_json {
        registry.with(lines.json().flatten_event(true).with_span_list(false)).try_init()
    } else {
        registry.with(lines.with_target(false).with_ansi(has_colour)).try_init()
    };
    // Tests start several servers in one process; the first one's log serves them all.
    drop(started);
}

/// Writes one log line at a time to stderr, escaped and without passwords of URLs.
struct LogWriter {
    has_colour: bool,
}

impl io::Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let text = masked(text.trim_end_matches('\n'));
        // With colours the formatter escapes the control characters of values by itself.
        let escape = if self.has_colour { printable::coloured_line } else { printable::one_line };
        let mut safe = escape(&text).into_owned();
        safe.push('\n');
        io::stderr().write_all(safe.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// The figures of this process; `None` if another recorder was installed.
pub(crate) fn figures() -> Option<&'static PrometheusHandle> {
    static FIGURES: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    FIGURES.get_or_init(install).as_ref()
}

fn install() -> Option<PrometheusHandle> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), BUCKETS);
    match builder.and_then(PrometheusBuilder::install_recorder) {
        Ok(handle) => Some(handle),
        Err(error) => {
            tracing::warn!(%error, "figures are not recorded");
            None
        }
    }
}
