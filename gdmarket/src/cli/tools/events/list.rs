//! `gdmarket events list`: a page of the log, or with `--all` all of it.

use super::filter::FilterArgs;
use crate::output::event_lines::EventLines;
use crate::output::progress::ProgressLine;
use crate::output::result_writer::ResultWriter;
use crate::output::{Console, Failure};
use clap::Args;
use gdmarket_projections::EventView;
use gdmarket_store::{EventQuery, Store};
use std::io::{self, IsTerminal as _};

/// How many events are read at once.
const PAGE: u32 = 500;

const EXAMPLES: &str = "\
Examples:
  gdmarket events list                                    the first hundred events
  gdmarket events list --item 1                           all events of an item
  gdmarket events list --actor renter:7 --type PaymentRequested --all
  gdmarket events list --after 2027-01-05T00:00:00Z --limit 20
  gdmarket events list --all --json | jq -r .type | sort | uniq -c";

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct ListArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// How many at most.
    #[arg(long, value_name = "COUNT", default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// All of them, as they are read.
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

pub(super) async fn run(store: &Store, args: &ListArgs, console: Console) -> Result<(), Failure> {
    let mut query = store.log().query(args.filter.resolve(store).await?).await?;
    let progress = SearchProgress::start(console, &query);
    let (mut out, mut lines) = (ResultWriter::new(console), EventLines::new(console));
    let mut left = if args.all { u64::MAX } else { u64::from(args.limit) };
    let mut last = None;
    while left > 0 {
        let limit = u32::try_from(left).unwrap_or(PAGE).min(PAGE);
        let Some(events) = query.next(limit).await? else { break };
        let views: Vec<_> = events.iter().map(EventView::from).collect();
        for line in lines.of(&views) {
            out.line(line)?;
        }
        out.flush()?;
        left = left.saturating_sub(u64::try_from(views.len()).unwrap_or(0));
        last = views.last().map(|event| event.position).or(last);
        progress.reached(&query);
    }
    match last {
        None => console.note(&args.filter.no_match_note()),
        Some(last) if left == 0 && has_more(&mut query).await? => {
            console.note(&format!("The next page: the same with --after {last}"));
        }
        Some(_) => {}
    }
    Ok(())
}

/// Whether an event matches after a full page, or may match where a search would be expensive.
async fn has_more(query: &mut EventQuery) -> Result<bool, Failure> {
    if query.reached() >= query.until() {
        return Ok(false);
    }
    Ok(query.scans_log() || query.next(1).await?.is_some_and(|events| !events.is_empty()))
}

/// The progress of a long search, unless the events themselves show it.
struct SearchProgress {
    progress: Option<ProgressLine>,
    from: i64,
}

impl SearchProgress {
    fn start(console: Console, query: &EventQuery) -> Self {
        let from = query.reached();
        let is_shown = query.scans_log() && !io::stdout().is_terminal();
        let total = u64::try_from(query.until().saturating_sub(from)).unwrap_or(0);
        let start = || ProgressLine::start(console, "searching positions", total);
        Self { progress: is_shown.then(start), from }
    }

    fn reached(&self, query: &EventQuery) {
        let done = u64::try_from(query.reached().saturating_sub(self.from)).unwrap_or(0);
        if let Some(progress) = &self.progress {
            progress.reached(done);
        }
    }
}
