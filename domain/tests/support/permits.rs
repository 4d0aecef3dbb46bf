//! Checks a table of commands × actors against the permissions of an aggregate.

use gdmarket_domain::{Actor, Decider};

/// Compares every cell (`yes` or `no`) with what the aggregate permits; the header names the actors.
pub(crate) fn check<A: Decider>(aggregate: &A, table: &str, command: impl Fn(&str) -> A::Command) {
    let mut lines = table.lines().map(str::trim).filter(|line| !line.is_empty()).map(cells);
    let header = lines.next().unwrap();
    for row in lines {
        assert_eq!(row.len(), header.len(), "cells in the row {}", row[0]);
        for (who, cell) in header.iter().zip(&row).skip(1) {
            let permitted =
                if aggregate.permits(&actor(who), &command(row[0])) { "yes" } else { "no" };
            assert_eq!(permitted, *cell, "{} by {who}", row[0]);
        }
    }
}

fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}

fn actor(name: &str) -> Actor {
    match name {
        "process" => Actor::Process("holding"),
        other => other.parse().unwrap(),
    }
}
