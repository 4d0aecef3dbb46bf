//! The use cases of operators about the data of persons, which is kept outside the log.

use crate::context::operator_only;
use crate::use_cases::UseCases;
use gdmarket_commands::{CommandError, Erased, NotErased};
use gdmarket_domain::{Actor, PersonId};

/// Why the data of a person is not erased.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// The actor is no operator.
    #[error(transparent)]
    Actor(#[from] CommandError),
    /// The names can't be written now.
    #[error(transparent)]
    NotErased(#[from] NotErased),
}

impl UseCases {
    /// Erases the names of a person from all their reservations. The log, which holds numbers only, stays as it
    /// is. Erasing a person without names changes nothing.
    pub async fn erase_person(&self, no: PersonId, actor: &Actor) -> Result<Erased, EraseError> {
        operator_only(actor)?;
        Ok(self.commands.erase_names(no).await?)
    }
}
