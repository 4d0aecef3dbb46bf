//! Reads the events of a log: all of them, or samples.

use super::report::Report;
use super::{Reading, count};
use crate::output::Console;
use crate::output::progress::ProgressLine;
use gdmarket_projections::{
    CompatibilityCheck, Failed, FoldCheck, Part, ReactionCheck, unreadable,
};
use gdmarket_store::{Check, Finding, RecordedEvent, StoreError, StreamId};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// How many streams' rows are held in memory at once.
const STREAMS_PER_PASS: u64 = 250_000;

/// Reads every event, compares the folded rows with the views, and looks up the reactions of process managers.
pub(super) async fn everything(
    check: &mut Check,
    report: &mut Report,
    reading: Reading<'_>,
) -> Result<(), StoreError> {
    let Reading { store, options, console } = reading;
    let streams = check.count_streams().await?;
    let passes = i64::try_from(streams.div_ceil(STREAMS_PER_PASS).max(1)).unwrap_or(i64::MAX);
    let events = report.events();
    let total = events.saturating_mul(u64::try_from(passes).unwrap_or(1));
    let progress = ProgressLine::start(console, "reading every event", total);
    let now = store.log().now().await?;
    let mut reactions = Some(ReactionCheck::start(check, options, now).await?);
    let mut done = 0;
    for number in 0..passes {
        let part = Part { number, of: passes };
        let mut folds = FoldCheck::start(check, part).await?;
        let mut after = i64::MIN;
        loop {
            let page = check.page(after).await?;
            let Some(last) = page.last() else { break };
            after = last.position;
            for event in &page {
                let broken = unreadable(event);
                let failed = folds.take(event);
                if broken.is_none() {
                    report.add(failed.into_iter().map(|(view, why)| unfoldable(event, view, &why)));
                }
                if number == 0 {
                    report.add(fault_of(event, broken));
                }
                if let Some(reactions) = &mut reactions {
                    report.add(reactions.take(check, event).await?);
                }
            }
            done += u64::try_from(page.len()).unwrap_or(0);
            progress.reached(done);
            // Lets the runtime redraw the bar and receive Ctrl-C.
            tokio::task::yield_now().await;
        }
        if let Some(reactions) = reactions.take() {
            report.add(reactions.finish(check).await?);
        }
        report.add(folds.compare(check).await?);
    }
    progress.finish();
    report.read = usize::try_from(events).unwrap_or(usize::MAX);
    report.streams = usize::try_from(streams).unwrap_or(usize::MAX);
    Ok(())
}

/// The fault of an event by itself.
fn fault_of(event: &RecordedEvent, broken: Option<String>) -> Option<Finding> {
    if let Some(why) = broken {
        return Some(Finding::fault("unreadable", format!("{}: {why}", place(event))));
    }
    let is_map = serde_json::from_str::<Map<String, Value>>(&event.metadata).is_ok();
    let what = || format!("{}: its metadata is no JSON object", place(event));
    (!is_map).then(|| Finding::fault("metadata", what()))
}

fn unfoldable(event: &RecordedEvent, view: &str, why: &str) -> Finding {
    Finding::fault("unfoldable", format!("{}: view {view}: {why}", place(event)))
}

/// The beginning of every finding about an event.
fn place(event: &RecordedEvent) -> String {
    let RecordedEvent { position, event_type, event_version, .. } = event;
    let event_type = event_type.escape_debug();
    let key = if event.has_stream() { event.stream.to_string() } else { event.key() };
    format!("position {position}: {key} {event_type} version {}", event_version.escape_debug())
}

/// Reads the first and the last event of each kind and some between them, and folds their streams.
pub(super) async fn samples(
    check: &mut Check,
    report: &mut Report,
    console: Console,
) -> Result<(), StoreError> {
    let progress = ProgressLine::start(console, "reading samples", report.events());
    let (mut tried, mut reported) = (BTreeSet::new(), BTreeSet::new());
    let mut done = 0;
    for kind in report.kinds.clone() {
        for event in check.samples(&kind).await? {
            report.read += 1;
            if reported.insert(event.position) {
                report.add(fault_of(&event, unreadable(&event)));
            }
            if event.has_stream() && tried.insert(event.stream.clone()) {
                report.add(fold(check, &event.stream, &mut reported).await?);
            }
        }
        done += count(&kind);
        progress.reached(done);
    }
    progress.finish();
    report.streams = tried.len();
    Ok(())
}

/// Folds a whole stream by the views, up to an event that can't be read.
async fn fold(
    check: &mut Check,
    stream: &StreamId,
    reported: &mut BTreeSet<i64>,
) -> Result<Vec<Finding>, StoreError> {
    let mut compatibility = CompatibilityCheck::of(&stream.kind);
    let mut findings = Vec::new();
    let mut after = 0;
    loop {
        let events = check.stream(stream, after).await?;
        let Some(last) = events.last() else { return Ok(findings) };
        after = last.sequence;
        for event in &events {
            let broken = unreadable(event);
            if broken.is_some() {
                if reported.insert(event.position) {
                    findings.extend(fault_of(event, broken));
                }
                return Ok(findings);
            }
            let failed = compatibility.take(event).into_iter();
            findings.extend(failed.map(|Failed { view, why }| unfoldable(event, view, &why)));
        }
    }
}
