//! Registration of items: the alarm is raised first, and without it there is no item.

use crate::fakes::Behaviour;
use crate::market::{Market, SOON, drill, keyed, operator, options};
use gdmarket_commands::{BreakerOptions, BreakerState, CommandError, Dependency};
use gdmarket_domain::{AlarmCommand, ItemCommand, MarketCommand};
use gdmarket_testkit::on_each_engine;
use tokio::time::Instant;

async fn register_nothing(market: &Market) {
    let refused = market.commands.register_item(drill(), &operator()).await;
    assert!(
        matches!(refused, Err(CommandError::Unavailable { what: Dependency::Alarm, .. })),
        "{refused:?}"
    );
    assert!(market.log().await.is_empty());
}

/// A first try that was interrupted after it had raised the alarm; returns its item number.
async fn announced_number(market: &Market) -> i64 {
    let number = market.store.numbers().allocate("item").await.unwrap();
    let item_no = crate::market::item_no(number);
    let command = AlarmCommand::RaiseRegistration { item_no };
    let meta = keyed("/items", "k", "{}");
    market.commands.send(MarketCommand::Alarm(item_no, command), &meta).await.unwrap();
    number
}

on_each_engine! {
    async fn alarm_is_raised_before_the_item_is_registered(db: &TestDb) {
        let market = Market::open(db).await;
        let no = market.register().await;
        let types: Vec<String> = market.log().await.into_iter().map(|e| e.event_type).collect();
        assert_eq!(types, ["Alerted", "ItemRegistered"]);
        assert_eq!(market.alarm.raised(), [no.get()]);
        market.close().await;
    }

    async fn item_is_not_registered_without_the_alarm(db: &TestDb) {
        let market = Market::open(db).await;
        market.alarm.set(Behaviour::Unreachable);
        register_nothing(&market).await;
        market.alarm.set(Behaviour::Wait);
        let begin = Instant::now();
        register_nothing(&market).await;
        assert!(begin.elapsed() >= SOON, "the call of the alarm ended before its limit");
        market.alarm.set(Behaviour::Succeed);
        market.register().await;
        market.close().await;
    }

    async fn alarm_that_stays_down_is_not_called(db: &TestDb) {
        let mut options = options();
        options.alarm.breaker = BreakerOptions { minimum_calls: 3, ..BreakerOptions::default() };
        let market = Market::open_with(db, options).await;
        market.alarm.set(Behaviour::Unreachable);
        for _ in 0..3 {
            register_nothing(&market).await;
        }
        assert_eq!(market.commands.alarm_breaker(), BreakerState::Open);
        market.alarm.set(Behaviour::Succeed);
        register_nothing(&market).await;
        assert!(market.alarm.raised().is_empty());
        market.close().await;
    }

    async fn repeat_uses_the_number_that_was_announced(db: &TestDb) {
        let market = Market::open(db).await;
        let number = announced_number(&market).await;
        let meta = keyed("/items", "k", "{}");
        let executed = market.commands.register_item(drill(), &meta).await.unwrap().executed;
        assert_eq!((executed.number, executed.replayed), (number, false));
        assert!(market.alarm.raised().is_empty(), "the alarm was raised by the first try");
        market.close().await;
    }

    async fn repeat_allocates_another_number_when_the_first_was_abandoned(db: &TestDb) {
        let market = Market::open(db).await;
        let number = announced_number(&market).await;
        let item_no = crate::market::item_no(number);
        market.item(item_no, ItemCommand::AbandonRegistration { item_no }).await.unwrap();
        let meta = keyed("/items", "k", "{}");
        let first = market.commands.register_item(drill(), &meta).await.unwrap().executed;
        assert_ne!(first.number, number);
        assert_eq!(market.alarm.raised(), [first.number]);
        let again = market.commands.register_item(drill(), &meta).await.unwrap().executed;
        assert_eq!((again.number, again.replayed), (first.number, true));
        assert_eq!(market.stream("item", number).await, ["RegistrationAbandoned"]);
        market.close().await;
    }
}
