//! Events as lines: one aligned line for people, one JSON object for programs.

use crate::output::Console;
use crate::output::text::{Text, Tone};
use chrono::{DateTime, SecondsFormat, Utc};
use gdmarket_projections::EventView;
use serde_json::Value;

/// The longest data of an event in a line, in characters.
const MAX_DATA_CHARS: usize = 100;

/// Formats events as lines; columns never get narrower from one page to the next.
pub(crate) struct EventLines {
    console: Console,
    widths: [usize; 5],
}

impl EventLines {
    pub(crate) const fn new(console: Console) -> Self {
        Self { console, widths: [0; 5] }
    }

    /// The lines of a page.
    pub(crate) fn of(&mut self, events: &[EventView]) -> Vec<Text> {
        if self.console.is_json() {
            return events.iter().map(|event| json_line(event).into()).collect();
        }
        let cells: Vec<_> = events.iter().map(cells).collect();
        for row in &cells {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        events.iter().zip(&cells).map(|(event, cells)| self.line(event, cells)).collect()
    }

    fn line(&self, event: &EventView, cells: &[String; 5]) -> Text {
        let [position, stream, sequence, event_type, actor] = cells;
        let [of_position, of_stream, of_sequence, of_type, of_actor] = self.widths;
        let columns =
            format!("  {stream:of_stream$} {sequence:of_sequence$}  {event_type:of_type$}  ");
        Text::from(format!("{position:>of_position$}  "))
            .toned(Tone::Faint, moment(event.recorded_at))
            .then(columns)
            .toned(Tone::Faint, format!("{actor:of_actor$}"))
            .then(format!("  {}", short_data(&event.data)))
    }
}

fn cells(event: &EventView) -> [String; 5] {
    [
        event.position.to_string(),
        event.stream.clone(),
        format!("#{}", event.sequence),
        event.event_type.clone(),
        event.actor().unwrap_or_default().to_owned(),
    ]
}

fn json_line(event: &EventView) -> String {
    // Serialising texts, numbers and JSON values cannot fail.
    serde_json::to_string(event).unwrap_or_default()
}

/// A time with the precision of the log (milliseconds on SQLite): typed as a place in the log it means exactly this
/// event.
pub(crate) fn moment(time: DateTime<Utc>) -> String {
    let is_whole = time.timestamp_subsec_micros().is_multiple_of(1_000);
    let precision = if is_whole { SecondsFormat::Millis } else { SecondsFormat::Micros };
    time.to_rfc3339_opts(precision, true)
}

/// The data of an event, on one short line.
pub(crate) fn short_data(data: &Value) -> String {
    let text = match data {
        Value::Object(fields) => {
            let pairs = fields.iter().map(|(name, value)| format!("{name}={value}"));
            pairs.collect::<Vec<_>>().join(" ")
        }
        Value::Null => String::new(),
        other => other.to_string(),
    };
    match text.char_indices().nth(MAX_DATA_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gdmarket_projections::EventOrigin;
    use serde_json::json;

    fn event(position: i64, stream: &str) -> EventView {
        EventView {
            position,
            stream: stream.to_owned(),
            sequence: 1,
            event_type: "ItemDeleted".to_owned(),
            version: "1".to_owned(),
            recorded_at: DateTime::from_timestamp_micros(1_800_000_000_123_456).unwrap(),
            origin: Some(EventOrigin {
                actor: Some("owner:7".to_owned()),
                ..EventOrigin::default()
            }),
            caused_by: None,
            data: json!({"itemNo": 1}),
        }
    }

    #[test]
    fn columns_of_a_page_are_aligned() {
        let mut lines = EventLines::new(Console::new(false, false, true));
        let first = "2027-01-15T08:00:00.123456Z  item/1        #1  ItemDeleted  owner:7  itemNo=1";
        let lines = lines.of(&[event(9, "item/1"), event(10, "reservation/1")]);
        let lines: Vec<_> = lines.iter().map(|line| line.render(false)).collect();
        assert_eq!(lines[0], format!(" 9  {first}"));
        assert_eq!(lines[1], format!("10  {}", first.replace("item/1       ", "reservation/1")));
    }

    #[test]
    fn long_data_are_cut_between_characters() {
        let short = short_data(&json!({"itemName": "카".repeat(300)}));
        assert_eq!(short.chars().count(), MAX_DATA_CHARS + 1);
        assert!(short.ends_with('…'));
    }
}
