//! Every cell of the isolation table, and what a process knows of the services.

use super::*;
use chrono::TimeDelta;

const SINCE: DateTime<Utc> = DateTime::UNIX_EPOCH;

/// A process with these services, which reaches all others.
fn process_of(own: &[Service]) -> MarketCondition {
    let condition = |service: Service| {
        let is_own = own.contains(&service);
        if is_own { ServiceCondition::Here } else { ServiceCondition::Reachable }
    };
    let services = Service::ALL.map(|service| (service, condition(service)));
    MarketCondition { services: services.into(), breakers: BTreeMap::new() }
}

/// A process with the service of a command alone, which knows this of another one.
fn process_that_knows(
    command: PersonCommand,
    other: Service,
    condition: ServiceCondition,
) -> MarketCondition {
    let mut process = process_of(&[command.service()]);
    process.services.insert(other, condition);
    process
}

/// Each command with each service that isn't its own.
fn cells() -> impl Iterator<Item = (PersonCommand, Service)> {
    let others = |command: PersonCommand| {
        Service::ALL.into_iter().filter(move |other| *other != command.service())
    };
    let of_command = move |command| others(command).map(move |other| (command, other));
    PersonCommand::ALL.into_iter().flat_map(of_command)
}

#[test]
fn every_command_works_in_one_process() {
    for command in PersonCommand::ALL {
        let outlook = process_of(&Service::ALL).outlook(command);
        let works = CommandOutlook { availability: Availability::Works, hindrances: vec![] };
        assert_eq!(outlook, works, "{command:?}");
    }
}

#[test]
fn command_of_another_process_is_not_served_here() {
    for (command, other) in cells() {
        let outlook = process_of(&[other]).outlook(command);
        assert_eq!(outlook.availability, Availability::NotServedHere, "{command:?} in {other}");
        let own = command.service();
        let hindrance = Hindrance { service: own, cause: HindranceCause::NotServedHere };
        assert_eq!(outlook.hindrances, [hindrance]);
    }
}

#[test]
fn unreachable_service_has_the_effect_of_the_table() {
    for (command, other) in cells() {
        let unreachable = ServiceCondition::Unreachable { since: SINCE };
        let outlook = process_that_knows(command, other, unreachable).outlook(command);
        let cause = HindranceCause::Unreachable { since: SINCE };
        let hindrance = Hindrance { service: other, cause };
        let (availability, hindrances) = match command.without(other) {
            Isolation::Unaffected => (Availability::Works, vec![]),
            Isolation::Accepted => (Availability::Accepted, vec![hindrance]),
            Isolation::Refused => (Availability::Refused, vec![hindrance]),
        };
        let expected = CommandOutlook { availability, hindrances };
        assert_eq!(outlook, expected, "{command:?} without {other}");
    }
}

#[test]
fn service_whose_events_are_refused_still_takes_calls() {
    for (command, other) in cells() {
        let refused = ServiceCondition::Refused { since: SINCE };
        let outlook = process_that_knows(command, other, refused).outlook(command);
        let expected = match command.without(other) {
            Isolation::Unaffected => Availability::Works,
            Isolation::Accepted | Isolation::Refused => Availability::Accepted,
        };
        assert_eq!(outlook.availability, expected, "{command:?} without {other}");
    }
}

#[test]
fn open_breaker_refuses_what_waits_for_its_calls_also_in_one_process() {
    let until = SINCE + TimeDelta::seconds(5);
    for (command, other) in cells() {
        let mut process = process_of(&Service::ALL);
        let breaker = BreakerCondition { state: BreakerState::Open, until: Some(until) };
        process.breakers.insert(other, breaker);
        let expected = match command.without(other) {
            Isolation::Unaffected | Isolation::Accepted => Availability::Works,
            Isolation::Refused => Availability::Refused,
        };
        let outlook = process.outlook(command);
        assert_eq!(outlook.availability, expected, "{command:?} with the breaker of {other}");
        let half_open = BreakerCondition { state: BreakerState::HalfOpen, until: None };
        process.breakers.insert(other, half_open);
        assert_eq!(process.outlook(command).availability, Availability::Works);
    }
}

#[test]
fn worst_of_several_hindrances_decides() {
    let mut process = process_of(&[Service::Reservation]);
    for missing in [Service::Item, Service::Payment] {
        process.services.insert(missing, ServiceCondition::Unreachable { since: SINCE });
    }
    let outlook = process.outlook(PersonCommand::PayReservation);
    assert_eq!(outlook.availability, Availability::Refused);
    let missing: Vec<Service> = outlook.hindrances.iter().map(|each| each.service).collect();
    assert_eq!(missing, [Service::Item, Service::Payment]);
    let cancelled = process.outlook(PersonCommand::CancelReservation);
    assert_eq!(cancelled.availability, Availability::Accepted);
}
