//! Settling of attempts whose outcome is unknown, and refunds.

use crate::fakes::Behaviour;
use crate::market::{Market, SOON, keyed, options, process};
use crate::payments::until_stream;
use gdmarket_commands::{
    BreakerOptions, BreakerState, Causation, CommandError, CommandMeta, Dependency, PaymentOutcome,
    Settled,
};
use gdmarket_domain::{MarketCommand, PaymentNo, ReservationCommand, ReservationNo};
use gdmarket_testkit::on_each_engine;

fn first() -> PaymentNo {
    PaymentNo::new(1).unwrap()
}

/// Settles the first payment as the payment process does in reaction to `PaymentRequested`.
async fn settle(market: &Market) -> Result<Settled, CommandError> {
    let log = market.log().await;
    let requested = log.iter().find(|event| event.event_type == "PaymentRequested").unwrap();
    let causation = Some(Causation { source: "log".to_owned(), position: requested.position });
    let meta = CommandMeta { causation, ..process() };
    market.commands.settle_payment(first(), &meta).await
}

async fn refund(market: &Market) -> Result<(), CommandError> {
    market.commands.refund_payment(first(), &process()).await
}

/// The number of charges that were not refunded.
fn kept(market: &Market) -> usize {
    market.gateway.accounts().iter().filter(|account| account.refunds == 0).count()
}

async fn failed(market: &Market, no: ReservationNo) {
    let (reason, failed_at) = ("not-found".to_owned(), market.commands.now());
    let pay_within = std::time::Duration::from_mins(15);
    let command = ReservationCommand::RecordPaymentFailed {
        payment_no: first(),
        reason,
        failed_at,
        pay_within,
    };
    market.reservation(no, command).await.unwrap();
}

on_each_engine! {
    async fn charge_whose_answer_was_lost_is_found(db: &TestDb) {
        let market = Market::open(db).await;
        market.gateway.set(Behaviour::LoseAnswer);
        let (_, no) = market.reserved().await;
        assert_eq!(market.pay(no).await.unwrap().outcome, PaymentOutcome::OutcomeUnknown);
        until_stream(&market, first(), &["PaymentStarted", "PaymentOutcomeUnknown"]).await;
        for _ in 0..2 {
            assert_eq!(settle(&market).await, Ok(Settled::Approved));
        }
        let expected = ["PaymentStarted", "PaymentOutcomeUnknown", "PaymentApproved"];
        assert_eq!(market.payment(first()).await, expected);
        assert_eq!((market.gateway.confirms(), kept(&market)), (1, 1));
        market.close().await;
    }

    async fn charge_that_the_gateway_does_not_know_is_declined(db: &TestDb) {
        let market = Market::open(db).await;
        market.gateway.set(Behaviour::LoseRequest);
        let (_, no) = market.reserved().await;
        market.pay(no).await.unwrap();
        until_stream(&market, first(), &["PaymentStarted", "PaymentOutcomeUnknown"]).await;
        for _ in 0..2 {
            assert_eq!(settle(&market).await, Ok(Settled::Declined));
        }
        let expected = ["PaymentStarted", "PaymentOutcomeUnknown", "PaymentDeclined"];
        assert_eq!(market.payment(first()).await, expected);
        assert_eq!((market.gateway.confirms(), kept(&market)), (1, 0));
        market.close().await;
    }

    async fn attempt_that_never_started_is_settled_without_a_charge(db: &TestDb) {
        let market = Market::open(db).await;
        let (_, no) = market.reserved().await;
        let number = market.store.numbers().allocate("payment").await.unwrap();
        let meta = keyed("/reservations/1/payment", "k", "");
        let command = ReservationCommand::RequestPayment { payment_no: PaymentNo::new(number).unwrap() };
        market.commands.send(MarketCommand::Reservation(no, command), &meta).await.unwrap();
        assert_eq!(settle(&market).await, Ok(Settled::Declined));
        assert_eq!(market.payment(first()).await, ["PaymentStarted", "PaymentDeclined"]);
        let late = market.commands.request_payment(no, SOON, &meta).await.unwrap();
        assert_eq!(late.outcome, PaymentOutcome::Declined { code: "not-found".to_owned() });
        assert_eq!(market.gateway.confirms(), 0);
        market.close().await;
    }

    async fn repeat_continues_after_the_step_of_the_first_try(db: &TestDb) {
        let market = Market::open(db).await;
        let (_, no) = market.reserved().await;
        let number = market.store.numbers().allocate("payment").await.unwrap();
        let meta = keyed("/reservations/1/payment", "k", "");
        let command = ReservationCommand::RequestPayment { payment_no: PaymentNo::new(number).unwrap() };
        market.commands.send(MarketCommand::Reservation(no, command), &meta).await.unwrap();
        let paid = market.commands.request_payment(no, SOON, &meta).await.unwrap();
        assert_eq!((paid.payment_no, paid.outcome), (Some(first()), PaymentOutcome::Approved));
        assert_eq!(market.gateway.confirms(), 1);
        market.close().await;
    }

    async fn late_approval_is_refunded(db: &TestDb) {
        let market = Market::open(db).await;
        market.gateway.set(Behaviour::Wait);
        let (_, no) = market.reserved().await;
        market.pay(no).await.unwrap();
        assert_eq!(settle(&market).await, Ok(Settled::Declined));
        failed(&market, no).await;
        market.reservation(no, ReservationCommand::Cancel).await.unwrap();
        assert!(matches!(refund(&market).await, Err(CommandError::Refused { .. })));

        market.gateway.set(Behaviour::Succeed);
        market.gateway.release();
        let late = ["PaymentStarted", "PaymentDeclined", "PaymentApproved"];
        until_stream(&market, first(), &late).await;
        let approved = ReservationCommand::RecordPaymentApproved { payment_no: first() };
        market.reservation(no, approved).await.unwrap();
        let stream = market.stream("reservation", no.get()).await;
        assert_eq!(stream.last().unwrap(), "LatePaymentRecorded");
        refund(&market).await.unwrap();
        assert_eq!((market.gateway.confirms(), kept(&market)), (1, 0));
        market.close().await;
    }

    async fn open_breaker_refuses_queries_and_refunds_of_the_gateway(db: &TestDb) {
        let mut options = options();
        options.payment.breaker = BreakerOptions { minimum_calls: 4, ..BreakerOptions::default() };
        let market = Market::open_with(db, options).await;
        let (_, paid) = market.reserved().await;
        market.pay(paid).await.unwrap();
        let (_, unpaid) = market.reserved().await;
        market.gateway.set(Behaviour::Unreachable);
        while market.commands.payment_breaker() != BreakerState::Open {
            market.pay(unpaid).await.unwrap_err();
        }
        market.gateway.set(Behaviour::Succeed);
        let second = PaymentNo::new(2).unwrap();
        let refused = refund(&market).await;
        assert!(matches!(refused, Err(CommandError::Unavailable { .. })), "{refused:?}");
        assert_eq!(kept(&market), 1, "no refund is sent while the breaker is open");
        let refused = market.commands.settle_payment(second, &process()).await;
        assert!(matches!(refused, Err(CommandError::Unavailable { .. })), "{refused:?}");
        market.close().await;
    }

    async fn repeated_refund_takes_effect_once(db: &TestDb) {
        let market = Market::open(db).await;
        let (_, no) = market.reserved().await;
        market.pay(no).await.unwrap();
        for behaviour in [Behaviour::Unreachable, Behaviour::LoseRequest, Behaviour::LoseAnswer] {
            market.gateway.set(behaviour);
            let unknown = refund(&market).await;
            assert!(
                matches!(unknown, Err(CommandError::Unavailable { what: Dependency::Payment, .. })),
                "{unknown:?}"
            );
        }
        let expected = ["PaymentStarted", "PaymentApproved", "PaymentCancellationStarted"];
        assert_eq!(market.payment(first()).await, expected);
        market.gateway.set(Behaviour::Succeed);
        for _ in 0..2 {
            refund(&market).await.unwrap();
        }
        let stream = market.payment(first()).await;
        assert_eq!(stream[3..], ["PaymentCancelled"]);
        assert_eq!(kept(&market), 0);
        assert_eq!(settle(&market).await, Ok(Settled::Approved), "the settled payment changes no more");
        market.close().await;
    }

    async fn refused_refund_is_recorded_once_and_requested_again_by_a_retry(db: &TestDb) {
        let market = Market::open(db).await;
        let (_, no) = market.reserved().await;
        market.pay(no).await.unwrap();
        market.gateway.set(Behaviour::Decline);
        for _ in 0..2 {
            let code = "refund-refused".into();
            assert_eq!(refund(&market).await, Err(CommandError::Refused { code, replayed: false }));
        }
        let stream = market.payment(first()).await;
        assert_eq!(stream[2..], ["PaymentCancellationStarted", "PaymentRefundRefused"]);
        assert_eq!(kept(&market), 1, "the charge is not refunded");
        market.gateway.set(Behaviour::Succeed);
        refund(&market).await.unwrap();
        assert_eq!(market.payment(first()).await[4..], ["PaymentCancelled"]);
        assert_eq!(kept(&market), 0);
        market.close().await;
    }

    async fn answer_about_another_charge_is_not_an_approval(db: &TestDb) {
        let market = Market::open(db).await;
        for (number, behaviour) in
            [(1, Behaviour::OtherAmount), (2, Behaviour::OtherOrder), (3, Behaviour::OtherPayment)]
        {
            let (_, no) = market.reserved().await;
            let payment_no = PaymentNo::new(number).unwrap();
            market.gateway.set(behaviour);
            let paid = market.pay(no).await.unwrap();
            assert_eq!(paid.outcome, PaymentOutcome::OutcomeUnknown, "{behaviour:?}");
            let stream = market.payment(payment_no).await;
            assert_eq!(stream, ["PaymentStarted", "PaymentOutcomeUnknown"], "{behaviour:?}");

            let mismatch =
                CommandError::Refused { code: "payment-mismatch".into(), replayed: false };
            let settled = market.commands.settle_payment(payment_no, &process()).await;
            assert_eq!(settled, Err(mismatch.clone()), "{behaviour:?}");
            market.gateway.set(Behaviour::Succeed);
            let settled = market.commands.settle_payment(payment_no, &process()).await;
            assert_eq!(settled, Ok(Settled::Approved), "{behaviour:?}");

            market.gateway.set(behaviour);
            let refunded = market.commands.refund_payment(payment_no, &process()).await;
            assert_eq!(refunded, Err(mismatch), "{behaviour:?}");
            let stream = market.payment(payment_no).await;
            assert_eq!(stream[2..], ["PaymentApproved", "PaymentCancellationStarted"], "{behaviour:?}");
        }
        market.close().await;
    }
}
