//! Registering: the alarm first, then the item.
//!
//! Step 0 is the alarm, step 1 the item; the number is in step 0's receipt, so a repeat finds it
//! and raises no alarm. A registration that took so long that its number was abandoned starts over
//! with the next two steps and a new number: the item's stream decides which was first.

use super::{NUMBER_ATTEMPTS, NewItem, RegisteredItem};
use crate::error::{CommandError, Dependency};
use crate::executor::{CommandMeta, CommandRequest, Execution};
use crate::operations::commands::Inner;
use crate::operations::number_kinds;
use crate::outside::CallOutcome;
use gdmarket_domain::{
    Alarm, AlarmCommand, Item, ItemCommand, ItemError, ItemNo, Refusal, Service,
};
use tokio::time::timeout;

/// How often a registration may find its number abandoned before it fails.
const ROUNDS: u32 = 8;

impl Inner {
    pub(super) async fn register(
        &self,
        item: &NewItem,
        meta: &CommandMeta,
    ) -> Result<RegisteredItem, CommandError> {
        let _lock = self.lock_request(meta).await;
        for round in 0..ROUNDS {
            let item_no = self.announce(&meta.step(2 * round)).await?;
            gdmarket_store::failpoint!("commands.after-alarm");
            match self.list(item_no, item, &meta.step(2 * round + 1)).await {
                // The number was abandoned before a first try; that try's receipt repeats it.
                Err(error) if error.code() == Some(ItemError::RegistrationAbandoned.code()) => {}
                Ok(None) => {}
                Ok(Some(done)) => return Ok(done),
                Err(error) => return Err(error),
            }
        }
        Err(CommandError::Conflict { attempts: ROUNDS })
    }

    /// Raises the alarm for a new number, or finds the number that a first try announced.
    async fn announce(&self, meta: &CommandMeta) -> Result<ItemNo, CommandError> {
        if let Some(receipt) = self.executor.done_before(meta).await? {
            return item_no(receipt.stream.number);
        }
        for _ in 0..NUMBER_ATTEMPTS {
            let item_no = self.raise_alarm().await?;
            gdmarket_store::failpoint!("commands.after-alert");
            let command = AlarmCommand::RaiseRegistration { item_no };
            let request = CommandRequest::<Alarm>::new(item_no.get(), &command, meta);
            if let Some(done) = self.executor.begin(request).await? {
                // Another process may have executed the same request: then its number is valid.
                return self::item_no(done.executed.number);
            }
            self.executor.raise_numbers(number_kinds::ITEM).await?;
        }
        Err(CommandError::Conflict { attempts: NUMBER_ATTEMPTS })
    }

    /// Allocates a number and raises the alarm for it; without the alarm there is no item.
    async fn raise_alarm(&self) -> Result<ItemNo, CommandError> {
        let down = |retry_after, cause: String| CommandError::Unavailable {
            what: Dependency::Alarm,
            retry_after,
            cause,
        };
        // Calls over HTTP are not connected yet.
        if !self.options.services.contains(Service::Alarm) {
            let cause = "the alarm service is not in this process, and can't be called yet";
            return Err(down(self.options.retry_after, cause.to_owned()));
        }
        let permit = self.alarm_breaker.admit().map_err(|open| {
            down(open.retry_after, "the circuit breaker of the alarm is open".to_owned())
        })?;
        let item_no = item_no(self.executor.allocate(number_kinds::ITEM).await?)?;
        let (outcome, raised) =
            match timeout(self.options.alarm.answer_within, self.alarm.alert(item_no)).await {
                Ok(Ok(())) => (CallOutcome::Answered, Ok(item_no)),
                Ok(Err(error)) => (CallOutcome::Failed, Err(format!("the alarm failed: {error}"))),
                Err(_) => (CallOutcome::Slow, Err("the alarm doesn't answer in time".to_owned())),
            };
        permit.record(outcome);
        raised.map_err(|cause| down(self.options.retry_after, cause))
    }

    /// Puts the item on the market; `None` if its number was abandoned or is another item's.
    async fn list(
        &self,
        item_no: ItemNo,
        item: &NewItem,
        meta: &CommandMeta,
    ) -> Result<Option<RegisteredItem>, CommandError> {
        let NewItem { owner_id, item_name, item_price } = item.clone();
        let command = ItemCommand::Register { item_no, owner_id, item_name, item_price };
        let request = CommandRequest::<Item>::new(item_no.get(), &command, meta);
        let registered = |Execution { executed, events, .. }| RegisteredItem {
            executed,
            event: events.into_iter().next(),
        };
        Ok(self.executor.begin(request).await?.map(registered))
    }
}

fn item_no(number: i64) -> Result<ItemNo, CommandError> {
    ItemNo::new(number).map_err(|error| CommandError::Broken(error.to_string()))
}
