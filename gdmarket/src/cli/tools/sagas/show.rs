//! `gdmarket sagas show`: one saga with its open steps, what is parked, and the trace of what was done.

use super::table::{duration, from_now};
use super::{advice, find, note_unseen};
use crate::cli::tools::{parked, trace};
use crate::compose::traces_of;
use crate::config::Config;
use crate::output::event_lines::moment;
use crate::output::result_writer::ResultWriter;
use crate::output::text::{Text, Tone};
use crate::output::{Console, Failure};
use gdmarket_projections::{
    FoundSaga, LoopStatus, ParkedReaction, SagaKey, SagaRow, Sagas, Trace, Traces, overview,
};
use gdmarket_store::Store;
use serde_json::{Value, json};
use std::time::Duration;

pub(super) async fn run(
    store: Store,
    config: &Config,
    saga: SagaKey,
    console: Console,
) -> Result<(), Failure> {
    // The log holds the events of these services.
    let services = config.services.own;
    let sagas = Sagas::new(store.clone(), services);
    let found = find(&sagas, saga).await?;
    let loops = overview(&store, services, Duration::ZERO).await?;
    let done = trace_of(&traces_of(config, &store), saga).await?;
    note_unseen(&sagas, console);
    trace::note_gaps(&done, console);
    let mut out = ResultWriter::new(console);
    if console.is_json() {
        out.line(as_json(saga, &found, &loops, &done).to_string())?;
        return out.flush();
    }
    for line in lines(saga, &found, &loops) {
        out.line(line)?;
    }
    for line in trace::text::lines(&done.events) {
        out.line(line)?;
    }
    out.flush()
}

async fn trace_of(traces: &Traces, saga: SagaKey) -> Result<Trace, Failure> {
    Ok(match saga {
        SagaKey::Reservation(no) => {
            let found = traces.reservation(no, trace::SERVICES_WAIT).await?;
            found.map_or_else(Trace::default, |found| found.trace)
        }
        SagaKey::Item(no) => traces.announcement(no, trace::SERVICES_WAIT).await?,
    })
}

fn as_json(saga: SagaKey, found: &FoundSaga, loops: &[LoopStatus], done: &Trace) -> Value {
    let steps: Vec<Value> = found
        .rows
        .iter()
        .map(|row| {
            let mut step = json!(row);
            if let Some(fields) = step.as_object_mut() {
                fields.insert("next".to_owned(), json!(advice::advice(row, loops)));
            }
            step
        })
        .collect();
    let mut shown = json!({
        "saga": saga.to_string(), "itemNo": found.item_no, "state": found.state,
        "isOpen": !found.rows.is_empty(), "steps": steps, "parked": found.parked,
        "events": done.events, "complete": done.is_complete(),
    });
    if let Some(fields) = shown.as_object_mut() {
        fields.extend(trace::missing_field(done));
    }
    shown
}

fn lines(saga: SagaKey, found: &FoundSaga, loops: &[LoopStatus]) -> Vec<Text> {
    let state = found.state.unwrap_or("unknown state");
    let item = match (saga, found.item_no) {
        (SagaKey::Reservation(_), Some(no)) => format!(" of item/{no}"),
        (SagaKey::Reservation(_) | SagaKey::Item(_), _) => String::new(),
    };
    let mut lines = vec![Text::from(format!("{saga}{item}: {state}"))];
    if found.rows.is_empty() {
        lines.push("Nothing is open.".into());
    }
    for row in &found.rows {
        lines.push(step_line(row));
        lines.extend(row.parked.iter().map(parked_line));
        lines.push(format!("  next: {}", advice::advice(row, loops)).into());
    }
    lines.push(Text::default());
    lines
}

fn step_line(row: &SagaRow) -> Text {
    let payment = row.payment_no.map(|no| format!(" payment/{no}")).unwrap_or_default();
    let line = Text::from(format!(
        "{}{payment}: waits for the {} {}, since {} ({}){}",
        row.step,
        row.waits_for,
        row.purpose,
        moment(row.since),
        duration(row.age_seconds),
        until(row),
    ));
    match &row.error {
        Some(error) if row.parked.is_empty() => line.then("; ").toned(Tone::Bad, error),
        Some(_) | None => line,
    }
}

/// The deadline or the last day of a step, if it has one.
fn until(row: &SagaRow) -> String {
    match (row.deadline, row.last_day) {
        (Some(deadline), _) => {
            let left = (deadline - row.since).num_seconds() - row.age_seconds;
            format!(", until {} ({})", moment(deadline), from_now(left))
        }
        (None, Some(day)) => format!(", until {day}"),
        (None, None) => String::new(),
    }
}

fn parked_line(of: &ParkedReaction) -> Text {
    let next = of.next_try_at.map(|at| format!("; tried again at {}", moment(at)));
    let line = format!("  {}{}", parked::line(&of.parked), next.unwrap_or_default());
    Text::default().toned(Tone::Bad, line)
}
