//! A trace as a tree for people: under each command its events, under each event the reactions to it.

use super::steps::{command, heading, sender, steps};
use crate::output::event_lines::{moment, short_data};
use crate::output::text::{Text, Tone};
use chrono::{DateTime, Utc};
use gdmarket_projections::TracedEvent;

/// The lines of the tree.
pub(in crate::cli::tools) fn lines(events: &[TracedEvent]) -> Vec<Text> {
    let mut tree = Tree { lines: vec![] };
    for step in steps(events) {
        let event = step.first;
        let when = moment(event.recorded_at);
        tree.lines.push(command_line(sender(event), &when, command(event)));
        tree.events(&step.events, "");
    }
    tree.lines
}

struct Tree {
    lines: Vec<Text>,
}

/// The line of a command: its sender, when it was sent, and its id.
fn command_line(sender: &str, when: &str, command: &str) -> Text {
    Text::from(format!("{sender} ")).toned(Tone::Faint, format!("{when} command {command}"))
}

impl Tree {
    fn events(&mut self, events: &[&TracedEvent], indent: &str) {
        for (place, traced) in (1..).zip(events) {
            let (branch, deeper) = branches(place == events.len());
            let line = Text::from(format!("{indent}{branch}{} ", heading(traced)));
            self.lines.push(line.toned(Tone::Faint, short_data(&traced.event.data)));
            let since = traced.event.recorded_at;
            self.reactions(&traced.consequences, since, &format!("{indent}{deeper}"));
        }
    }

    fn reactions(&mut self, level: &[TracedEvent], since: DateTime<Utc>, indent: &str) {
        let steps = steps(level);
        for (place, step) in (1..).zip(&steps) {
            let (branch, deeper) = branches(place == steps.len());
            let event = step.first;
            let took = (event.recorded_at - since).num_milliseconds();
            let sender = format!("{indent}{branch}{}", sender(event));
            self.lines.push(command_line(&sender, &format!("+{took} ms"), command(event)));
            self.events(&step.events, &format!("{indent}{deeper}"));
        }
    }
}

const fn branches(is_last: bool) -> (&'static str, &'static str) {
    if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") }
}

#[cfg(test)]
mod tests {
    use super::super::steps::tests::example;
    use super::*;

    #[test]
    fn commands_events_and_reactions_form_a_tree() {
        let lines: Vec<_> = lines(&example()).iter().map(|line| line.render(false)).collect();
        assert_eq!(
            lines,
            [
                "renter:1 2027-01-15T08:00:00.000Z command a",
                "├─ 1 reservation/1 #1 Asked no=1",
                "│  └─ process:holding +5 ms command b",
                "│     └─ 3 item/1 #3 Held no=3",
                "└─ 2 reservation/1 #2 Asked no=2",
            ]
        );
    }
}
