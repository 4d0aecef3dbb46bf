//! `gdmarket events show`: everything about one event, with its metadata and its cause.

use crate::output::event_lines::moment;
use crate::output::{Console, Exit, Failure};
use clap::Args;
use gdmarket_projections::{EventView, unreadable};
use gdmarket_store::{RecordedEvent, Store};
use serde_json::{Value, json};

const EXAMPLES: &str = "\
Examples:
  gdmarket events show 4711
  gdmarket events show 4711 --json | jq .metadata";

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct ShowArgs {
    /// The event's position in the log.
    #[arg(value_name = "POSITION", value_parser = clap::value_parser!(i64).range(1..))]
    position: i64,
}

pub(super) async fn run(store: &Store, args: &ShowArgs, console: Console) -> Result<(), Failure> {
    let Some(event) = store.log().at(args.position).await? else {
        let message = format!("there is no event at position {}", args.position);
        let before = args.position.saturating_sub(1);
        return Err(Failure::new(Exit::Failed, message).next(format!(
            "see what comes next: gdmarket events list --after {before} --limit 1"
        )));
    };
    let view = EventView::from(&event);
    let cause = match view.caused_by {
        Some(position) => store.log().at(position).await?,
        None => None,
    };
    let fault = unreadable(&event);
    if console.is_json() {
        let mut shown = serde_json::to_value(&view).unwrap_or_default();
        if let Some(shown) = shown.as_object_mut() {
            shown.insert("metadata".to_owned(), metadata(&event));
            shown.insert("cause".to_owned(), json!(cause.as_ref().map(EventView::from)));
            shown.insert("unreadable".to_owned(), json!(fault));
        }
        Console::result_json(&shown);
    } else {
        print(&event, &view, cause.as_ref(), fault.as_deref());
    }
    Ok(())
}

fn metadata(event: &RecordedEvent) -> Value {
    serde_json::from_str(&event.metadata).unwrap_or_else(|_| json!(event.metadata))
}

fn print(
    event: &RecordedEvent,
    view: &EventView,
    cause: Option<&RecordedEvent>,
    fault: Option<&str>,
) {
    let caused_by = match (cause, view.caused_by) {
        (Some(cause), _) => cause.to_string(),
        (None, Some(position)) => format!("{position}, which isn't in this log"),
        (None, None) => "no event: it was requested".to_owned(),
    };
    let known = |text: Option<&str>| text.unwrap_or("–").to_owned();
    let lines = [
        ("position", view.position.to_string()),
        ("stream", format!("{} #{}", view.stream, view.sequence)),
        ("type", format!("{} version {}", view.event_type, view.version)),
        ("recorded at", moment(view.recorded_at)),
        ("actor", known(view.actor())),
        ("command", known(view.command_id())),
        ("correlation", known(view.correlation_id())),
        ("caused by", caused_by),
        ("unreadable", fault.unwrap_or_default().to_owned()),
    ];
    for (name, text) in lines.iter().filter(|(_, text)| !text.is_empty()) {
        Console::result(&format!("{name:<12} {text}"));
    }
    // JSON escapes the line breaks in its strings.
    for (name, value) in [("metadata", metadata(event)), ("data", view.data.clone())] {
        Console::result_lines(&format!("{name:<12} {}", pretty(&value)));
    }
}

/// JSON on several lines, each indented to the column of the first.
fn pretty(value: &Value) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.replace('\n', "\n             ")
}
