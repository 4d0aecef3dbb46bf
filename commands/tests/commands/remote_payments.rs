//! Paying where the payment service has a log of its own: one charge at most, and no outcome that is only guessed.

use crate::fakes::Behaviour;
use crate::market::{LONG, Market, keyed, process};
use crate::service_link::{Line, TwoLogs};
use gdmarket_commands::{
    AttemptAnswer, CommandError, CommandMeta, Dependency, PaymentAttempt, PaymentOutcome,
    RequestedPayment, Settled,
};
use gdmarket_domain::{Money, PaymentNo, ReservationNo, Service};
use gdmarket_testkit::on_each_engine;

const PAYMENT: &str = "/reservations/1/payment";

fn first() -> PaymentNo {
    PaymentNo::new(1).unwrap()
}

async fn pay(
    market: &TwoLogs,
    no: ReservationNo,
    key: &str,
) -> Result<RequestedPayment, CommandError> {
    let meta = keyed(PAYMENT, key, "");
    market.caller.commands.request_payment(no, LONG, &meta).await
}

fn is_unavailable(paid: &Result<RequestedPayment, CommandError>) -> bool {
    matches!(paid, Err(CommandError::Unavailable { what: Dependency::Payment, .. }))
}

/// The reservation is in the caller's log; items and alarms are there, too.
async fn reserved(market: &TwoLogs) -> ReservationNo {
    market.caller.reserved().await.1
}

async fn last(market: &Market, no: ReservationNo) -> String {
    market.stream("reservation", no.get()).await.pop().unwrap()
}

/// The attempt that the reservation's log asks for.
fn attempt(no: ReservationNo, amount: i64) -> PaymentAttempt {
    let amount = Money::price(amount).unwrap();
    let item_no = gdmarket_domain::ItemNo::new(1).unwrap();
    PaymentAttempt { payment_no: first(), reservation_no: no, item_no, amount }
}

on_each_engine! {
    async fn payment_at_another_process_is_charged_once_however_often_it_is_requested(db: &TestDb) {
        let market = TwoLogs::open(db, Service::Payment).await;
        let no = reserved(&market).await;
        for _ in 0..2 {
            let paid = pay(&market, no, "a").await.unwrap();
            assert_eq!((paid.payment_no, paid.outcome), (Some(first()), PaymentOutcome::Approved));
        }
        assert_eq!(market.callee.payment(first()).await, ["PaymentStarted", "PaymentApproved"]);
        assert_eq!(market.callee.gateway.confirms(), 1);
        market.close().await;
    }

    async fn nothing_is_written_while_the_payment_service_or_its_gateway_is_down(db: &TestDb) {
        let market = TwoLogs::open(db, Service::Payment).await;
        let no = reserved(&market).await;
        let before = market.caller.log().await.len();
        market.link.set_questions(Line::Refused);
        let refused = pay(&market, no, "a").await;
        assert!(is_unavailable(&refused), "{refused:?}");
        assert_eq!((market.caller.log().await.len(), market.link.sent()), (before, 0));
        market.link.set_questions(Line::Works);
        assert_eq!(pay(&market, no, "a").await.unwrap().outcome, PaymentOutcome::Approved);
        market.close().await;
    }

    async fn attempt_that_was_surely_not_sent_ends_at_once(db: &TestDb) {
        let market = TwoLogs::open(db, Service::Payment).await;
        let no = reserved(&market).await;
        market.link.set(Line::Refused);
        let refused = pay(&market, no, "a").await;
        assert!(is_unavailable(&refused), "{refused:?}");
        assert_eq!(last(&market.caller, no).await, "PaymentFailed");
        market.link.set(Line::Works);
        assert!(is_unavailable(&pay(&market, no, "a").await), "the same request has the same end");
        let paid = pay(&market, no, "b").await.unwrap();
        assert_eq!((paid.payment_no.map(PaymentNo::get), paid.outcome), (Some(2), PaymentOutcome::Approved));
        market.close().await;
    }

    async fn repeat_that_is_not_sent_does_not_end_the_attempt_of_the_first_request(db: &TestDb) {
        let market = TwoLogs::open(db, Service::Payment).await;
        let no = reserved(&market).await;
        market.link.set_questions(Line::Works);
        market.link.set(Line::LosesAnswer);
        market.callee.gateway.set(Behaviour::Wait);
        let meta = keyed(PAYMENT, "a", "");
        let short = std::time::Duration::from_millis(150);
        let paid = market.caller.commands.request_payment(no, short, &meta).await.unwrap();
        assert_eq!(paid.outcome, PaymentOutcome::OutcomeUnknown);
        market.link.set(Line::Refused);
        market.link.set_questions(Line::Refused);
        let paid = market.caller.commands.request_payment(no, short, &meta).await.unwrap();
        assert_eq!(paid.outcome, PaymentOutcome::OutcomeUnknown);
        assert_eq!(last(&market.caller, no).await, "PaymentRequested");
        market.callee.gateway.set(Behaviour::Succeed);
        market.callee.gateway.release();
        market.link.set(Line::Works);
        assert_eq!(pay(&market, no, "a").await.unwrap().outcome, PaymentOutcome::Approved);
        assert_eq!(market.callee.gateway.confirms(), 1);
        market.close().await;
    }

    async fn lost_answer_is_found_by_asking(db: &TestDb) {
        let market = TwoLogs::open(db, Service::Payment).await;
        let no = reserved(&market).await;
        market.link.set(Line::LosesAnswer);
        assert_eq!(pay(&market, no, "a").await.unwrap().outcome, PaymentOutcome::Approved);
        assert_eq!((market.link.sent(), market.callee.gateway.confirms()), (1, 1));
        market.close().await;
    }

    async fn attempt_that_never_arrived_is_settled_in_the_other_process_without_a_charge(db: &TestDb) {
        let market = TwoLogs::open(db, Service::Payment).await;
        let no = reserved(&market).await;
        market.link.set(Line::LosesRequest);
        assert_eq!(pay(&market, no, "a").await.unwrap().outcome, PaymentOutcome::OutcomeUnknown);
        let (callee, meta) = (&market.callee.commands, process());
        assert_eq!(callee.settle_attempt(attempt(no, 100), &meta).await, Ok(Settled::Declined));
        assert_eq!(market.callee.payment(first()).await, ["PaymentStarted", "PaymentDeclined"]);
        market.link.set(Line::Works);
        let late = pay(&market, no, "a").await.unwrap();
        assert_eq!(late.outcome, PaymentOutcome::Declined { code: "not-found".to_owned() });
        assert_eq!(market.callee.gateway.confirms(), 0);
        market.close().await;
    }

    async fn payment_number_with_another_content_is_refused_and_not_used_again(db: &TestDb) {
        let market = TwoLogs::open(db, Service::Payment).await;
        let no = reserved(&market).await;
        let meta = CommandMeta { keyed: true, ..process() };
        let callee = &market.callee.commands;
        let own = callee.attempt_payment(attempt(no, 70), LONG, &meta).await;
        assert_eq!(own, Ok(AttemptAnswer::Approved));
        let refused = pay(&market, no, "a").await;
        assert!(is_unavailable(&refused), "{refused:?}");
        assert_eq!(last(&market.caller, no).await, "PaymentFailed");
        assert_eq!(callee.payment_outcome(attempt(no, 70), LONG).await, Ok(AttemptAnswer::Approved));
        let paid = pay(&market, no, "b").await.unwrap();
        assert_eq!((paid.payment_no.map(PaymentNo::get), paid.outcome), (Some(2), PaymentOutcome::Approved));
        let other = ReservationNo::new(99).unwrap();
        let taken = callee.settle_attempt(attempt(other, 70), &process()).await;
        assert!(matches!(taken, Err(CommandError::Refused { .. })), "{taken:?}");
        assert!(market.callee.stream("reservation", 99).await.is_empty());
        market.close().await;
    }
}
