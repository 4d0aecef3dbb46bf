//! Payments: three outcomes, one `confirm` per attempt, and the answer while the outcome is unknown.

use crate::fakes::Behaviour;
use crate::market::{LONG, Market, SOON, keyed, operator, options, process};
use gdmarket_commands::{
    BreakerOptions, BreakerState, CommandError, Dependency, PaymentOutcome, RequestedPayment,
};
use gdmarket_domain::{
    MarketCommand, PaymentCommand, PaymentNo, ReservationCommand, ReservationNo,
};
use gdmarket_testkit::{TestDb, eventually, on_each_engine, run};
use metrics_util::CompositeKey;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

const APPROVED: [&str; 2] = ["PaymentStarted", "PaymentApproved"];

fn payment_no(number: i64) -> PaymentNo {
    PaymentNo::new(number).unwrap()
}

fn is_unavailable<T: std::fmt::Debug>(result: &Result<T, CommandError>) -> bool {
    matches!(result, Err(CommandError::Unavailable { what: Dependency::Payment, .. }))
}

async fn pay_as(market: &Market, no: ReservationNo, key: &str) -> RequestedPayment {
    let meta = keyed("/reservations/1/payment", key, "");
    market.commands.request_payment(no, SOON, &meta).await.unwrap()
}

/// Waits until the payment's stream is as expected.
pub(crate) async fn until_stream(market: &Market, no: PaymentNo, expected: &[&str]) {
    eventually(LONG, || async {
        let stream = market.payment(no).await;
        if stream == expected { Ok(()) } else { Err(stream) }
    })
    .await;
}

/// The gateway's contradictions that were counted since the last snapshot.
fn contradictions(metrics: &Snapshotter) -> u64 {
    let metrics = metrics.snapshot().into_vec();
    let of_name = |key: &CompositeKey| key.key().name() == "gdmarket_payment_contradictions_total";
    let found = metrics.into_iter().find(|(key, ..)| of_name(key));
    match found {
        Some((.., DebugValue::Counter(count))) => count,
        _ => 0,
    }
}

on_each_engine! {
    async fn approval_is_returned_and_recorded(db: &TestDb) {
        let market = Market::open(db).await;
        let (_, no) = market.reserved().await;
        let paid = market.pay(no).await.unwrap();
        assert_eq!((paid.payment_no, paid.outcome), (Some(payment_no(1)), PaymentOutcome::Approved));
        assert_eq!(market.payment(payment_no(1)).await, APPROVED);
        assert_eq!(market.gateway.accounts()[0].amount, crate::market::price(100));
        market.close().await;
    }

    async fn decline_is_returned_and_recorded(db: &TestDb) {
        let market = Market::open(db).await;
        market.gateway.set(Behaviour::Decline);
        let (_, no) = market.reserved().await;
        let code = "card-declined".to_owned();
        assert_eq!(market.pay(no).await.unwrap().outcome, PaymentOutcome::Declined { code });
        let expected = ["PaymentStarted", "PaymentDeclined"];
        assert_eq!(market.payment(payment_no(1)).await, expected);
        market.close().await;
    }

    async fn slow_gateway_is_neither_awaited_beyond_the_limit_nor_called_again(db: &TestDb) {
        let market = Market::open(db).await;
        market.gateway.set(Behaviour::Wait);
        let (_, no) = market.reserved().await;
        let begin = Instant::now();
        let first = pay_as(&market, no, "k").await;
        assert!(begin.elapsed() >= SOON);
        assert_eq!(first.outcome, PaymentOutcome::OutcomeUnknown);
        let again = pay_as(&market, no, "k").await;
        assert_eq!(again.outcome, PaymentOutcome::OutcomeUnknown);
        market.gateway.release();
        until_stream(&market, payment_no(1), &APPROVED).await;
        let known = pay_as(&market, no, "k").await;
        assert_eq!((known.payment_no, known.outcome), (first.payment_no, PaymentOutcome::Approved));
        assert!(known.executed.replayed);
        assert_eq!(market.gateway.confirms(), 1);
        market.close().await;
    }

    async fn unreachable_gateway_ends_the_attempt_at_once(db: &TestDb) {
        let market = Market::open(db).await;
        market.gateway.set(Behaviour::Unreachable);
        let (_, no) = market.reserved().await;
        let meta = keyed("/reservations/1/payment", "k", "");
        let refused = market.commands.request_payment(no, SOON, &meta).await;
        assert!(is_unavailable(&refused), "{refused:?}");
        let stream = market.stream("reservation", no.get()).await;
        assert_eq!(stream[2..], ["PaymentRequested", "PaymentFailed"]);
        let expected = ["PaymentStarted", "PaymentDeclined"];
        assert_eq!(market.payment(payment_no(1)).await, expected);

        market.gateway.set(Behaviour::Succeed);
        let again = market.commands.request_payment(no, SOON, &meta).await;
        assert!(is_unavailable(&again), "the same request has the same answer: {again:?}");
        assert_eq!(market.pay(no).await.unwrap().outcome, PaymentOutcome::Approved);
        market.close().await;
    }

    async fn open_breaker_refuses_a_payment_before_anything_is_written(db: &TestDb) {
        let mut options = options();
        options.payment.breaker = BreakerOptions { minimum_calls: 3, ..BreakerOptions::default() };
        let market = Market::open_with(db, options).await;
        market.gateway.set(Behaviour::Unreachable);
        let (_, no) = market.reserved().await;
        for _ in 0..3 {
            assert!(is_unavailable(&market.pay(no).await));
        }
        assert_eq!(market.commands.payment_breaker(), BreakerState::Open);
        let events = market.log().await.len();
        market.gateway.set(Behaviour::Succeed);
        assert!(is_unavailable(&market.pay(no).await));
        assert_eq!(market.log().await.len(), events);
        assert_eq!(market.store.numbers().allocate("payment").await.unwrap(), 4, "no number was allocated");
        market.close().await;
    }

    async fn declines_leave_the_breaker_closed(db: &TestDb) {
        let mut options = options();
        options.payment.breaker = BreakerOptions { minimum_calls: 3, ..BreakerOptions::default() };
        let market = Market::open_with(db, options).await;
        market.gateway.set(Behaviour::Decline);
        let (_, no) = market.reserved().await;
        for number in 1..=6 {
            market.pay(no).await.unwrap();
            let reason = "declined".to_owned();
            let (payment_no, failed_at) = (payment_no(number), market.commands.now());
            let pay_within = std::time::Duration::from_mins(15);
            let failed = ReservationCommand::RecordPaymentFailed {
                payment_no,
                reason,
                failed_at,
                pay_within,
            };
            market.reservation(no, failed).await.unwrap();
        }
        assert_eq!(market.commands.payment_breaker(), BreakerState::Closed);
        market.close().await;
    }

    async fn slow_calls_open_the_breaker_and_still_complete(db: &TestDb) {
        let mut options = options();
        options.payment.breaker = BreakerOptions { minimum_calls: 3, ..BreakerOptions::default() };
        let market = Market::open_with(db, options).await;
        market.gateway.set(Behaviour::Wait);
        for _ in 0..3 {
            let (_, no) = market.reserved().await;
            assert_eq!(market.pay(no).await.unwrap().outcome, PaymentOutcome::OutcomeUnknown);
        }
        eventually(LONG, || async {
            let state = market.commands.payment_breaker();
            if state == BreakerState::Open { Ok(()) } else { Err(state) }
        })
        .await;
        for number in 1..=3 {
            market.gateway.release();
            eventually(LONG, || async {
                let approved = market.gateway.accounts().len();
                if approved >= number { Ok(()) } else { Err(approved) }
            })
            .await;
        }
        market.close().await;
    }

    async fn payment_that_is_not_due_allocates_no_number(db: &TestDb) {
        let market = Market::open(db).await;
        let (_, no) = market.reserved().await;
        let payment_no = market.pay(no).await.unwrap().payment_no.unwrap();
        assert!(market.pay(no).await.is_err(), "an attempt is open");
        let approved = ReservationCommand::RecordPaymentApproved { payment_no };
        market.reservation(no, approved).await.unwrap();
        assert_eq!(market.pay(no).await.unwrap().executed.count, 0);
        assert_eq!(market.store.numbers().allocate("payment").await.unwrap(), payment_no.get() + 1);
        market.close().await;
    }

    async fn concurrent_payments_charge_once(db: &TestDb) {
        let market = Market::open(db).await;
        let (_, no) = market.reserved().await;
        let mut tasks = JoinSet::new();
        for _ in 0..20 {
            let market = market.clone();
            tasks.spawn(async move { market.pay(no).await });
        }
        let (mut paid, mut refused) = (vec![], vec![]);
        for result in tasks.join_all().await {
            match result {
                Ok(payment) => paid.push(payment.payment_no.unwrap()),
                Err(error) => refused.push(error),
            }
        }
        assert_eq!((paid.len(), market.gateway.confirms()), (1, 1));
        for refused in refused {
            let code = "payment-pending".into();
            assert_eq!(refused, CommandError::Refused { code, replayed: false });
        }
        // Any of the attempts may have allocated the first number.
        let approved = ReservationCommand::RecordPaymentApproved { payment_no: paid.pop().unwrap() };
        market.reservation(no, approved).await.unwrap();
        let again = market.pay(no).await.unwrap();
        assert_eq!((again.payment_no, again.executed.count), (None, 0));
        assert_eq!((again.outcome, market.gateway.confirms()), (PaymentOutcome::Approved, 1));
        market.close().await;
    }

    async fn fifty_equal_payments_make_one_attempt_with_one_answer(db: &TestDb) {
        let market = Market::open(db).await;
        let (_, no) = market.reserved().await;
        let mut tasks = JoinSet::new();
        for _ in 0..50 {
            let market = market.clone();
            tasks.spawn(async move { pay_as(&market, no, "k").await });
        }
        for paid in timeout(LONG, tasks.join_all()).await.unwrap() {
            assert_eq!(paid.payment_no, Some(payment_no(1)));
            assert_eq!(paid.outcome, PaymentOutcome::Approved);
        }
        assert_eq!(market.gateway.confirms(), 1);
        market.close().await;
    }

    async fn outcome_is_recorded_without_a_waiting_caller(db: &TestDb) {
        let market = Market::open(db).await;
        market.gateway.set(Behaviour::Wait);
        let (_, no) = market.reserved().await;
        let paying = { let market = market.clone(); tokio::spawn(async move { market.pay(no).await }) };
        until_stream(&market, payment_no(1), &["PaymentStarted"]).await;
        paying.abort();
        market.gateway.release();
        until_stream(&market, payment_no(1), &APPROVED).await;
        market.close().await;
    }

    async fn cancellation_is_refused_while_an_attempt_is_open(db: &TestDb) {
        let market = Market::open(db).await;
        market.gateway.set(Behaviour::Wait);
        let (_, no) = market.reserved().await;
        market.pay(no).await.unwrap();
        let cancelled = market.commands.cancel_reservation(no, &operator()).await;
        let code = "payment-pending".into();
        assert_eq!(cancelled, Err(CommandError::Refused { code, replayed: false }));
        market.gateway.release();
        until_stream(&market, payment_no(1), &APPROVED).await;
        market.close().await;
    }
}

/// The gateway declines a payment that it had approved: the operator is alerted, nothing changes.
#[test]
fn contradiction_of_the_gateway_is_counted() {
    run(async {
        let db = TestDb::sqlite();
        let recorder = DebuggingRecorder::new();
        let metrics = recorder.snapshotter();
        recorder.install().unwrap();
        let market = Market::open(&db).await;
        market.gateway.set(Behaviour::WaitAndDecline);
        let (_, no) = market.reserved().await;
        assert_eq!(market.pay(no).await.unwrap().outcome, PaymentOutcome::OutcomeUnknown);
        let found = PaymentCommand::RecordApproved;
        market
            .commands
            .send(MarketCommand::Payment(payment_no(1), found), &process())
            .await
            .unwrap();
        assert_eq!(contradictions(&metrics), 0);
        market.gateway.release();
        eventually(LONG, || async {
            let counted = contradictions(&metrics);
            if counted == 1 { Ok(()) } else { Err(counted) }
        })
        .await;
        assert_eq!(market.payment(payment_no(1)).await, APPROVED);
        market.close().await;
    });
}
