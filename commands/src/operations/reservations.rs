//! What renters do with their reservations; paying is in `payments.rs`.

use super::NUMBER_ATTEMPTS;
use crate::error::CommandError;
use crate::executor::{CommandMeta, CommandRequest, Executed};
use crate::operations::commands::{Commands, Inner};
use crate::operations::number_kinds;
use chrono::NaiveDate;
use gdmarket_domain::{
    ItemNo, PersonId, RentalPeriod, Reservation, ReservationCommand, ReservationNo,
};
use gdmarket_store::PersonalData;

/// A reservation to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReservation {
    /// The requested item.
    pub item_no: ItemNo,
    /// The renter.
    pub renter_id: PersonId,
    /// Their name for this reservation, kept outside the log.
    pub customer_name: Option<String>,
    /// The days; absent: from `asked_on` until returned.
    pub period: Option<RentalPeriod>,
    /// Today in the market's time zone.
    pub asked_on: NaiveDate,
}

impl Commands {
    /// Requests an item under a new reservation number; a process manager brings the item's answer.
    pub async fn reserve(
        &self,
        reservation: NewReservation,
        meta: &CommandMeta,
    ) -> Result<Executed, CommandError> {
        let meta = meta.clone();
        self.run(move |inner| async move {
            let _lock = inner.lock_request(&meta).await;
            for _ in 0..NUMBER_ATTEMPTS {
                if let Some(executed) = inner.reserve(&reservation, &meta).await? {
                    return Ok(executed);
                }
                inner.executor.raise_numbers(number_kinds::RESERVATION).await?;
            }
            Err(CommandError::Conflict { attempts: NUMBER_ATTEMPTS })
        })
        .await
    }

    /// Executes a command on a reservation; one that is rejected keeps no name.
    pub(crate) async fn on_reservation(
        &self,
        reservation_no: ReservationNo,
        command: ReservationCommand,
        meta: &CommandMeta,
    ) -> Result<Executed, CommandError> {
        let meta = meta.clone();
        self.run(move |inner| async move {
            let mut request =
                CommandRequest::<Reservation>::new(reservation_no.get(), &command, &meta);
            let rejects = matches!(command, ReservationCommand::Reject { .. });
            request.personal = rejects.then_some(PersonalData::Forgotten);
            Ok(inner.executor.execute(request).await?.executed)
        })
        .await
    }

    /// Cancels a reservation; once paid this is a request that the item decides.
    pub async fn cancel_reservation(
        &self,
        reservation_no: ReservationNo,
        meta: &CommandMeta,
    ) -> Result<Executed, CommandError> {
        let command = ReservationCommand::Cancel;
        self.execute::<Reservation>(reservation_no.get(), command, meta).await
    }

    /// Requests to take a payment back; the item decides, the refund follows.
    pub async fn cancel_payment(
        &self,
        reservation_no: ReservationNo,
        meta: &CommandMeta,
    ) -> Result<Executed, CommandError> {
        let command = ReservationCommand::RequestPaymentCancellation;
        self.execute::<Reservation>(reservation_no.get(), command, meta).await
    }
}

impl Inner {
    /// Reserves under the next number; `None` if it is another reservation's.
    async fn reserve(
        &self,
        reservation: &NewReservation,
        meta: &CommandMeta,
    ) -> Result<Option<Executed>, CommandError> {
        let reservation_no: ReservationNo = self.number(number_kinds::RESERVATION, meta).await?;
        let NewReservation { item_no, renter_id, period, asked_on, .. } = *reservation;
        let command =
            ReservationCommand::Reserve { reservation_no, item_no, renter_id, period, asked_on };
        let mut request = CommandRequest::<Reservation>::new(reservation_no.get(), &command, meta);
        let (person_id, name) = (renter_id.get(), reservation.customer_name.clone());
        request.personal = Some(PersonalData::Of { person_id, name });
        Ok(self.executor.begin(request).await?.map(|done| done.executed))
    }
}
