//! A scenario with every outcome: refused, declined, late, cancelled, refunded and deleted.

use crate::market::{Market, day, days, reservation};
use gdmarket_domain::{ItemCommand, Money, PaymentCommand, ReservationCommand};
use gdmarket_projections::Projections;

/// Plays the scenario, and waits for the reactions that the next step needs.
pub(crate) async fn play(market: &Market, loops: &Projections) {
    for (number, owner) in [(1, Some(10)), (2, Some(11)), (3, None)] {
        market.register(number, owner).await;
    }
    let item_price = Some(Money::price(250).unwrap());
    market.item(2, ItemCommand::Change { item_name: None, item_price }).await;
    market.item(3, ItemCommand::BlockPeriod { period: days(10, 20) }).await;
    rent(market, loops).await;
    pay_badly(market, loops).await;
    refuse(market, loops).await;
    market.item(1, ItemCommand::Delete).await;
    market.settle(loops).await;
}

/// An item is reserved, refused to another renter, paid, the payment is taken back, paid again, lent and returned.
async fn rent(market: &Market, loops: &Projections) {
    market.reserve(1, 1, None).await;
    market.settle(loops).await;
    market.reserve(2, 1, None).await;
    market.pay(1, 1, 1).await;
    market.settle(loops).await;
    market.reservation(1, ReservationCommand::RequestPaymentCancellation).await;
    market.settle(loops).await;
    market.pay(1, 2, 1).await;
    market.settle(loops).await;
    let reservation_no = Some(reservation(1));
    market.item(1, ItemCommand::Lend { reservation_no, today: day(2) }).await;
    market.settle(loops).await;
    market.item(1, ItemCommand::Return { reservation_no }).await;
    market.settle(loops).await;
}

/// Payments that are declined, declined as unknown and approved later, and cancelled after the approval.
async fn pay_badly(market: &Market, loops: &Projections) {
    market.reserve(4, 2, days(2, 5)).await;
    market.reserve(5, 2, days(5, 8)).await;
    market.settle(loops).await;
    for (payment_no, reason) in [(3, "no-cover"), (4, "not-found")] {
        market.start_payment(4, payment_no, 2).await;
        let reason = reason.to_owned();
        market.payment(payment_no, PaymentCommand::RecordDeclined { reason }).await;
        market.settle(loops).await;
    }
    market.payment(4, PaymentCommand::RecordApproved).await;
    market.pay(5, 5, 2).await;
    market.settle(loops).await;
    market.reservation(5, ReservationCommand::Cancel).await;
    market.settle(loops).await;
}

/// Reservations that are cancelled before the payment, refused by a block, and of an unknown item.
async fn refuse(market: &Market, loops: &Projections) {
    market.reserve(3, 1, None).await;
    market.settle(loops).await;
    market.reservation(3, ReservationCommand::Cancel).await;
    market.reserve(6, 3, days(12, 14)).await;
    market.reserve(7, 99, None).await;
    market.settle(loops).await;
}
