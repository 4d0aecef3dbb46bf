//! Registration where the alarm service has a log of its own: one alarm and one item per request, whatever is lost.

use crate::market::{drill, item_no, keyed, operator, process};
use crate::service_link::{Line, TwoLogs};
use gdmarket_commands::{CommandError, Dependency};
use gdmarket_domain::{AlarmCommand, ItemCommand, MarketCommand, Service};
use gdmarket_testkit::on_each_engine;

async fn refused(market: &TwoLogs, key: &str) {
    let meta = keyed("/items", key, "{}");
    let refused = market.caller.commands.register_item(drill(), &meta).await;
    assert!(
        matches!(refused, Err(CommandError::Unavailable { what: Dependency::Alarm, .. })),
        "{refused:?}"
    );
    assert!(market.caller.log().await.is_empty());
}

async fn registered(market: &TwoLogs, key: &str) -> i64 {
    let meta = keyed("/items", key, "{}");
    market.caller.commands.register_item(drill(), &meta).await.unwrap().executed.number
}

async fn abandon(market: &TwoLogs, number: i64) {
    let item_no = item_no(number);
    market.caller.item(item_no, ItemCommand::AbandonRegistration { item_no }).await.unwrap();
}

on_each_engine! {
    async fn alarm_of_another_process_is_raised_before_the_item_is_registered(db: &TestDb) {
        let market = TwoLogs::open(db, Service::Alarm).await;
        market.link.set(Line::Refused);
        refused(&market, "a").await;
        assert!(market.callee.log().await.is_empty());
        market.link.set(Line::Works);
        let number = registered(&market, "a").await;
        assert_eq!(market.callee.stream("alarm", number).await, ["Alerted"]);
        assert_eq!(market.caller.stream("item", number).await, ["ItemRegistered"]);
        assert_eq!(market.callee.alarm.raised(), [number]);
        // The caller's log has the item: a repeat needs no other service.
        market.link.set(Line::Refused);
        assert_eq!(registered(&market, "a").await, number);
        market.close().await;
    }

    async fn repeat_after_a_lost_answer_finds_the_alarm_and_raises_no_other(db: &TestDb) {
        let market = TwoLogs::open(db, Service::Alarm).await;
        market.link.set(Line::LosesAnswer);
        refused(&market, "a").await;
        refused(&market, "a").await;
        let announced = market.callee.alarm.raised();
        market.link.set(Line::Works);
        let other = keyed("/items", "a", "{\"other\":1}");
        let reused = market.caller.commands.register_item(drill(), &other).await;
        assert_eq!(reused, Err(CommandError::KeyReused));
        let number = registered(&market, "a").await;
        assert_eq!((announced, market.callee.alarm.raised()), (vec![number], vec![number]));
        assert_eq!(registered(&market, "a").await, number);
        assert_eq!((market.callee.log().await.len(), market.caller.log().await.len()), (1, 1));
        market.close().await;
    }

    async fn repeat_of_an_abandoned_registration_has_a_new_number_and_a_new_alarm(db: &TestDb) {
        let market = TwoLogs::open(db, Service::Alarm).await;
        market.link.set(Line::LosesAnswer);
        refused(&market, "a").await;
        let first = market.callee.alarm.raised()[0];
        abandon(&market, first).await;
        let item_no = item_no(first);
        let withdraw = MarketCommand::Alarm(item_no, AlarmCommand::Withdraw { item_no });
        market.callee.commands.send(withdraw, &process()).await.unwrap();
        market.link.set(Line::Works);
        let number = registered(&market, "a").await;
        assert_ne!(number, first);
        assert_eq!(registered(&market, "a").await, number);
        assert_eq!(market.callee.alarm.raised(), [first, number]);
        assert_eq!(market.caller.stream("item", first).await, ["RegistrationAbandoned"]);
        market.close().await;
    }

    async fn number_that_has_an_alarm_of_another_registration_is_replaced(db: &TestDb) {
        let market = TwoLogs::open(db, Service::Alarm).await;
        for number in [1, 2, 9] {
            let item_no = item_no(number);
            let raise = AlarmCommand::RaiseRegistration { item_no };
            let raise = MarketCommand::Alarm(item_no, raise);
            market.callee.commands.send(raise, &operator()).await.unwrap();
        }
        assert_eq!(registered(&market, "a").await, 10);
        assert_eq!(market.link.sent(), 2, "the highest number is known after one refusal");
        market.close().await;
    }
}
