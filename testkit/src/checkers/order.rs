//! The order of a log: positions increase, and the sequences of each stream are 1, 2, 3 and so on.

use std::collections::HashMap;

use crate::log_event::LogEvent;

/// Sequences with gaps or duplicates, and positions that don't increase, in one log.
pub fn order_violations(log: &[LogEvent]) -> Vec<String> {
    let mut heads = HashMap::new();
    let mut violations = Vec::new();
    let mut last = 0;
    for event in log {
        let head = heads.entry(&event.stream).or_insert(0);
        if event.sequence != *head + 1 {
            violations.push(format!("{} goes from {head} to {}", event.stream, event.sequence));
        }
        *head = event.sequence;
        if event.position <= last {
            violations.push(format!("position {} follows {last}", event.position));
        }
        last = event.position;
    }
    violations
}
