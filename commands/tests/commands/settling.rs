//! What becomes of attempts whose outcome is unknown, and of money that must go back.

use crate::fakes::Does;
use crate::market::{Market, SOON, keyed, options, process};
use crate::payments::until_stream;
use gdmarket_commands::{
    BreakerOptions, BreakerState, CommandError, CommandMeta, PaymentOutcome, Service, Settled,
};
use gdmarket_domain::{MarketCommand, PaymentNo, ReservationCommand, ReservationNo};
use gdmarket_testkit::on_each_engine;

fn first() -> PaymentNo {
    PaymentNo::new(1).unwrap()
}

/// Settles the first payment as the payment process would, because of `PaymentRequested`.
async fn settle(market: &Market) -> Result<Settled, CommandError> {
    let log = market.log().await;
    let asked = log.iter().find(|event| event.event_type == "PaymentRequested").unwrap();
    let causation = Some(("log".to_owned(), asked.position));
    let meta = CommandMeta { causation, ..process() };
    market.commands.settle_payment(first(), &meta).await
}

async fn refund(market: &Market) -> Result<(), CommandError> {
    market.commands.refund_payment(first(), &process()).await
}

/// What was charged and not given back.
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
    async fn a_charge_whose_answer_was_lost_is_found(db: &TestDb) {
        let market = Market::open(db).await;
        market.gateway.set(Does::LoseAfter);
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

    async fn what_the_gateway_doesn_t_know_is_declined(db: &TestDb) {
        let market = Market::open(db).await;
        market.gateway.set(Does::LoseBefore);
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

    async fn attempt_that_was_never_started_is_started_without_a_charge(db: &TestDb) {
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

    async fn repeat_continues_where_the_first_try_ended(db: &TestDb) {
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

    async fn an_approval_that_comes_too_late_is_given_back(db: &TestDb) {
        let market = Market::open(db).await;
        market.gateway.set(Does::Wait);
        let (_, no) = market.reserved().await;
        market.pay(no).await.unwrap();
        assert_eq!(settle(&market).await, Ok(Settled::Declined));
        failed(&market, no).await;
        market.reservation(no, ReservationCommand::Cancel).await.unwrap();
        assert!(matches!(refund(&market).await, Err(CommandError::Refused { .. })));

        market.gateway.set(Does::Well);
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

    async fn an_open_breaker_holds_back_what_is_asked_beside_charging(db: &TestDb) {
        let mut options = options();
        options.payment.breaker = BreakerOptions { minimum_calls: 4, ..BreakerOptions::default() };
        let market = Market::open_with(db, options).await;
        let (_, paid) = market.reserved().await;
        market.pay(paid).await.unwrap();
        let (_, unpaid) = market.reserved().await;
        market.gateway.set(Does::Refuse);
        while market.commands.payment_breaker() != BreakerState::Open {
            market.pay(unpaid).await.unwrap_err();
        }
        market.gateway.set(Does::Well);
        let second = PaymentNo::new(2).unwrap();
        let held_back = refund(&market).await;
        assert!(matches!(held_back, Err(CommandError::Unavailable { .. })), "{held_back:?}");
        assert_eq!(kept(&market), 1, "nothing is asked of a gateway that is in trouble");
        let held_back = market.commands.settle_payment(second, &process()).await;
        assert!(matches!(held_back, Err(CommandError::Unavailable { .. })), "{held_back:?}");
        market.close().await;
    }

    async fn a_refund_is_repeated_as_a_whole_and_done_once(db: &TestDb) {
        let market = Market::open(db).await;
        let (_, no) = market.reserved().await;
        market.pay(no).await.unwrap();
        for does in [Does::Refuse, Does::LoseBefore, Does::LoseAfter] {
            market.gateway.set(does);
            let unknown = refund(&market).await;
            assert!(
                matches!(unknown, Err(CommandError::Unavailable { what: Service::Payment, .. })),
                "{unknown:?}"
            );
        }
        let expected = ["PaymentStarted", "PaymentApproved", "PaymentCancellationStarted"];
        assert_eq!(market.payment(first()).await, expected);
        market.gateway.set(Does::Well);
        for _ in 0..2 {
            refund(&market).await.unwrap();
        }
        let stream = market.payment(first()).await;
        assert_eq!(stream[3..], ["PaymentCancelled"]);
        assert_eq!(kept(&market), 0);
        assert_eq!(settle(&market).await, Ok(Settled::Approved), "and nothing is decided again");
        market.close().await;
    }

    async fn a_refused_refund_is_recorded_once_and_asked_for_again_by_a_retry(db: &TestDb) {
        let market = Market::open(db).await;
        let (_, no) = market.reserved().await;
        market.pay(no).await.unwrap();
        market.gateway.set(Does::Decline);
        for _ in 0..2 {
            let code = "refund-refused".into();
            assert_eq!(refund(&market).await, Err(CommandError::Refused { code, replayed: false }));
        }
        let stream = market.payment(first()).await;
        assert_eq!(stream[2..], ["PaymentCancellationStarted", "PaymentRefundRefused"]);
        assert_eq!(kept(&market), 1, "the money is still there");
        market.gateway.set(Does::Well);
        refund(&market).await.unwrap();
        assert_eq!(market.payment(first()).await[4..], ["PaymentCancelled"]);
        assert_eq!(kept(&market), 0);
        market.close().await;
    }

    async fn an_answer_about_something_else_is_no_approval(db: &TestDb) {
        let market = Market::open(db).await;
        for (number, does) in
            [(1, Does::OtherAmount), (2, Does::OtherOrder), (3, Does::OtherPayment)]
        {
            let (_, no) = market.reserved().await;
            let payment_no = PaymentNo::new(number).unwrap();
            market.gateway.set(does);
            let asked = market.pay(no).await.unwrap();
            assert_eq!(asked.outcome, PaymentOutcome::OutcomeUnknown, "{does:?}");
            let stream = market.payment(payment_no).await;
            assert_eq!(stream, ["PaymentStarted", "PaymentOutcomeUnknown"], "{does:?}");

            let mismatch =
                CommandError::Refused { code: "payment-mismatch".into(), replayed: false };
            let settled = market.commands.settle_payment(payment_no, &process()).await;
            assert_eq!(settled, Err(mismatch.clone()), "{does:?}");
            market.gateway.set(Does::Well);
            let settled = market.commands.settle_payment(payment_no, &process()).await;
            assert_eq!(settled, Ok(Settled::Approved), "{does:?}");

            market.gateway.set(does);
            let refunded = market.commands.refund_payment(payment_no, &process()).await;
            assert_eq!(refunded, Err(mismatch), "{does:?}");
            let stream = market.payment(payment_no).await;
            assert_eq!(stream[2..], ["PaymentApproved", "PaymentCancellationStarted"], "{does:?}");
        }
        market.close().await;
    }
}
