//! Groups the events of a level of a trace by their commands.

use gdmarket_projections::{EventView, TracedEvent};

/// A command, with its events.
pub(super) struct CommandStep<'a> {
    /// The first of its events; all of them share actor, command and time.
    pub(super) first: &'a EventView,
    /// The node of the first of its events.
    pub(super) id: String,
    /// All of them, in order.
    pub(super) events: Vec<&'a TracedEvent>,
}

/// The commands of a level, in order.
pub(super) fn steps(level: &[TracedEvent]) -> Vec<CommandStep<'_>> {
    let mut steps: Vec<CommandStep<'_>> = vec![];
    for traced in level {
        let command = traced.event.command_id();
        // Events without a command id can't be grouped.
        let known =
            steps.iter_mut().find(|step| command.is_some() && step.first.command_id() == command);
        if let Some(step) = known {
            step.events.push(traced);
        } else {
            let id = node_id(traced);
            steps.push(CommandStep { first: &traced.event, id, events: vec![traced] });
        }
    }
    steps
}

/// The sender of the command of an event: a person, or a process of the market by its name.
pub(super) fn sender(event: &EventView) -> &str {
    event.actor().unwrap_or("unknown sender")
}

/// The id of the command of an event.
pub(super) fn command(event: &EventView) -> &str {
    event.command_id().unwrap_or("unknown")
}

/// The label of an event in a graph. Where services have logs of their own, the position names the log.
pub(super) fn heading(traced: &TracedEvent) -> String {
    let TracedEvent { event, service, .. } = traced;
    let log = service.map(|service| format!("@{service}")).unwrap_or_default();
    format!("{}{log} {} #{} {}", event.position, event.stream, event.sequence, event.event_type)
}

/// What distinguishes an event from all others in a graph.
pub(super) fn node_id(traced: &TracedEvent) -> String {
    let position = traced.event.position;
    traced.service.map_or_else(|| position.to_string(), |service| format!("{service}{position}"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use chrono::DateTime;
    use gdmarket_projections::EventOrigin;
    use serde_json::json;

    /// What differs between the events of an example.
    #[derive(Clone, Copy)]
    struct Given {
        command: &'static str,
        actor: &'static str,
        stream: &'static str,
        event_type: &'static str,
    }

    fn event(position: i64, given: Given) -> TracedEvent {
        let Given { command, actor, stream, event_type } = given;
        let at = 1_800_000_000_000 + if position > 2 { 5 } else { 0 };
        let event = EventView {
            position,
            stream: stream.to_owned(),
            sequence: position,
            event_type: event_type.to_owned(),
            version: "1".to_owned(),
            recorded_at: DateTime::from_timestamp_millis(at).unwrap(),
            origin: Some(EventOrigin {
                actor: Some(actor.to_owned()),
                command_id: Some(command.to_owned()),
                correlation_id: None,
            }),
            caused_by: None,
            data: json!({"no": position}),
        };
        TracedEvent { event, service: None, consequences: vec![] }
    }

    /// A command with two events, and a reaction to the first.
    pub(in super::super) fn example() -> Vec<TracedEvent> {
        let requested =
            Given { command: "a", actor: "renter:1", stream: "reservation/1", event_type: "Asked" };
        let held =
            Given { command: "b", actor: "process:holding", stream: "item/1", event_type: "Held" };
        let mut first = event(1, requested);
        first.consequences.push(event(3, held));
        vec![first, event(2, requested)]
    }

    #[test]
    fn events_of_one_command_are_one_step() {
        let trace = example();
        let steps = steps(&trace);
        assert_eq!(steps.len(), 1);
        assert_eq!(steps[0].events.len(), 2);
    }
}
