//! Log lines on stderr. Bodies, tokens and names are never logged.

use crate::config::{LogFormat, Telemetry, masked};
use crate::printable;
use std::io::{self, IsTerminal as _};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The style of log lines that the command line asks for.
#[derive(Debug, Clone, Copy)]
pub struct LogStyle {
    /// Whether lines may have colours.
    pub has_colour: bool,
    /// Whether lines are JSON, whatever the setting is.
    pub is_json: bool,
    /// Whether only errors are written, whatever the setting is.
    pub is_quiet: bool,
}

/// Starts writing log lines. A second call in one process changes nothing.
pub fn start_log(telemetry: &Telemetry, style: LogStyle) {
    let directives = if style.is_quiet { "error" } else { telemetry.log.as_str() };
    let filter = EnvFilter::try_new(directives).unwrap_or_default();
    let registry = tracing_subscriber::registry().with(filter);
    let is_terminal = io::stderr().is_terminal();
    let is_json = style.is_json
        || match telemetry.format {
            LogFormat::Json => true,
            LogFormat::Pretty => false,
            LogFormat::Auto => !is_terminal,
        };
    let has_colour = style.has_colour && is_terminal && !is_json;
    let lines = tracing_subscriber::fmt::layer().with_writer(move || LineWriter { has_colour });
    let started = if is_json {
        registry.with(lines.json().flatten_event(true).with_span_list(false)).try_init()
    } else {
        registry.with(lines.with_target(false).with_ansi(has_colour)).try_init()
    };
    // Tests start several servers in one process; the first one's log serves them all.
    drop(started);
}

/// Writes one log line at a time to stderr, escaped and without passwords of URLs.
struct LineWriter {
    has_colour: bool,
}

impl io::Write for LineWriter {
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
