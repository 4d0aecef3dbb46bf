//! What was seen of a command while a service was down, and how that compares with a table.

use super::outage::Outage;
use gdmarket_domain::Service;
use gdmarket_domain::service::{Isolation, PersonCommand};

/// The answer to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CommandAnswer {
    /// The command was taken.
    Taken(u16),
    /// Another answer, and whether it has `Retry-After`.
    NotTaken { status: u16, has_retry_after: bool, body: String },
    /// No connection came about.
    NoConnection,
    /// The process didn't answer.
    NoAnswer(String),
}

/// What was seen of one command.
#[derive(Debug, Clone)]
pub(super) struct Observation {
    pub(super) command: PersonCommand,
    pub(super) outage: Outage,
    pub(super) answer: CommandAnswer,
    /// How many events of this command were in all logs while the service was down.
    pub(super) written: i64,
    /// Whether all that it leads to was done while the service was down.
    pub(super) is_done_without: bool,
    /// Whether all of it was done soon after the service's return.
    pub(super) is_done_at_last: bool,
}

impl Observation {
    /// The cell of the table that this is; a description of what no cell allows.
    fn isolation(&self) -> Result<Isolation, String> {
        match &self.answer {
            CommandAnswer::Taken(_) if self.is_done_without => Ok(Isolation::Unaffected),
            CommandAnswer::Taken(_) if self.is_done_at_last => Ok(Isolation::Accepted),
            CommandAnswer::NotTaken { status: 503, has_retry_after: true, .. }
            | CommandAnswer::NoConnection
                if self.written == 0 =>
            {
                Ok(Isolation::Refused)
            }
            _ => Err(format!("{self:?}")),
        }
    }
}

/// Where the observations differ from a table, and which of its cells were not observed.
pub(super) fn differences(
    seen: &[Observation],
    table: impl Fn(PersonCommand, Service) -> Isolation,
) -> Vec<String> {
    let mut faults = vec![];
    for command in PersonCommand::ALL {
        for down in Service::ALL {
            let expected = table(command, down);
            let of_cell = |each: &&Observation| (each.command, each.outage.down) == (command, down);
            let cell: Vec<&Observation> = seen.iter().filter(of_cell).collect();
            if cell.is_empty() {
                faults.push(format!("{command:?} without {down} was not observed"));
            }
            for observation in cell {
                let failure = observation.outage.failure;
                match observation.isolation() {
                    Ok(isolation) if isolation == expected => {}
                    Ok(isolation) => faults.push(format!(
                        "{command:?} without {down} ({failure:?}) is {isolation:?}, not \
                         {expected:?}: {observation:?}"
                    )),
                    Err(other) => faults.push(format!(
                        "{command:?} without {down} ({failure:?}) is neither {expected:?} nor \
                         another cell: {other}"
                    )),
                }
            }
        }
    }
    faults
}
