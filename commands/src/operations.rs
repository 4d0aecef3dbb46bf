//! What the market's people do, one file per noun: the commands they send, numbers they draw and
//! the outside calls on the way.

mod items;
mod payments;
mod registration;
mod reservations;

pub use items::{NewItem, Registered};
pub use payments::PaymentAsked;
pub use reservations::NewReservation;

use crate::commands::Inner;
use crate::error::CommandError;
use crate::meta::CommandMeta;
use gdmarket_domain::IdError;
use gdmarket_store::NumberKind;
use tokio::sync::OwnedMutexGuard;

/// How often a number that turns out to be in use is replaced before a request gives up.
const NUMBER_ATTEMPTS: u32 = 8;

impl Inner {
    /// The turn of a request with a key: equal requests pass one at a time.
    async fn turn(&self, meta: &CommandMeta) -> Option<OwnedMutexGuard<()>> {
        if meta.keyed { Some(self.turns.take(meta.command_id).await) } else { None }
    }

    /// The number of this step's stream if a repeat finds the step done, else a new one.
    async fn number<N>(&self, of: NumberKind<'_>, meta: &CommandMeta) -> Result<N, CommandError>
    where
        N: TryFrom<i64, Error = IdError>,
    {
        let number = match self.executor.done_before(meta).await? {
            Some(receipt) => receipt.stream.number,
            None => self.executor.draw(of).await?,
        };
        number.try_into().map_err(|error: IdError| CommandError::Broken(error.to_string()))
    }
}
