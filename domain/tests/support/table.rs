//! Checks a table of states × commands against the decisions of an aggregate.
//!
//! A cell is `=` (success without an event), `→ STATE` (events that lead to this state), the names of the
//! events that leave the state as it is, or a refusal's code; `park` stands for the code of an impossible
//! command, `late` for the event of a late payment. The last column names all events that a row may write.

use cqrs_es::DomainEvent;
use gdmarket_domain::{Decider, Refusal};
use std::collections::BTreeSet;

/// The aggregate after these commands, each of which must have been accepted.
pub(crate) fn after<A: Decider>(commands: impl IntoIterator<Item = A::Command>) -> A
where
    A::Command: std::fmt::Debug,
{
    let mut aggregate = A::default();
    for command in commands {
        let events = aggregate.decide(&command).unwrap_or_else(|e| panic!("{command:?}: {e}"));
        assert!(!events.is_empty(), "{command:?} gave no event");
        for event in events {
            aggregate.apply(event);
        }
    }
    aggregate
}

/// The code of a command's refusal.
pub(crate) fn refusal<A: Decider>(aggregate: &A, command: &A::Command) -> &'static str {
    aggregate.decide(command).expect_err("a refusal").code()
}

/// Compares every cell of `table` with the aggregate's decision, and reports all that differ.
pub(crate) fn check<A: Decider>(
    table: &str,
    state: impl Fn(&str) -> A,
    command: impl Fn(&str) -> A::Command,
    name: impl Fn(&A) -> &'static str,
) {
    let mut lines = table.lines().map(str::trim).filter(|line| !line.is_empty()).map(cells);
    let header = lines.next().unwrap();
    let columns = &header[1..header.len() - 1];
    for column in columns {
        assert_eq!(name(&state(column)), *column, "the state is built as another");
    }
    let mut differences = vec![];
    for row in lines {
        assert_eq!(row.len(), header.len(), "cells in the row {}", row[0]);
        let mut written = BTreeSet::new();
        for (column, cell) in columns.iter().zip(&row[1..]) {
            let found = outcome(&state(column), &command(row[0]), &name, &mut written);
            if found != spelled_out(cell) {
                differences.push(format!("{} in {column}: {cell} expected, {found}", row[0]));
            }
        }
        let expected: BTreeSet<String> =
            row[row.len() - 1].split(' ').filter(|w| !w.is_empty()).map(str::to_owned).collect();
        if written != expected {
            differences.push(format!("{} writes {written:?}", row[0]));
        }
    }
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}

fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}

fn spelled_out(cell: &str) -> &str {
    match cell {
        "park" => "impossible",
        "late" => "LatePaymentRecorded",
        other => other,
    }
}

fn outcome<A: Decider>(
    before: &A,
    command: &A::Command,
    name: impl Fn(&A) -> &'static str,
    written: &mut BTreeSet<String>,
) -> String {
    let events = match before.decide(command) {
        Ok(events) => events,
        Err(refusal) => return refusal.code().to_owned(),
    };
    if events.is_empty() {
        return "=".to_owned();
    }
    let types: Vec<String> = events.iter().map(DomainEvent::event_type).collect();
    let mut after = before.clone();
    for event in events {
        after.apply(event);
    }
    written.extend(types.iter().cloned());
    if name(before) == name(&after) { types.join(", ") } else { format!("→ {}", name(&after)) }
}
