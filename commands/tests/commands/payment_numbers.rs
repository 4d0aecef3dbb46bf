//! A payment number that a request to pay names is in use before the payment starts: no other reservation
//! gets it, and the outcome of another reservation's payment answers no request.

use crate::market::{LONG, Market, keyed, process};
use gdmarket_commands::{
    Causation, CommandError, CommandMeta, Dependency, PaymentOutcome, Settled,
};
use gdmarket_domain::{MarketCommand, PaymentNo, ReservationCommand, ReservationNo};
use gdmarket_testkit::{TestDb, on_each_engine};

fn payment(number: i64) -> PaymentNo {
    PaymentNo::new(number).unwrap()
}

fn key_of(no: ReservationNo) -> CommandMeta {
    keyed(&format!("/reservations/{no}/payment"), "k", "")
}

/// The request to pay of a server that was killed before the payment started.
async fn send_request(market: &Market, no: ReservationNo, payment_no: PaymentNo) {
    let command = ReservationCommand::RequestPayment { payment_no };
    market.commands.send(MarketCommand::Reservation(no, command), &key_of(no)).await.unwrap();
}

async fn requested(market: &Market, no: ReservationNo) -> i64 {
    let log = market.log().await.into_iter();
    let of = |event: &gdmarket_store::RecordedEvent| {
        event.event_type == "PaymentRequested" && event.stream.number == no.get()
    };
    log.filter(of).map(|event| event.position).next_back().unwrap()
}

/// Settles as the payment process does in reaction to this reservation's request.
async fn settle(market: &Market, no: ReservationNo) -> Result<Settled, CommandError> {
    let position = requested(market, no).await;
    let causation = Some(Causation { source: "log".to_owned(), position });
    let meta = CommandMeta { causation, ..process() };
    market.commands.settle_payment(payment(1), &meta).await
}

async fn last(market: &Market, no: ReservationNo) -> String {
    market.stream("reservation", no.get()).await.pop().unwrap()
}

async fn reset_numbers(db: &TestDb) {
    db.log_sql("DELETE FROM numbers WHERE kind = 'payment'").await;
}

on_each_engine! {
    async fn requested_number_is_given_to_no_other_reservation(db: &TestDb) {
        let market = Market::open(db).await;
        let (_, first) = market.reserved().await;
        let (_, second) = market.reserved().await;
        send_request(&market, first, payment(1)).await;
        reset_numbers(db).await;
        let paid = market.commands.request_payment(second, LONG, &key_of(second)).await.unwrap();
        assert_eq!((paid.payment_no, paid.outcome), (Some(payment(2)), PaymentOutcome::Approved));
        let paid = market.commands.request_payment(first, LONG, &key_of(first)).await.unwrap();
        assert_eq!((paid.payment_no, paid.outcome), (Some(payment(1)), PaymentOutcome::Approved));
        let mut charged: Vec<_> =
            market.gateway.accounts().iter().map(|account| account.payment_no.get()).collect();
        charged.sort_unstable();
        assert_eq!(charged, [1, 2], "each reservation has its own payment");
        market.close().await;
    }

    /// Older programs left this: both requests name payment 1, which belongs to the first.
    async fn payment_of_another_reservation_is_not_the_outcome_of_a_request(db: &TestDb) {
        let market = Market::open(db).await;
        let (_, first) = market.reserved().await;
        let (_, second) = market.reserved().await;
        send_request(&market, first, payment(1)).await;
        send_request(&market, second, payment(1)).await;
        let paid = market.commands.request_payment(first, LONG, &key_of(first)).await.unwrap();
        assert_eq!(paid.outcome, PaymentOutcome::Approved);
        reset_numbers(db).await;
        let refused = market.commands.request_payment(second, LONG, &key_of(second)).await;
        assert!(
            matches!(refused, Err(CommandError::Unavailable { what: Dependency::Payment, .. })),
            "{refused:?}"
        );
        assert_eq!(last(&market, second).await, "PaymentFailed");
        let again = CommandMeta { keyed: false, ..process() };
        let paid = market.commands.request_payment(second, LONG, &again).await.unwrap();
        assert_eq!((paid.payment_no, paid.outcome), (Some(payment(2)), PaymentOutcome::Approved));
        market.close().await;
    }

    async fn payment_of_another_reservation_settles_nothing(db: &TestDb) {
        let market = Market::open(db).await;
        let (_, first) = market.reserved().await;
        let (_, second) = market.reserved().await;
        send_request(&market, first, payment(1)).await;
        send_request(&market, second, payment(1)).await;
        market.commands.request_payment(first, LONG, &key_of(first)).await.unwrap();
        for _ in 0..2 {
            assert_eq!(settle(&market, second).await, Ok(Settled::NumberTaken));
            assert_eq!(last(&market, second).await, "PaymentFailed");
        }
        assert_eq!(settle(&market, first).await, Ok(Settled::Approved));
        assert_eq!(market.payment(payment(1)).await, ["PaymentStarted", "PaymentApproved"]);
        market.close().await;
    }
}
