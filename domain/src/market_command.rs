//! What any aggregate may be asked, with the number of the stream it goes to: how process managers
//! hand their intents on.

use crate::alarm::AlarmCommand;
use crate::hold::HoldCommand;
use crate::ids::{ItemNo, PaymentNo, ReservationNo};
use crate::item::ItemCommand;
use crate::payment::PaymentCommand;
use crate::reservation::ReservationCommand;

/// A command and whom it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MarketCommand {
    /// For an item.
    Item(ItemNo, ItemCommand),
    /// For the refused hold of a reservation.
    Hold(ReservationNo, HoldCommand),
    /// For a reservation.
    Reservation(ReservationNo, ReservationCommand),
    /// For a payment attempt.
    Payment(PaymentNo, PaymentCommand),
    /// For the alarm of an item.
    Alarm(ItemNo, AlarmCommand),
}
