//! A command to any aggregate, with the number of its stream: what process managers send.

use crate::alarm::AlarmCommand;
use crate::hold::HoldCommand;
use crate::ids::{ItemNo, PaymentNo, ReservationNo};
use crate::item::ItemCommand;
use crate::payment::PaymentCommand;
use crate::reservation::ReservationCommand;

/// A command and the aggregate that it is for.
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
