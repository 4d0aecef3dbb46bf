//! `gdmarket check`: can this program read the stored log, and does everything hold together? It reads
//! all of it, changes nothing, and may run beside a server; to be run with the new program before a
//! deploy.

mod read;
mod report;

use super::with_readable_store;
use crate::compose::projection_options;
use crate::config::Config;
use crate::output::progress::ProgressLine;
use crate::output::{Console, Exit, Failure};
use clap::Args;
use gdmarket_commands::NUMBERED;
use gdmarket_projections::{Options, is_view, managers};
use gdmarket_store::{
    Check, EventKind, FILE_DAMAGED, Finding, KnownSubscriptions, MissingViews, Store, StoreError,
};
use report::Report;

pub(in crate::cli) const EXAMPLES: &str = "\
Examples:
  gdmarket check                        before a deploy, with the program that is to be deployed
  gdmarket check --quick                samples only, for a very long log
  gdmarket check --json | jq '.faults'  for scripts

Every event is read and folded through every view, and the rows that come out are compared with
those that are served; what process managers should have done is looked up; sequences, positions,
receipts, numbers, checkpoints and parked queues are compared with each other. On SQLite both
files are checked page by page. Exit code 5 when something can't be read or doesn't hold; what is
only worth a look doesn't fail.";

/// How much is read.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct CheckArgs {
    /// Read some samples of each kind of event instead of everything.
    #[arg(long)]
    quick: bool,
}

pub(in crate::cli) fn run(
    config: &Config,
    args: &CheckArgs,
    console: Console,
) -> Result<(), Failure> {
    with_readable_store(config, console, async |store| {
        let mut check = Check::begin(&store).await?;
        let options = projection_options(config);
        let mut report = look(&store, &mut check, (args, &options), console).await?;
        report.findings.extend(store.without_views().map(missing));
        report.print(console);
        match report.faults() {
            0 => Ok(()),
            count => {
                let what = if count == 1 { "fault" } else { "faults" };
                Err(Failure::new(Exit::Unreadable, format!("the check found {count} {what}"))
                    .next("docs/runbook.md says what each of them means"))
            }
        }
    })
}

async fn look(
    store: &Store,
    check: &mut Check,
    (args, options): (&CheckArgs, &Options),
    console: Console,
) -> Result<Report, StoreError> {
    let managers = managers();
    let known = KnownSubscriptions { acting: &managers, is_derived: is_view };
    let mut report = Report::new(*check.identity(), args.quick);
    if !args.quick {
        let pass = ProgressLine::pass(console, "pages of the files");
        report.findings.extend(check.files().await?);
        pass.end();
        if report.findings.iter().any(|finding| finding.code == FILE_DAMAGED) {
            // What else would be found may only follow from that.
            return Ok(report);
        }
    }
    report.findings.extend(check.schema().await?);
    let pass = ProgressLine::pass(console, "counting the events");
    report.census = check.event_kinds().await?;
    pass.end();
    if args.quick {
        read::samples(check, &mut report, console).await?;
    } else {
        read::everything(store, check, &mut report, (options, console)).await?;
    }
    let pass = ProgressLine::pass(console, "sequences and positions");
    report.findings.extend(check.sequences().await?);
    report.findings.extend(check.positions().await?);
    pass.end();
    let pass = ProgressLine::pass(console, "receipts and numbers");
    report.findings.extend(check.receipts().await?);
    report.findings.extend(check.numbers(&NUMBERED).await?);
    pass.end();
    console.note("checkpoints, deadlines and what is parked");
    report.findings.extend(check.checkpoints(known).await?);
    report.findings.extend(check.deadlines(known).await?);
    report.findings.extend(check.parked(known).await?);
    Ok(report)
}

/// Views that are missing are built again; damaged ones keep a server from its work.
fn missing(views: &MissingViews) -> Finding {
    let finding = if views.is_damaged { Finding::fault } else { Finding::warning };
    finding("no-views", views.why.clone())
}

fn count(kind: &EventKind) -> u64 {
    u64::try_from(kind.count).unwrap_or(0)
}
