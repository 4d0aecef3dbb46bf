//! Every cell of the isolation table on four real processes: each service is killed, and hangs, while every command of
//! people is sent.
//!
//! What is seen is compared with the table by one function, and a table with one flipped cell must differ from it.

mod commands;
mod observation;
mod outage;
mod subject;

use crate::calls::PROGRAM;
use gdmarket_domain::Service;
use gdmarket_domain::service::{Isolation, PersonCommand};
use gdmarket_testkit::SplitMarketOptions;
use observation::{Observation, differences};
use outage::{Failure, Outage};

/// What a command meets while a service is down, after the domain's table.
fn table(command: PersonCommand, down: Service) -> Isolation {
    command.without(down)
}

#[tokio::test]
async fn every_cell_of_the_isolation_table_holds_and_every_flipped_one_is_noticed() {
    let mut market = SplitMarketOptions::four_services(PROGRAM).start().await;
    let mut seen: Vec<Observation> = vec![];
    for failure in [Failure::Killed, Failure::Hanging] {
        for down in Service::ALL {
            seen.extend(Outage { down, failure }.observe(&mut market).await);
        }
    }
    let faults = differences(&seen, table);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    for command in PersonCommand::ALL {
        for down in Service::ALL {
            for value in [Isolation::Unaffected, Isolation::Accepted, Isolation::Refused] {
                if value == table(command, down) {
                    continue;
                }
                let faults = differences(&seen, |other_command, other_down| {
                    let is_flipped = (other_command, other_down) == (command, down);
                    if is_flipped { value } else { table(other_command, other_down) }
                });
                assert!(!faults.is_empty(), "{command:?} without {down}: {value:?} isn't noticed");
            }
        }
    }
}
