//! What is kept of persons outside the log: their names.

use super::commands::Commands;
use gdmarket_domain::PersonId;
use gdmarket_store::StoreError;

pub use gdmarket_store::{Erased, Remains};

/// Why names may not be erased yet.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct NotErased(#[from] pub StoreError);

impl Commands {
    /// Erases the names of a person from all their streams, and from the old rows that the engine keeps, as far
    /// as possible. Repeating it erases what could not be erased before.
    pub async fn erase_names(&self, person: PersonId) -> Result<Erased, NotErased> {
        Ok(self.0.executor.personal_data().erase(person.get()).await?)
    }
}
