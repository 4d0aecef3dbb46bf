//! Lending an item to its renter, and taking it back.

use crate::context::WriteContext;
use crate::error::UseCaseError;
use crate::outcome::{WriteDecision, WriteOutcome};
use crate::use_cases::{UseCases, is_refused};
use crate::waiting::VIEW_WAIT;
use gdmarket_commands::{CommandError, CommandMeta, Executed, Lending};
use gdmarket_domain::reservation::ReservationStage;
use gdmarket_domain::{Item, ItemError, ItemEvent, ItemNo, ReservationNo, Service};
use gdmarket_projections::{FoundItem, NEWEST, StreamEvent};

/// The state of an authorisation to lend an item, which follows from a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Authorisation {
    /// A reservation is paid: the authorisation is on its way to the item.
    InFlight,
    /// The outcome of a payment isn't known yet.
    Undecided,
    /// No reservation is being paid.
    Absent,
}

/// A handover between the owner of an item and a renter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Handover {
    /// The renter received the item.
    Lent,
    /// The owner has it back.
    Returned,
}

/// A request for a handover.
#[derive(Debug, Clone, Copy)]
struct HandoverRequest {
    item_no: ItemNo,
    reservation_no: Option<ReservationNo>,
    handover: Handover,
}

impl UseCases {
    /// Hands an item over to the renter of a paid reservation; the reservation may be left out while only one
    /// can be meant. Waits for an authorisation that is in flight.
    pub async fn lend_item(
        &self,
        no: ItemNo,
        reservation_no: Option<ReservationNo>,
        context: &WriteContext,
    ) -> Result<WriteOutcome<FoundItem>, UseCaseError> {
        let lent = self.lend(no, reservation_no, context).await;
        let request = HandoverRequest { item_no: no, reservation_no, handover: Handover::Lent };
        self.handed_over(request, lent, context).await
    }

    /// Takes a lent item back; the reservation may be left out while only one can be meant.
    pub async fn return_item(
        &self,
        no: ItemNo,
        reservation_no: Option<ReservationNo>,
        context: &WriteContext,
    ) -> Result<WriteOutcome<FoundItem>, UseCaseError> {
        let returned = self.commands.return_item(no, reservation_no, &context.meta).await;
        let returned = returned.map_err(UseCaseError::from);
        let request = HandoverRequest { item_no: no, reservation_no, handover: Handover::Returned };
        self.handed_over(request, returned, context).await
    }

    /// Lends. `not-paid` is not final while a reservation is being paid, or is paid and the item doesn't
    /// know it yet.
    async fn lend(
        &self,
        no: ItemNo,
        reservation_no: Option<ReservationNo>,
        context: &WriteContext,
    ) -> Result<Executed, UseCaseError> {
        let deadline = context.wait.deadline(VIEW_WAIT);
        let mut is_final = false;
        loop {
            let head = self.head();
            let lending = Lending {
                reservation_no,
                today: self.today(),
                remember_transient_refusal: is_final,
            };
            let refused = match self.commands.lend_item(no, lending, &context.meta).await {
                Err(error) if is_refused(&error, &ItemError::NotPaid) => error,
                done => return Ok(done?),
            };
            let is_remembered = matches!(refused, CommandError::Refused { replayed: true, .. });
            if is_remembered || is_final {
                return Err(refused.into());
            }
            let authorisation = self.authorisation(no, reservation_no).await?;
            // Where no reservation is being paid it is decided once more, and remembered: a repeat is answered
            // the same.
            is_final = authorisation == Authorisation::Absent && context.meta.keyed;
            let may_change =
                authorisation == Authorisation::InFlight && self.moved_past(head, deadline).await;
            if !may_change && !is_final {
                return Err(refused.into());
            }
        }
    }

    /// The authorisation of the reservation that is named, else the furthest of all that hold the item.
    async fn authorisation(
        &self,
        item_no: ItemNo,
        reservation_no: Option<ReservationNo>,
    ) -> Result<Authorisation, UseCaseError> {
        // The reservations are in another log: a payment may be on its way from there.
        if !self.options.services.contains(Service::Reservation) {
            return Ok(Authorisation::Undecided);
        }
        let candidates = if let Some(no) = reservation_no {
            vec![no]
        } else {
            let item = self.item(item_no).await?;
            let holds = item.map(|item| item.state.holds().to_vec()).unwrap_or_default();
            holds.into_iter().map(|hold| hold.reservation_no).collect()
        };
        let mut furthest = Authorisation::Absent;
        for no in candidates {
            let found = self.reservation(no).await?;
            match found.as_ref().map(|found| found.state.stage()) {
                Some(ReservationStage::Paid { .. }) => return Ok(Authorisation::InFlight),
                Some(ReservationStage::PaymentOpen { .. }) => furthest = Authorisation::Undecided,
                Some(_) | None => {}
            }
        }
        Ok(furthest)
    }

    /// The outcome of a handover. An item keeps its last return only; earlier handovers for a reservation that is named
    /// are in its log, and turn a refusal into "already in the requested state".
    async fn handed_over(
        &self,
        request: HandoverRequest,
        executed: Result<Executed, UseCaseError>,
        context: &WriteContext,
    ) -> Result<WriteOutcome<FoundItem>, UseCaseError> {
        let HandoverRequest { item_no: no, reservation_no, handover } = request;
        let too_late = match handover {
            Handover::Lent => ItemError::NotReserved,
            Handover::Returned => ItemError::NotRenting,
        };
        if let Err(UseCaseError::Command(error)) = &executed
            && is_refused(error, &too_late)
            && let Some(reservation_no) = reservation_no
        {
            let version = self.decided_at(&context.meta).await?;
            if self.was_handed_over(request, reservation_no, version).await? {
                let replayed = matches!(error, CommandError::Refused { replayed: true, .. });
                let item = self.written_item(no, version).await?;
                return Ok(WriteOutcome {
                    decision: WriteDecision::Done(item),
                    position: 0,
                    replayed,
                });
            }
        }
        self.item_outcome(no, executed, context).await
    }

    /// The version of the item that decides about a request: for a repeat, the version at its first attempt.
    async fn decided_at(&self, meta: &CommandMeta) -> Result<i64, UseCaseError> {
        Ok(self.commands.answered_at(meta).await?.unwrap_or(NEWEST))
    }

    /// Whether the item had been handed over for this reservation when it had this version.
    async fn was_handed_over(
        &self,
        request: HandoverRequest,
        reservation_no: ReservationNo,
        version: i64,
    ) -> Result<bool, UseCaseError> {
        let HandoverRequest { item_no, handover, .. } = request;
        let event_type = match handover {
            Handover::Lent => "ItemRented",
            Handover::Returned => "ItemReturned",
        };
        let events = self.queries.events_of::<Item>(item_no.get(), 0, Some(&[event_type])).await?;
        let is_of_reservation = |event: &ItemEvent| {
            matches!(event, ItemEvent::Rented { reservation_no: of, .. }
                | ItemEvent::Returned { reservation_no: of, .. } if *of == reservation_no)
        };
        let mut until_then = events.iter().take_while(|event| event.sequence <= version);
        Ok(until_then.any(|StreamEvent { event, .. }| is_of_reservation(event)))
    }
}
