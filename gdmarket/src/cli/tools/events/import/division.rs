//! How the log of one process is divided among several: each gets the streams of its services, and the managers of these
//! services continue in every log that they read.

use crate::compose::aggregates_of;
use crate::output::{Exit, Failure};
use gdmarket_domain::{Service, Services};
use gdmarket_projections::{deadline_position, readers};
use gdmarket_store::{DividedLog, Division};
use uuid::{Builder, Uuid};

/// The part of a log that the process of the services `own` continues with. Those in `shared` have processes in common,
/// the rest has one each.
pub(super) fn division(
    log_id: Uuid,
    own: Services,
    shared: &[Services],
) -> Result<Division, Failure> {
    let processes = processes(own, shared)?;
    let read = own.iter().map(Service::reads_events_of).fold(Services::NONE, Services::union);
    let log = |services: Services, known_as: Services| {
        let first = known_as.iter().next().or_else(|| services.iter().next());
        first.map(|first| DividedLog {
            name: first.name(),
            log_id: divided_log_id(log_id, services),
            aggregates: aggregates_of(services),
        })
    };
    let others = processes.into_iter().filter_map(|services| {
        // A process is known by the first of its services whose events are read.
        let is_read = |service: &Service| read.contains(*service);
        let known_as: Vec<Service> = services.iter().filter(is_read).collect();
        log(services, Services::of(&known_as))
    });
    Ok(Division {
        own: log(own, own)
            .ok_or_else(|| Failure::new(Exit::Usage, "--service names no service"))?,
        others: others.collect(),
        readers: readers(own),
        has_books: own.contains(Service::Payment),
        deadline_position,
    })
}

/// The other processes, each by its services.
fn processes(own: Services, shared: &[Services]) -> Result<Vec<Services>, Failure> {
    let (mut taken, mut processes) = (own, vec![]);
    for services in shared {
        if let Some(twice) = services.iter().find(|service| taken.contains(*service)) {
            let fault = format!("the service {twice} is named twice by --service and --other");
            return Err(Failure::new(Exit::Usage, fault)
                .next("name every service once: those of this process with --service, those of each other with --other"));
        }
        taken = taken.union(*services);
        processes.push(*services);
    }
    processes.extend(Services::ALL.without(taken).iter().map(|service| Services::of(&[service])));
    Ok(processes)
}

/// The id of the log of these services, which every process computes alike. Payments keep the id of the undivided log:
/// a payment provider knows an attempt by a key that is made of it.
fn divided_log_id(log_id: Uuid, services: Services) -> Uuid {
    if services.contains(Service::Payment) {
        return log_id;
    }
    let named = Uuid::new_v5(&log_id, services.to_string().as_bytes());
    // Ids of logs have the form of random ones.
    Builder::from_random_bytes(named.into_bytes()).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKET: Uuid = Uuid::from_u128(7);

    fn divided(own: &str, shared: &[&str]) -> Division {
        let parsed: Vec<Services> = shared.iter().map(|text| text.parse().unwrap()).collect();
        division(MARKET, own.parse().unwrap(), &parsed).unwrap()
    }

    #[test]
    fn every_process_computes_the_same_logs() {
        let processes =
            [("item,alarm", "reservation,payment"), ("reservation,payment", "item,alarm")];
        let [first, second] = processes.map(|(own, other)| divided(own, &[other]));
        assert_eq!(first.own.log_id, second.others[0].log_id);
        assert_eq!(second.own.log_id, first.others[0].log_id);
        assert_eq!((first.others[0].name, second.others[0].name), ("reservation", "item"));
        assert_eq!(second.own.log_id, MARKET, "the provider's keys are made of it");
        assert_ne!(first.own.log_id, MARKET);
    }

    #[test]
    fn services_that_are_not_named_have_a_process_each() {
        let division = divided("reservation", &[]);
        let names: Vec<_> = division.others.iter().map(|log| log.name).collect();
        assert_eq!(names, ["item", "payment", "alarm"]);
        assert!(!division.has_books && divided("payment", &[]).has_books);
    }

    #[test]
    fn process_is_known_by_its_first_service_that_is_read() {
        // The payment service reads reservations only.
        let division = divided("payment", &["item,reservation"]);
        assert_eq!(division.others[0].name, "reservation");
    }

    #[test]
    fn service_that_is_named_twice_is_refused() {
        let both: Services = "item,alarm".parse().unwrap();
        assert!(division(MARKET, both, &[both]).is_err());
    }
}
