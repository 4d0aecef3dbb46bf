//! `gdmarket state`: an aggregate as it is or was, folded from its stream, with its events.

use super::with_readable_store;
use crate::cli::tools::log_point::LogPoint;
use crate::config::Config;
use crate::output::event_lines::EventLines;
use crate::output::result_writer::ResultWriter;
use crate::output::{Console, Exit, Failure};
use clap::{Args, ValueEnum};
use gdmarket_projections::{AggregateKind, Queries};
use gdmarket_store::Store;

const EXAMPLES: &str = "\
Examples:
  gdmarket state item 1                             as it is
  gdmarket state reservation 7 --at 4711            as it was after the event of a position
  gdmarket state item 1 --at 2027-01-05T12:00:00Z   as it was at a time
  gdmarket state payment 3 --json | jq .state";

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct StateArgs {
    /// The type of the aggregate.
    #[arg(value_enum)]
    kind: KindArg,
    /// Its number.
    #[arg(value_name = "NO", value_parser = clap::value_parser!(i64).range(1..))]
    number: i64,
    /// As it was after this position, or at this time.
    #[arg(long, value_name = "POSITION|TIME")]
    at: Option<LogPoint>,
    /// How many of its last events to show.
    #[arg(long, value_name = "COUNT", default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(0..=100_000))]
    events: u32,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum KindArg {
    Item,
    Reservation,
    Payment,
    /// Its number is the item's.
    Alarm,
}

impl From<KindArg> for AggregateKind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Item => Self::Item,
            KindArg::Reservation => Self::Reservation,
            KindArg::Payment => Self::Payment,
            KindArg::Alarm => Self::Alarm,
        }
    }
}

pub(in crate::cli) fn run(
    args: &StateArgs,
    config: &Config,
    console: Console,
) -> Result<(), Failure> {
    with_readable_store(config, console, async |store| show(&store, args, console).await)
}

async fn show(store: &Store, args: &StateArgs, console: Console) -> Result<(), Failure> {
    let until = match args.at {
        Some(at) => Some(at.position(store).await?),
        None => None,
    };
    let kind = AggregateKind::from(args.kind);
    let most_events = usize::try_from(args.events).unwrap_or(usize::MAX);
    let queries = Queries::new(store.clone());
    let Some(found) = queries.state_at(kind, args.number, until, most_events).await? else {
        let stream = kind.stream(args.number);
        return Err(match until {
            Some(position) => {
                Failure::new(Exit::Failed, format!("there was no {stream} at position {position}"))
                    .next(format!("see when it began: gdmarket events list --aggregate {stream}"))
            }
            None => Failure::new(Exit::Failed, format!("there is no {stream}"))
                .next("check the number, and --data-dir or --database-url"),
        });
    };
    let mut out = ResultWriter::new(console);
    if console.is_json() {
        // Serialising texts, numbers and JSON values cannot fail.
        out.line(serde_json::to_string(&found).unwrap_or_default())?;
        return out.flush();
    }
    let when = until.map_or_else(String::new, |position| format!(", as of position {position}"));
    out.line(format!("{} at version {}{when}", found.stream, found.version))?;
    out.lines(&serde_json::to_string_pretty(&found.state).unwrap_or_default())?;
    out.line("")?;
    if found.earlier_events > 0 {
        let events = if found.earlier_events == 1 { "event" } else { "events" };
        out.line(format!("… {} earlier {events}", found.earlier_events))?;
    }
    for line in EventLines::new(console).of(&found.events) {
        out.line(line)?;
    }
    out.flush()
}
