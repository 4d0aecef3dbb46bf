//! `gdmarket check`: checks that this program can read the stored log, and that log, views and reactions are consistent.
//! It reads everything, changes nothing, and may run alongside a server; run it with the new program before a deploy.

mod read;
mod report;

use super::with_readable_store;
use crate::compose::projection_options;
use crate::config::Config;
use crate::output::progress::ProgressLine;
use crate::output::{Console, Exit, Failure};
use clap::Args;
use gdmarket_commands::NUMBERED;
use gdmarket_domain::{MarketPart, Service, Services, ViewName};
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

Every event is read and folded by every view, and the resulting rows are compared with the served
rows; the reactions of process managers are looked up; sequences, positions, receipts, numbers,
checkpoints and parked queues are compared with each other. On SQLite both files are checked page
by page. Exit code 5 if something can't be read or is inconsistent; warnings alone don't fail.";

/// The arguments of `check`.
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
        let mut report = Report::new(*check.identity(), args.quick);
        let reading = Reading { store: &store, options: &options, console };
        check_all(&mut check, &mut report, reading).await?;
        report.not_compared = copies(config.services.own);
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

/// The views that a process of these services copies from others. Their streams aren't in the log that is checked.
fn copies(services: Services) -> Vec<String> {
    let is_copy = |view: &ViewName| !services.contains(Service::of(MarketPart::View(*view)));
    services.views().filter(is_copy).map(|view| view.name().replace('_', "-")).collect()
}

/// The state for reading all events, in addition to the check and its report.
struct Reading<'a> {
    store: &'a Store,
    options: &'a Options,
    console: Console,
}

async fn check_all(
    check: &mut Check,
    report: &mut Report,
    reading: Reading<'_>,
) -> Result<(), StoreError> {
    let console = reading.console;
    let managers = managers(Services::ALL);
    let known = KnownSubscriptions { acting: &managers, is_derived: is_view };
    if !report.is_quick {
        let progress = ProgressLine::start_unsized(console, "pages of the files");
        report.findings.extend(check.files().await?);
        progress.finish_silently();
        if report.findings.iter().any(|finding| finding.code == FILE_DAMAGED) {
            // Other findings may only be consequences of the damage.
            return Ok(());
        }
    }
    report.findings.extend(check.schema().await?);
    let progress = ProgressLine::start_unsized(console, "counting the events");
    report.kinds = check.event_kinds().await?;
    progress.finish_silently();
    if report.is_quick {
        read::samples(check, report, console).await?;
    } else {
        read::everything(check, report, reading).await?;
    }
    let progress = ProgressLine::start_unsized(console, "sequences and positions");
    report.findings.extend(check.sequences().await?);
    report.findings.extend(check.positions().await?);
    progress.finish_silently();
    let progress = ProgressLine::start_unsized(console, "receipts and numbers");
    report.findings.extend(check.receipts().await?);
    report.findings.extend(check.numbers(&NUMBERED).await?);
    progress.finish_silently();
    console.note("checkpoints, deadlines and what is parked");
    report.findings.extend(check.checkpoints(known).await?);
    report.findings.extend(check.deadlines(known).await?);
    report.findings.extend(check.parked(known).await?);
    Ok(())
}

/// The finding for views that can't be read. Missing views are rebuilt; damaged ones keep a server from starting.
fn missing(views: &MissingViews) -> Finding {
    let finding = if views.is_damaged { Finding::fault } else { Finding::warning };
    finding("no-views", views.why.clone())
}

fn count(kind: &EventKind) -> u64 {
    u64::try_from(kind.count).unwrap_or(0)
}
