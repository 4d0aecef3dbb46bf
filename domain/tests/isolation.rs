//! The isolation table against the seed's rules, the interface and the documentation.

use gdmarket_domain::Service;
use gdmarket_domain::service::{Isolation, PersonCommand};

#[test]
fn rules_of_the_seed_hold() {
    for (command, down, expected) in [
        (PersonCommand::RequestReservation, Service::Item, Isolation::Accepted),
        (PersonCommand::PayReservation, Service::Payment, Isolation::Refused),
        (PersonCommand::DeleteItem, Service::Alarm, Isolation::Accepted),
        (PersonCommand::RegisterItem, Service::Alarm, Isolation::Refused),
    ] {
        assert_eq!(command.without(down), expected, "{command:?} without {down}");
    }
}

#[test]
fn command_without_its_own_service_is_refused() {
    for command in PersonCommand::ALL {
        assert_eq!(command.without(command.service()), Isolation::Refused, "{command:?}");
    }
}

#[test]
fn caller_waits_only_for_services_that_the_owner_calls() {
    for command in PersonCommand::ALL {
        for down in Service::ALL.into_iter().filter(|down| *down != command.service()) {
            let is_refused = command.without(down) == Isolation::Refused;
            let is_called = command.service().calls().contains(down);
            assert!(
                !is_refused || is_called,
                "{command:?} is refused without {down}, which it never calls"
            );
        }
    }
}

#[test]
fn every_command_is_an_operation_of_the_interface() {
    let document = include_str!("../../docs/openapi.json");
    for command in PersonCommand::ALL {
        let operation = format!("\"operationId\": \"{}\"", command.operation());
        assert!(document.contains(&operation), "{command:?}: no {operation}");
    }
}

#[test]
fn documentation_shows_the_table() {
    let document = include_str!("../../docs/services.md");
    let header = "| command | item down | reservation down | payment down | alarm down |\n|---|---|---|---|---|\n";
    let (_, shown) = document.split_once(header).expect("the table's header");
    let shown: Vec<&str> = shown.lines().take_while(|line| line.starts_with('|')).collect();
    let rows: Vec<String> = PersonCommand::ALL.into_iter().map(row).collect();
    assert_eq!(shown, rows, "docs/services.md is old; its table is:\n{}", rows.join("\n"));
}

fn row(command: PersonCommand) -> String {
    let cells = Service::ALL.map(|down| command.without(down).name());
    format!("| `{}` | {} |", command.operation(), cells.join(" | "))
}
