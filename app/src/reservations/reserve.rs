//! Reserving an item.

use super::Awaited;
use crate::awaited_outcome::AwaitedOutcome;
use crate::context::WriteContext;
use crate::error::UseCaseError;
use crate::outcome::{WriteDecision, WriteOutcome};
use crate::use_cases::UseCases;
use crate::waiting::DECISION_WAIT;
use gdmarket_commands::{CommandError, NewReservation};
use gdmarket_domain::{Actor, ItemNo, PersonId, RentalPeriod, ReservationNo};
use gdmarket_projections::FoundReservation;

/// A reservation that a renter requests.
#[derive(Debug, Clone)]
pub struct ReservationRequest {
    /// The item.
    pub item_no: ItemNo,
    /// The renter: see [`renter_of`].
    pub renter_id: PersonId,
    /// The name that the reservation shows.
    pub customer_name: Option<String>,
    /// The days; `None` from now until returned.
    pub period: Option<RentalPeriod>,
}

/// The renter of a reservation: the actor, or the person that an operator names; `None` if the operator names none.
pub fn renter_of(actor: &Actor, given: Option<PersonId>) -> Result<Option<PersonId>, UseCaseError> {
    match actor {
        Actor::Renter(me) if given.is_none_or(|given| given == *me) => Ok(Some(*me)),
        Actor::Operator(_) => Ok(given),
        Actor::Renter(_) | Actor::Owner(_) | Actor::Process(_) | Actor::Anonymous => {
            Err(CommandError::WrongActor.into())
        }
    }
}

impl UseCases {
    /// Reserves an item; pending if the item doesn't decide in time.
    pub async fn reserve(
        &self,
        request: ReservationRequest,
        context: &WriteContext,
    ) -> Result<WriteOutcome<FoundReservation>, UseCaseError> {
        let outcome = async {
            let ReservationRequest { item_no, renter_id, customer_name, period } = request;
            let asked_on = self.today();
            let reservation =
                NewReservation { item_no, renter_id, customer_name, period, asked_on };
            let executed = self.commands.reserve(reservation, &context.meta).await?;
            let no = ReservationNo::new(executed.number)
                .map_err(|error| UseCaseError::broken(&error))?;
            let awaited = Awaited { outcome: AwaitedOutcome::Period, wait: DECISION_WAIT };
            let outcome = self.decided_outcome(no, &executed, awaited, context).await?;
            of_renter(outcome, renter_id)
        };
        WriteOutcome::of(outcome.await)
    }
}

/// Makes sure that the reservation is the renter's: another person's is never shown as the result of this request.
fn of_renter(
    outcome: WriteOutcome<FoundReservation>,
    renter_id: PersonId,
) -> Result<WriteOutcome<FoundReservation>, UseCaseError> {
    let found = match &outcome.decision {
        WriteDecision::Done(found) | WriteDecision::Pending(found) => found,
        WriteDecision::Refused(_) => return Ok(outcome),
    };
    if found.body.customer_id != renter_id {
        let no = found.number;
        return Err(UseCaseError::broken(&format!("reservation {no} is another customer's")));
    }
    Ok(outcome)
}
