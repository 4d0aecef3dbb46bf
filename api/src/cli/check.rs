//! `gdmarket check`: can this program read the stored log, and does the log hold together? To be asked
//! with the new program before it is deployed; it changes nothing and may run beside a server.

mod report;

use super::progress::Progress;
use super::tool::with_readable_store;
use super::{Console, Exit, Failure};
use crate::config::Config;
use gdmarket_commands::NUMBERED;
use gdmarket_projections::{Failed, Trial, is_view, managers, unreadable};
use gdmarket_store::{
    Check, EventKind, Finding, KnownSubscriptions, MissingViews, RecordedEvent, StoreError,
    StreamId,
};
use report::Report;
use std::collections::BTreeSet;

pub(super) const EXAMPLES: &str = "\
Examples:
  gdmarket check                        before a deploy, with the program that is to be deployed
  gdmarket check --json | jq '.faults'  for scripts

Every kind of stored event is counted and samples of it are read and folded through every view;
sequences, positions, receipts, numbers, checkpoints and parked queues are held against each other.
Exit code 5 when something can't be read or doesn't hold; what is only worth a look doesn't fail.";

pub(super) fn run(config: &Config, console: Console) -> Result<(), Failure> {
    with_readable_store(config, console, async |store| {
        let mut check = Check::begin(&store).await?;
        let mut report = look(&mut check, console).await?;
        report.findings.extend(store.without_views().map(missing));
        report.tell(console);
        match report.faults() {
            0 => Ok(()),
            count => {
                let what = if count == 1 { "fault" } else { "faults" };
                Err(Failure::new(Exit::Unreadable, format!("the log has {count} {what}"))
                    .next("docs/runbook.md says what each of them means"))
            }
        }
    })
}

async fn look(check: &mut Check, console: Console) -> Result<Report, StoreError> {
    let managers = managers();
    let known = KnownSubscriptions { acting: &managers, is_derived: is_view };
    let mut report = Report::new(*check.identity());
    let pass = Progress::pass(console, "counting the events");
    report.census = check.census().await?;
    pass.end();
    let progress = Progress::start(console, "reading samples", report.events());
    let (mut tried, mut told) = (BTreeSet::new(), BTreeSet::new());
    let mut done = 0;
    for kind in report.census.clone() {
        for sample in check.samples(&kind).await? {
            match sample {
                Ok(event) => {
                    report.samples += 1;
                    report.findings.extend(read(&event, &mut told));
                    if tried.insert(event.stream.clone()) {
                        report.findings.extend(fold(check, &event.stream, &mut told).await?);
                    }
                }
                Err(why) => report.findings.push(Finding::fault("unreadable", why)),
            }
        }
        done += count(&kind);
        progress.reached(done);
    }
    progress.finish();
    report.streams = tried.len();
    let pass = Progress::pass(console, "sequences and positions");
    report.findings.extend(check.sequences().await?);
    report.findings.extend(check.positions().await?);
    pass.end();
    let pass = Progress::pass(console, "receipts and numbers");
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

/// An event through the upcaster chain; what is `told` already isn't told again.
fn read(event: &RecordedEvent, told: &mut BTreeSet<i64>) -> Option<Finding> {
    let why = unreadable(event)?;
    let RecordedEvent { position, stream, event_type, event_version, .. } = event;
    let what = format!("{position} {stream} {event_type} version {event_version}: {why}");
    told.insert(*position).then(|| Finding::fault("unreadable", what))
}

/// A whole stream through the views, up to what can't be read.
async fn fold(
    check: &mut Check,
    stream: &StreamId,
    told: &mut BTreeSet<i64>,
) -> Result<Vec<Finding>, StoreError> {
    let mut trial = Trial::of(&stream.kind);
    let mut findings = Vec::new();
    let mut after = 0;
    loop {
        let events = check.stream(stream, after).await?;
        let Some(last) = events.last() else { return Ok(findings) };
        after = last.sequence;
        for event in &events {
            findings.extend(read(event, told));
            if told.contains(&event.position) {
                return Ok(findings);
            }
            let failed = trial.take(event).into_iter();
            findings.extend(failed.map(|Failed { view, why }| {
                let what = format!("{} {stream}: view {view}: {why}", event.position);
                Finding::fault("unfoldable", what)
            }));
        }
    }
}
