//! A trace as a flowchart in the language of Mermaid: commands are rounded, events are boxes.

use super::steps::{command, heading, node_id, sender, steps};
use gdmarket_projections::TracedEvent;

/// The lines of the chart.
pub(super) fn lines(events: &[TracedEvent]) -> Vec<String> {
    let mut lines = vec!["flowchart TD".to_owned()];
    level(events, None, &mut lines);
    lines
}

fn level(events: &[TracedEvent], cause: Option<&str>, lines: &mut Vec<String>) {
    for step in steps(events) {
        let id = format!("c{}", step.id);
        let label = format!("{}<br/>{}", quoted(sender(step.first)), quoted(command(step.first)));
        lines.push(format!("  {id}([\"{label}\"])"));
        if let Some(cause) = cause {
            lines.push(format!("  e{cause} -.-> {id}"));
        }
        for traced in step.events {
            let (event, label) = (node_id(traced), quoted(&heading(traced)));
            lines.push(format!("  {id} --> e{event}[\"{label}\"]"));
            level(&traced.consequences, Some(&event), lines);
        }
    }
}

/// Escapes a text so that it can't end its label.
fn quoted(text: &str) -> String {
    text.replace('#', "#35;").replace('"', "#quot;").replace('<', "#lt;").replace('>', "#gt;")
}

#[cfg(test)]
mod tests {
    use super::super::steps::tests::example;
    use super::*;

    #[test]
    fn every_cause_is_an_arrow() {
        let lines = lines(&example());
        assert_eq!(
            lines,
            [
                "flowchart TD",
                "  c1([\"renter:1<br/>a\"])",
                "  c1 --> e1[\"1 reservation/1 #35;1 Asked\"]",
                "  c3([\"process:holding<br/>b\"])",
                "  e1 -.-> c3",
                "  c3 --> e3[\"3 item/1 #35;3 Held\"]",
                "  c1 --> e2[\"2 reservation/1 #35;2 Asked\"]",
            ]
        );
    }

    #[test]
    fn text_never_ends_its_label() {
        assert_eq!(quoted("a\"]<b>#"), "a#quot;]#lt;b#gt;#35;");
    }
}
