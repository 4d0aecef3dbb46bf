//! `gdmarket trace`: a request and all that followed from it, across aggregates, as a tree of causes.

mod dot;
mod mermaid;
mod steps;
pub(super) mod text;

use super::with_readable_store;
use crate::cli::tools::log_point::LogPoint;
use crate::compose::traces_of;
use crate::config::Config;
use crate::output::progress::ProgressLine;
use crate::output::result_writer::ResultWriter;
use crate::output::text::Text;
use crate::output::{Console, Exit, Failure};
use clap::{Args, ValueEnum};
use gdmarket_domain::ReservationNo;
use gdmarket_projections::{MissingPart, SearchRange, Trace, Traces};
use gdmarket_store::Store;
use serde_json::{Value, json};
use std::str::FromStr;
use std::time::Duration;
use uuid::Uuid;

/// How long other services have to answer with their parts: they may have to search a long log.
pub(in crate::cli::tools) const SERVICES_WAIT: Duration = Duration::from_secs(30);

const EXAMPLES: &str = "\
Examples:
  gdmarket trace reservation 7                                 the trace of a reservation
  gdmarket trace 5f2c7ad3-7d3b-4c7e-9a50-2d0f3a1f7c11          all that one request led to
  gdmarket trace reservation 7 --format mermaid > trace.mmd
  gdmarket trace reservation 7 --format dot | dot -Tsvg > trace.svg";

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct TraceArgs {
    /// A correlation id, or the word `reservation` with its number.
    #[arg(value_name = "CORRELATION|reservation")]
    what: Subject,
    /// The reservation's number.
    #[arg(value_name = "NO")]
    number: Option<ReservationNo>,
    /// How to show it; --json is the same as --format json.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Search for a correlation only after this position or time; of the own log, where services have their own.
    #[arg(long, value_name = "POSITION|TIME")]
    after: Option<LogPoint>,
    /// Search for a correlation only up to this position or time; of the own log, where services have their own.
    #[arg(long, value_name = "POSITION|TIME")]
    until: Option<LogPoint>,
}

/// The subject of a trace.
#[derive(Debug, Clone, Copy)]
enum Subject {
    Correlation(Uuid),
    Reservation,
}

impl FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "reservation" {
            return Ok(Self::Reservation);
        }
        let id = text.parse().map(Self::Correlation);
        id.map_err(|_| "neither a correlation id (a UUID) nor the word reservation".to_owned())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A tree for people.
    Text,
    /// The tree as at GET /reservations/{no}/trace.
    Json,
    /// A flowchart for Mermaid.
    Mermaid,
    /// A graph for Graphviz.
    Dot,
}

pub(in crate::cli) fn run(
    args: &TraceArgs,
    config: &Config,
    console: Console,
) -> Result<(), Failure> {
    let usage = |message: &str| {
        Failure::new(Exit::Usage, message)
            .next("type: gdmarket trace reservation NO, or: gdmarket trace CORRELATION")
    };
    match (args.what, args.number) {
        (Subject::Reservation, None) => return Err(usage("the reservation's number is missing")),
        (Subject::Correlation(_), Some(_)) => {
            return Err(usage("a correlation has no further number"));
        }
        (Subject::Reservation, Some(_)) if args.after.is_some() || args.until.is_some() => {
            return Err(usage("--after and --until are for correlations"));
        }
        _ => {}
    }
    if console.is_json() && matches!(args.format, Format::Mermaid | Format::Dot) {
        return Err(Failure::new(Exit::Usage, "--json and --format contradict each other")
            .next("leave one of the two out"));
    }
    with_readable_store(config, console, async |store| {
        show(&traces_of(config, &store), &store, args, console).await
    })
}

async fn show(
    traces: &Traces,
    store: &Store,
    args: &TraceArgs,
    console: Console,
) -> Result<(), Failure> {
    let (trace, subject) = match (args.what, args.number) {
        (Subject::Correlation(id), _) => {
            let trace =
                by_correlation(traces, store, CorrelationArgs { id, args }, console).await?;
            (trace, json!({"correlationId": id}))
        }
        (Subject::Reservation, number) => {
            let number = number.ok_or_else(|| Failure::new(Exit::Usage, "no number"))?;
            let found = traces.reservation(number, SERVICES_WAIT).await?;
            let found = found.ok_or_else(|| {
                Failure::new(Exit::Failed, format!("there is no reservation/{number}"))
                    .next("check the number, and --data-dir or --database-url")
            })?;
            (found.trace, json!({"reservationNo": number}))
        }
    };
    note_gaps(&trace, console);
    let earlier = begins_earlier(&trace, args.after.is_some());
    if let Some(cause) = earlier {
        console.note(&format!("The trace begins earlier, at or before position {cause}."));
    }
    let is_complete = trace.is_complete() && earlier.is_none();
    let mut out = ResultWriter::new(console);
    let texts = |lines: Vec<String>| lines.into_iter().map(Text::from).collect();
    let lines = match if console.is_json() { Format::Json } else { args.format } {
        Format::Text => text::lines(&trace.events),
        Format::Mermaid => texts(mermaid::lines(&trace.events)),
        Format::Dot => texts(dot::lines(&trace.events)),
        Format::Json => {
            let mut result = subject;
            if let Some(result) = result.as_object_mut() {
                result.insert("events".to_owned(), json!(trace.events));
                result.insert("complete".to_owned(), json!(is_complete));
                result.extend(missing_field(&trace));
            }
            vec![Text::from(result.to_string())]
        }
    };
    for line in lines {
        out.line(line)?;
    }
    out.flush()
}

/// Notes what a trace lacks.
pub(in crate::cli::tools) fn note_gaps(trace: &Trace, console: Console) {
    if trace.is_cut {
        console.note("The trace is cut off: it has more than ten thousand events.");
    }
    for MissingPart { service, problem } in &trace.missing {
        console.note(&format!("The part of the service {service} is missing: {problem}."));
    }
}

/// The services that are missing in a trace, as a field of its JSON; none if all answered.
pub(in crate::cli::tools) fn missing_field(trace: &Trace) -> Option<(String, Value)> {
    let missing: Vec<&str> = trace.missing.iter().map(|part| part.service.name()).collect();
    (!missing.is_empty()).then(|| ("missing".to_owned(), json!(missing)))
}

/// The first cause outside the part of the log that was searched, if only a part was.
fn begins_earlier(trace: &Trace, is_partial: bool) -> Option<i64> {
    let causes = trace.events.iter().filter_map(|root| root.event.caused_by);
    causes.min().filter(|_| is_partial)
}

/// A correlation, and where it is searched.
#[derive(Clone, Copy)]
struct CorrelationArgs<'a> {
    id: Uuid,
    args: &'a TraceArgs,
}

async fn by_correlation(
    traces: &Traces,
    store: &Store,
    searched: CorrelationArgs<'_>,
    console: Console,
) -> Result<Trace, Failure> {
    let CorrelationArgs { id, args } = searched;
    let after = match args.after {
        Some(at) => at.position(store).await?,
        None => 0,
    };
    let until = match args.until {
        Some(at) => at.position(store).await?,
        None => store.log().head().await?,
    };
    let steps = |position: i64| u64::try_from(position.saturating_sub(after)).unwrap_or(0);
    let progress = ProgressLine::start(console, "searching positions", steps(until));
    let mut reached = |position| progress.reached(steps(position));
    let range = SearchRange { after, until: Some(until) };
    let trace = traces.correlation(id, range, SERVICES_WAIT, &mut reached).await?;
    progress.finish();
    if trace.events.is_empty() {
        note_gaps(&trace, console);
        return Err(Failure::new(Exit::Failed, format!("no event has the correlation {id}"))
            .next("every event shows its own: gdmarket events show POSITION"));
    }
    Ok(trace)
}
