//! One typed method for every command, one file per noun: the commands that are sent, the numbers that
//! are allocated, and the outside calls on the way.

mod alarm_service;
mod answered_calls;
mod breakers;
mod commands;
mod items;
mod number_kinds;
mod payment_service;
mod payments;
mod persons;
mod registration;
mod requested_attempt;
mod reservations;

pub use commands::Commands;
pub use items::{Lending, NewItem, RegisteredItem};
pub use number_kinds::{NUMBERED, separate_payment_numbers};
pub use payment_service::{
    FindingDecision, FoundOutcome, PAYMENT_UNAVAILABLE, PaymentAttempt, PaymentFinding,
    PaymentOutcome, Settled,
};
pub use payments::RequestedPayment;
pub use persons::{Erased, NotErased, Remains};
pub use reservations::NewReservation;

use crate::error::CommandError;
use crate::executor::CommandMeta;
use commands::Inner;
use gdmarket_domain::{IdError, ItemNo};
use gdmarket_store::NumberKind;
use tokio::sync::OwnedMutexGuard;

/// How often a number that turns out to be in use is replaced before a request fails.
const NUMBER_ATTEMPTS: u32 = 8;

impl Inner {
    /// The lock of a request with a key: equal requests are executed one at a time.
    async fn lock_request(&self, meta: &CommandMeta) -> Option<OwnedMutexGuard<()>> {
        if meta.keyed { Some(self.requests.lock(meta.command_id).await) } else { None }
    }

    /// The number of this step's stream if a repeat finds the step done, else a new one.
    async fn number<N>(&self, of: NumberKind<'_>, meta: &CommandMeta) -> Result<N, CommandError>
    where
        N: TryFrom<i64, Error = IdError>,
    {
        let number = match self.executor.done_before(meta).await? {
            Some(receipt) => receipt.stream.number,
            None => self.executor.allocate(of).await?,
        };
        number.try_into().map_err(|error: IdError| CommandError::Broken(error.to_string()))
    }
}

fn item_no(number: i64) -> Result<ItemNo, CommandError> {
    ItemNo::new(number).map_err(|error| CommandError::Broken(error.to_string()))
}
