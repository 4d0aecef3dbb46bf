//! The people, items and payments that the events of a reservation name: where the rest of its trace is.

use crate::engine::feed::decode;
use gdmarket_domain::{ItemEvent, ItemNo, MarketEvent, PaymentNo, PersonId, ReservationEvent};
use gdmarket_store::RecordedEvent;
use std::collections::BTreeSet;

/// The people, items and payments that a reservation's events name.
#[derive(Debug, Default)]
pub(super) struct NamedParties {
    pub(super) renter_id: Option<PersonId>,
    pub(super) owner_id: Option<PersonId>,
    pub(super) items: BTreeSet<ItemNo>,
    pub(super) payments: BTreeSet<PaymentNo>,
}

impl NamedParties {
    /// Notes the parties that an event names; always `true`, since an event that can't be read belongs to the trace, too.
    pub(super) fn learn(&mut self, event: &RecordedEvent) -> bool {
        match decode(event.as_event_ref()) {
            Ok(MarketEvent::Reservation(event)) => self.learn_of_reservation(&event),
            Ok(MarketEvent::Item(ItemEvent::Held { owner_id, .. })) => {
                self.owner_id = self.owner_id.or(owner_id);
            }
            Ok(
                MarketEvent::Item(_)
                | MarketEvent::Payment(_)
                | MarketEvent::Alarm(_)
                | MarketEvent::Hold(_),
            )
            | Err(_) => {}
        }
        true
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the others name no further party")]
    fn learn_of_reservation(&mut self, event: &ReservationEvent) {
        match event {
            ReservationEvent::Requested { item_no, renter_id, .. } => {
                self.items.insert(*item_no);
                self.renter_id = Some(*renter_id);
            }
            ReservationEvent::Reserved { owner_id, .. } => {
                self.owner_id = self.owner_id.or(*owner_id);
            }
            ReservationEvent::PaymentRequested { payment_no, .. }
            | ReservationEvent::LatePaymentRecorded { payment_no, .. } => {
                self.payments.insert(*payment_no);
            }
            _ => {}
        }
    }
}
