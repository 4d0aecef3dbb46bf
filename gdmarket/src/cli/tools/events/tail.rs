//! `gdmarket events tail`: the newest events, and with `--follow` every new one, whichever process writes it.

use super::filter::FilterArgs;
use crate::output::event_lines::EventLines;
use crate::output::progress::ProgressLine;
use crate::output::result_writer::ResultWriter;
use crate::output::{Console, Exit, Failure};
use clap::Args;
use gdmarket_projections::EventView;
use gdmarket_store::Store;
use std::time::Duration;
use tokio::time::Instant;

/// How many events are read at once when following.
const PAGE: u32 = 500;
/// How long one wait for a new event lasts; then the next wait begins.
const WAIT: Duration = Duration::from_mins(1);

const EXAMPLES: &str = "\
Examples:
  gdmarket events tail                       the last ten events
  gdmarket events tail -n 100 --item 1       the last hundred of an item
  gdmarket events tail --follow              and every new one, until Ctrl-C
  gdmarket events tail -f -n 0 --json | jq --unbuffered .type";

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct TailArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// How many to begin with.
    #[arg(short = 'n', long = "lines", value_name = "COUNT", default_value_t = 10,
        value_parser = clap::value_parser!(u32).range(0..=100_000))]
    lines: u32,
    /// Continue with every new event until Ctrl-C.
    #[arg(short, long)]
    follow: bool,
}

pub(super) async fn run(store: &Store, args: &TailArgs, console: Console) -> Result<(), Failure> {
    if args.follow && args.filter.has_end() {
        return Err(Failure::new(Exit::Usage, "--follow has no end, --until names one")
            .next("leave one of the two out"));
    }
    let mut filter = args.filter.resolve(store).await?;
    let query = store.log().query(filter.clone()).await?;
    let (mut out, mut lines) = (ResultWriter::new(console), EventLines::new(console));
    let progress =
        query.scans_log().then(|| ProgressLine::start(console, "searching the log backwards", 0));
    let newest = query.newest(args.lines).await?;
    if let Some(progress) = progress {
        progress.finish_silently();
    }
    let views: Vec<_> = newest.iter().map(EventView::from).collect();
    for line in lines.of(&views) {
        out.line(line)?;
    }
    out.flush()?;
    if !args.follow {
        if views.is_empty() && args.lines > 0 {
            console.note(&args.filter.no_match_note());
        }
        return Ok(());
    }
    if let Some(unknown) = args.filter.unknown_type() {
        console.note(&format!("No event may ever match: {unknown}"));
    }
    let mut reached = query.until().max(filter.after);
    loop {
        let now = Instant::now();
        store.tail().wait_past(reached, now.checked_add(WAIT).unwrap_or(now)).await;
        let events = store.tail().read_after(reached, PAGE).await?;
        reached = events.last().map_or(reached, |event| event.position);
        filter.after = filter.after.max(query.until());
        let matching = events.iter().filter(|event| filter.matches(event));
        let views: Vec<_> = matching.map(|event| EventView::from(&**event)).collect();
        for line in lines.of(&views) {
            out.line(line)?;
        }
        out.flush()?;
    }
}
