//! Registering: the alarm first, then the item.
//!
//! Step 0 is the alarm, step 1 the item; the number is in step 0's receipt, so a repeat finds it
//! and raises no alarm. Where the alarm service is another process, its log has step 0's receipt. A
//! registration that took so long that its number was abandoned starts over with the next two steps and a
//! new number: the item's stream decides which was first.

use super::{NUMBER_ATTEMPTS, NewItem, RegisteredItem, item_no};
use crate::error::CommandError;
use crate::executor::{CommandMeta, CommandRequest, Execution};
use crate::operations::commands::Inner;
use crate::operations::number_kinds;
use crate::outside::AlarmAnswer;
use gdmarket_domain::{Item, ItemCommand, ItemError, ItemNo, Refusal, Service};

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
            let registration = meta.step(2 * round + 1);
            let item_no = self.announce(&meta.step(2 * round), &registration).await?;
            gdmarket_store::failpoint!("commands.after-alarm");
            match self.list(item_no, item, &registration).await {
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
    async fn announce(
        &self,
        meta: &CommandMeta,
        registration: &CommandMeta,
    ) -> Result<ItemNo, CommandError> {
        if let Some(number) = self.announced_before(meta, registration).await? {
            return Ok(number);
        }
        for _ in 0..NUMBER_ATTEMPTS {
            let permit = self.alarms.admit()?;
            let item_no = item_no(self.executor.allocate(number_kinds::ITEM).await?)?;
            match self.alarms.raise(item_no, permit, meta).await? {
                AlarmAnswer::Raised { item_no } => return Ok(item_no),
                AlarmAnswer::NumberTaken { highest } => {
                    self.executor.raise_numbers_to(number_kinds::ITEM, highest).await?;
                }
            }
        }
        Err(CommandError::Conflict { attempts: NUMBER_ATTEMPTS })
    }

    /// The number of an earlier, equal request, as far as this log has it: an alarm service in another process has the
    /// receipt of the alarm, and is asked with the same command.
    async fn announced_before(
        &self,
        meta: &CommandMeta,
        registration: &CommandMeta,
    ) -> Result<Option<ItemNo>, CommandError> {
        let mut receipt = self.executor.done_before(meta).await?;
        if receipt.is_none() && !self.options.services.contains(Service::Alarm) {
            receipt = self.executor.done_before(registration).await?;
        }
        receipt.map(|receipt| item_no(receipt.stream.number)).transpose()
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
