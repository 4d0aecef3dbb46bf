//! A level of a story as its commands: events that came of one command stand together.

use gdmarket_projections::{ToldEvent, TracedEvent};

/// A command, with the events that came of it.
pub(super) struct CommandStep<'a> {
    /// The first of its events: all of them share actor, command and time.
    pub(super) first: &'a ToldEvent,
    /// All of them, in order.
    pub(super) events: Vec<&'a TracedEvent>,
}

/// The commands of a level, in order.
pub(super) fn steps(level: &[TracedEvent]) -> Vec<CommandStep<'_>> {
    let mut steps: Vec<CommandStep<'_>> = vec![];
    for traced in level {
        let command = traced.event.command_id.as_deref();
        // Without a command id nobody knows what belongs together.
        let known = steps
            .iter_mut()
            .find(|step| command.is_some() && step.first.command_id.as_deref() == command);
        match known {
            Some(step) => step.events.push(traced),
            None => steps.push(CommandStep { first: &traced.event, events: vec![traced] }),
        }
    }
    steps
}

/// Who sent it: a person, or a process of the market by its name.
pub(super) fn sender(event: &ToldEvent) -> &str {
    event.actor.as_deref().unwrap_or("somebody unknown")
}

/// Its command's id.
pub(super) fn command(event: &ToldEvent) -> &str {
    event.command_id.as_deref().unwrap_or("unknown")
}

/// An event's name in a graph.
pub(super) fn heading(event: &ToldEvent) -> String {
    format!("{} {} #{} {}", event.position, event.stream, event.sequence, event.event_type)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use chrono::DateTime;
    use serde_json::json;

    fn event(position: i64, (command, actor): (&str, &str), name: (&str, &str)) -> TracedEvent {
        let at = 1_800_000_000_000 + if position > 2 { 5 } else { 0 };
        let event = ToldEvent {
            position,
            stream: name.0.to_owned(),
            sequence: position,
            event_type: name.1.to_owned(),
            version: "1".to_owned(),
            recorded_at: DateTime::from_timestamp_millis(at).unwrap(),
            actor: Some(actor.to_owned()),
            command_id: Some(command.to_owned()),
            correlation_id: None,
            caused_by: None,
            data: json!({"no": position}),
        };
        TracedEvent { event, consequences: vec![] }
    }

    /// A command with two events, and a reaction to the first.
    pub(in super::super) fn story() -> Vec<TracedEvent> {
        let (asking, asked) = (("a", "renter:1"), ("reservation/1", "Asked"));
        let mut first = event(1, asking, asked);
        first.consequences.push(event(3, ("b", "process:holding"), ("item/1", "Held")));
        vec![first, event(2, asking, asked)]
    }

    #[test]
    fn events_of_one_command_stand_together() {
        let story = story();
        let steps = steps(&story);
        assert_eq!(steps.len(), 1);
        assert_eq!(steps[0].events.len(), 2);
    }
}
