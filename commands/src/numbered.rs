//! Which numbers are drawn, and which streams bear them: whoever fills a log from elsewhere must have
//! drawing go on after them.

use cqrs_es::Aggregate;
use gdmarket_domain::{Alarm, Hold, Item, Payment, Reservation};

/// Numbers of items; an alarm bears its item's.
pub(crate) const ITEM: &str = Item::TYPE;
/// Numbers of reservations; a refused hold bears its reservation's.
pub(crate) const RESERVATION: &str = Reservation::TYPE;
/// Numbers of payment attempts.
pub(crate) const PAYMENT: &str = Payment::TYPE;

/// Each kind of number that is drawn, with the kinds of streams that bear it.
pub const NUMBERED: [(&str, &[&str]); 3] = [
    (ITEM, &[Item::TYPE, Alarm::TYPE]),
    (RESERVATION, &[Reservation::TYPE, Hold::TYPE]),
    (PAYMENT, &[Payment::TYPE]),
];
