//! `gdmarket events stats`: identifies the log and counts its events.

use crate::output::event_lines::moment;
use crate::output::progress::ProgressLine;
use crate::output::{Console, Failure};
use chrono::{DateTime, Utc};
use clap::Args;
use gdmarket_store::{Identity, LogStats, Store};
use serde_json::{Value, json};

const EXAMPLES: &str = "\
Examples:
  gdmarket events stats
  gdmarket events stats --json | jq '.types[] | select(.events > 1000)'";

#[derive(Debug, Clone, Copy, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct StatsArgs {}

pub(super) async fn run(store: &Store, console: Console) -> Result<(), Failure> {
    let head = store.log().head().await?;
    let progress = ProgressLine::start(console, "counting", u64::try_from(head).unwrap_or(0));
    let mut reached = |position| progress.reached(u64::try_from(position).unwrap_or(0));
    let stats = store.log().stats(&mut reached).await?;
    progress.finish();
    if console.is_json() {
        Console::result_json(&stats_json(store.identity(), &stats));
    } else {
        print(store.identity(), &stats);
    }
    Ok(())
}

fn stats_json(identity: &Identity, stats: &LogStats) -> Value {
    let mark = |mark: Option<(i64, i64)>| {
        mark.map(|(position, at)| json!({"position": position, "recordedAt": moment(time(at))}))
    };
    let types = stats.types.iter().map(|((aggregate, event_type, version), events)| {
        json!({"aggregate": aggregate, "type": event_type, "version": version, "events": events})
    });
    let aggregates = stats.aggregates.iter().map(|(aggregate, of)| {
        json!({"aggregate": aggregate, "streams": of.streams, "events": of.events,
            "longest": of.longest})
    });
    json!({
        "logId": identity.log_id,
        "epoch": identity.epoch,
        "events": stats.events,
        "head": stats.last.map_or(0, |(position, _)| position),
        "holes": stats.holes(),
        "first": mark(stats.first),
        "last": mark(stats.last),
        "aggregates": aggregates.collect::<Vec<_>>(),
        "types": types.collect::<Vec<_>>(),
    })
}

fn print(identity: &Identity, stats: &LogStats) {
    let mark = |mark: Option<(i64, i64)>| {
        mark.map_or_else(
            || "–".to_owned(),
            |(position, at)| format!("{position}, {}", moment(time(at))),
        )
    };
    for (name, text) in [
        ("log", format!("{}, epoch {}", identity.log_id, identity.epoch)),
        ("events", stats.events.to_string()),
        ("first", mark(stats.first)),
        ("last", mark(stats.last)),
        ("holes", format!("{} positions without an event, which is normal", stats.holes())),
    ] {
        Console::result(&format!("{name:<8} {text}"));
    }
    Console::result("");
    Console::result(&format!("{:<14} {:>10} {:>12} {:>10}", "", "streams", "events", "longest"));
    for (aggregate, of) in &stats.aggregates {
        let (streams, events, longest) = (of.streams, of.events, of.longest);
        Console::result(&format!("{aggregate:<14} {streams:>10} {events:>12} {longest:>10}"));
    }
    Console::result("");
    Console::result(&format!("{:<34} {:>7} {:>10}", "type", "version", "events"));
    for ((_, event_type, version), events) in &stats.types {
        Console::result(&format!("{event_type:<34} {version:>7} {events:>10}"));
    }
}

fn time(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or_default()
}
