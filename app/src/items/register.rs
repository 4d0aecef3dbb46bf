//! Registering an item: its alarm is raised first; without the alarm there is no item.

use crate::context::WriteContext;
use crate::error::UseCaseError;
use crate::outcome::{WriteDecision, WriteOutcome};
use crate::use_cases::UseCases;
use gdmarket_commands::{CommandError, NewItem, RegisteredItem};
use gdmarket_domain::{Actor, ItemNo, PersonId};
use gdmarket_projections::FoundItem;

impl UseCases {
    /// Registers an item. Its owner is the actor, or the person that an operator names.
    pub async fn register_item(
        &self,
        item: NewItem,
        context: &WriteContext,
    ) -> Result<WriteOutcome<FoundItem>, UseCaseError> {
        WriteOutcome::of(self.register(item, context).await)
    }

    async fn register(
        &self,
        item: NewItem,
        context: &WriteContext,
    ) -> Result<WriteOutcome<FoundItem>, UseCaseError> {
        let owner_id = owner_of(&context.meta.actor, item.owner_id)?;
        let item = NewItem { owner_id, ..item };
        let RegisteredItem { executed, event } =
            self.commands.register_item(item, &context.meta).await?;
        let item_no = ItemNo::new(executed.number).map_err(|error| UseCaseError::broken(&error))?;
        self.settle_views(executed.position, context).await;
        let found = match event {
            Some(event) => {
                self.queries.new_item(item_no, event).map_err(UseCaseError::AfterWrite)?
            }
            None => Some(self.written_item(item_no, executed.version).await?),
        };
        let found = found.ok_or(UseCaseError::not_found("item-not-found"))?;
        // An item of another owner is never shown as the result of this registration.
        if found.body.owner_id != owner_id {
            return Err(UseCaseError::broken(&format!(
                "item {item_no} was registered for another owner"
            )));
        }
        let (position, replayed) = (executed.position, executed.replayed);
        Ok(WriteOutcome { decision: WriteDecision::Done(found), position, replayed })
    }
}

/// The owner of a new item: the actor, or the person that an operator names.
fn owner_of(actor: &Actor, given: Option<PersonId>) -> Result<Option<PersonId>, CommandError> {
    match actor {
        Actor::Operator(_) => Ok(given),
        Actor::Owner(me) if given.is_none_or(|given| given == *me) => Ok(Some(*me)),
        Actor::Owner(_) | Actor::Renter(_) | Actor::Process(_) | Actor::Anonymous => {
            Err(CommandError::WrongActor)
        }
    }
}
