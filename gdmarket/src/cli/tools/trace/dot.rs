//! A trace as a graph in the language of Graphviz: commands are ellipses, events are boxes.

use super::steps::{command, heading, node_id, sender, steps};
use gdmarket_projections::TracedEvent;

/// The lines of the graph.
pub(super) fn lines(events: &[TracedEvent]) -> Vec<String> {
    let mut lines = vec!["digraph trace {".to_owned(), "  node [shape=box];".to_owned()];
    level(events, None, &mut lines);
    lines.push("}".to_owned());
    lines
}

fn level(events: &[TracedEvent], cause: Option<&str>, lines: &mut Vec<String>) {
    for step in steps(events) {
        let id = format!("c{}", step.id);
        let (sender, command) = (quoted(sender(step.first)), quoted(command(step.first)));
        lines.push(format!("  {id} [shape=ellipse, label=\"{sender}\\n{command}\"];"));
        if let Some(cause) = cause {
            lines.push(format!("  e{cause} -> {id} [style=dashed];"));
        }
        for traced in step.events {
            let (event, label) = (node_id(traced), quoted(&heading(traced)));
            lines.push(format!("  e{event} [label=\"{label}\"];"));
            lines.push(format!("  {id} -> e{event};"));
            level(&traced.consequences, Some(&event), lines);
        }
    }
}

/// Escapes a text so that it can't end its label.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::super::steps::tests::example;
    use super::*;

    #[test]
    fn every_cause_is_an_edge() {
        let lines = lines(&example());
        for edge in ["  c1 -> e1;", "  c1 -> e2;", "  e1 -> c3 [style=dashed];", "  c3 -> e3;"] {
            assert!(lines.iter().any(|line| line == edge), "{edge} is missing in {lines:?}");
        }
        assert_eq!(lines.len(), 12);
    }

    #[test]
    fn text_never_ends_its_label() {
        assert_eq!(quoted("a\"b\\"), "a\\\"b\\\\");
    }
}
