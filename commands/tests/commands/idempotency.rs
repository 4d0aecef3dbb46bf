//! A repeated request has one effect and the same answer, from any process and however often.

use crate::market::{LONG, Market, drill, hold, keyed, new_reservation, operator, reservation_no};
use gdmarket_commands::{CommandError, Executed, Lending};
use gdmarket_domain::{ItemCommand, ReservationCommand, ReservationNo};
use gdmarket_testkit::on_each_engine;
use std::collections::HashSet;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// The part of an answer that all repeats of one request share.
fn answer(executed: &Executed) -> (i64, i64, i64, i64, i64) {
    let Executed { number, version, first_sequence, count, position, replayed: _ } = *executed;
    (number, version, first_sequence, count, position)
}

fn lending_for(reservation_no: ReservationNo) -> Lending {
    Lending {
        reservation_no: Some(reservation_no),
        today: crate::market::today(),
        remember_transient_refusal: false,
    }
}

/// Sends fifty equal reservations at once and returns how many answers were not replayed.
async fn fifty_reservations(one: &Market, other: &Market) -> usize {
    let item_no = one.register().await;
    let mut tasks = JoinSet::new();
    for number in 0..50 {
        let market = if number % 2 == 0 { one.clone() } else { other.clone() };
        tasks.spawn(async move {
            let meta = keyed("/reservations", "fifty", "{}");
            market.commands.reserve(new_reservation(item_no), &meta).await.unwrap()
        });
    }
    let done = timeout(LONG, tasks.join_all()).await.unwrap();
    let first = done.iter().filter(|executed| !executed.replayed).count();
    let answers: HashSet<_> = done.iter().map(answer).collect();
    assert_eq!(answers.len(), 1, "{answers:?}");
    let log = one.log().await;
    let requests = log.iter().filter(|event| event.event_type == "ReservationRequested");
    assert_eq!(requests.count(), 1);
    first
}

on_each_engine! {
    async fn fifty_equal_requests_have_one_effect_and_equal_answers(db: &TestDb) {
        let market = Market::open(db).await;
        assert_eq!(fifty_reservations(&market, &market).await, 1);
        market.close().await;
    }

    async fn fifty_equal_registrations_make_one_item_and_one_alarm(db: &TestDb) {
        let market = Market::open(db).await;
        let mut tasks = JoinSet::new();
        for _ in 0..50 {
            let market = market.clone();
            tasks.spawn(async move {
                let meta = keyed("/items", "fifty", "{}");
                answer(&market.commands.register_item(drill(), &meta).await.unwrap().executed)
            });
        }
        let answers: HashSet<_> = tasks.join_all().await.into_iter().collect();
        assert_eq!(answers.len(), 1, "{answers:?}");
        assert_eq!(market.alarm.raised(), [1]);
        let types: Vec<String> = market.log().await.into_iter().map(|e| e.event_type).collect();
        assert_eq!(types, ["Alerted", "ItemRegistered"]);
        market.close().await;
    }

    async fn key_reused_with_another_body_is_refused_and_changes_nothing(db: &TestDb) {
        let market = Market::open(db).await;
        let no = market.register().await;
        let first = keyed("/reservations", "k", "one");
        market.commands.reserve(new_reservation(no), &first).await.unwrap();
        let other = keyed("/reservations", "k", "two");
        let reused = market.commands.reserve(new_reservation(no), &other).await;
        assert_eq!(reused, Err(CommandError::KeyReused));
        let events = market.log().await.len();
        let reused = market.commands.delete_item(no, &other).await;
        assert_eq!(reused, Err(CommandError::KeyReused));
        assert_eq!(market.log().await.len(), events);
        market.close().await;
    }

    async fn refusal_is_repeated_though_the_command_would_succeed_now(db: &TestDb) {
        let market = Market::open(db).await;
        let (no, held) = (market.register().await, reservation_no(9));
        market.item(no, hold(held)).await.unwrap();
        let delete = keyed("/items/1/delete", "k", "");
        let refused = |replayed| CommandError::Refused { code: "item-in-use".into(), replayed };
        assert_eq!(market.commands.delete_item(no, &delete).await, Err(refused(false)));
        market.item(no, ItemCommand::Release { reservation_no: held }).await.unwrap();
        assert_eq!(market.commands.delete_item(no, &delete).await, Err(refused(true)));
        assert_eq!(market.commands.delete_item(no, &operator()).await.unwrap().count, 1);
        market.close().await;
    }

    async fn no_op_is_remembered(db: &TestDb) {
        let market = Market::open(db).await;
        let no = market.register().await;
        let same = keyed("/items/1", "k", "100");
        let first = market.reprice(no, 100, same.clone()).await.unwrap();
        assert_eq!((first.count, first.version, first.replayed), (0, 1, false));
        market.reprice(no, 200, operator()).await.unwrap();
        let again = market.reprice(no, 100, same.clone()).await.unwrap();
        assert_eq!((again.count, again.version, again.replayed), (0, 1, true));
        market.close().await;
    }

    async fn transient_refusal_is_decided_again(db: &TestDb) {
        let market = Market::open(db).await;
        market.gateway.set(crate::fakes::Behaviour::LoseRequest);
        let (no, reservation) = market.reserved().await;
        let lend = keyed("/items/1/lend", "k", "");
        let lending = || market.commands.lend_item(no, lending_for(reservation), &lend);
        let refused = |code: &'static str| CommandError::Refused { code: code.into(), replayed: false };
        assert_eq!(lending().await, Err(refused("not-paid")));

        let payment_no = market.pay(reservation).await.unwrap().payment_no.unwrap();
        let cancel = keyed("/reservations/1/cancel", "k", "");
        let cancelling = || market.commands.cancel_reservation(reservation, &cancel);
        assert_eq!(cancelling().await, Err(refused("payment-pending")));

        let approved = ReservationCommand::RecordPaymentApproved { payment_no };
        market.reservation(reservation, approved).await.unwrap();
        let authorize = ItemCommand::AuthorizeLending { reservation_no: reservation };
        market.item(no, authorize).await.unwrap();
        assert_eq!(lending().await.unwrap().count, 1);
        assert_eq!(cancelling().await.unwrap().count, 1, "a request that the item will answer");
        market.close().await;
    }

    /// The caller knows that no payment is in flight; the item doesn't.
    async fn transient_refusal_is_remembered_where_the_caller_asks_for_it(db: &TestDb) {
        let market = Market::open(db).await;
        let (no, reservation) = market.reserved().await;
        let lend = keyed("/items/1/lend", "k", "");
        let lending = Lending { remember_transient_refusal: true, ..lending_for(reservation) };
        let refused = |code: &'static str, replayed| {
            Err(CommandError::Refused { code: code.into(), replayed })
        };
        let early = Lending { today: chrono::NaiveDate::MIN, ..lending };
        market.item(no, ItemCommand::AuthorizeLending { reservation_no: reservation }).await.unwrap();
        assert_eq!(market.commands.lend_item(no, early, &lend).await, refused("too-early", false));
        assert_eq!(market.commands.lend_item(no, early, &lend).await, refused("too-early", false));

        market.item(no, ItemCommand::RevokeLending { reservation_no: reservation }).await.unwrap();
        assert_eq!(market.commands.lend_item(no, lending, &lend).await, refused("not-paid", false));
        market.item(no, ItemCommand::AuthorizeLending { reservation_no: reservation }).await.unwrap();
        assert_eq!(market.commands.lend_item(no, lending, &lend).await, refused("not-paid", true));
        market.close().await;
    }

    async fn success_is_repeated_though_the_command_would_be_refused_now(db: &TestDb) {
        let market = Market::open(db).await;
        let (_, reservation) = market.reserved().await;
        let meta = gdmarket_commands::CommandMeta {
            precondition: gdmarket_commands::Precondition::version(2),
            ..keyed("/reservations/1/cancel", "k", "")
        };
        let first = market.commands.cancel_reservation(reservation, &meta).await.unwrap();
        assert!(!first.replayed);
        let again = market.commands.cancel_reservation(reservation, &meta).await.unwrap();
        assert!(again.replayed);
        assert_eq!(answer(&first), answer(&again));
        market.close().await;
    }
}

on_each_engine! {
    async fn fifty_equal_requests_to_two_processes_have_one_effect(db: &TestDb) {
        let one = Market::open(db).await;
        let other = one.in_another_process(db).await;
        assert_eq!(fifty_reservations(&one, &other).await, 1);
        one.close().await;
        other.close().await;
    }
}
