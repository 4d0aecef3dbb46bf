//! Registering: the alarm first, and no item without it.

use crate::fakes::Does;
use crate::market::{Market, SOON, drill, keyed, operator, options};
use gdmarket_commands::{BreakerOptions, BreakerState, CommandError, Service};
use gdmarket_domain::{AlarmCommand, ItemCommand, MarketCommand};
use gdmarket_testkit::on_each_engine;
use tokio::time::Instant;

async fn register_nothing(market: &Market) {
    let refused = market.commands.register_item(drill(), &operator()).await;
    assert!(
        matches!(refused, Err(CommandError::Unavailable { what: Service::Alarm, .. })),
        "{refused:?}"
    );
    assert!(market.log().await.is_empty());
}

/// A first try that raised the alarm and got no further.
async fn only_announced(market: &Market) -> i64 {
    let number = market.store.numbers().allocate("item").await.unwrap();
    let item_no = crate::market::item_no(number);
    let command = AlarmCommand::RaiseRegistration { item_no };
    let meta = keyed("/items", "k", "{}");
    market.commands.send(MarketCommand::Alarm(item_no, command), &meta).await.unwrap();
    number
}

on_each_engine! {
    async fn alarm_is_raised_before_there_is_an_item(db: &TestDb) {
        let market = Market::open(db).await;
        let no = market.register().await;
        let types: Vec<String> = market.log().await.into_iter().map(|e| e.event_type).collect();
        assert_eq!(types, ["Alerted", "ItemRegistered"]);
        assert_eq!(market.bell.raised(), [no.get()]);
        market.close().await;
    }

    async fn without_the_alarm_there_is_no_item(db: &TestDb) {
        let market = Market::open(db).await;
        market.bell.set(Does::Refuse);
        register_nothing(&market).await;
        market.bell.set(Does::Wait);
        let begin = Instant::now();
        register_nothing(&market).await;
        assert!(begin.elapsed() >= SOON, "it was given the time it has");
        market.bell.set(Does::Well);
        market.register().await;
        market.close().await;
    }

    async fn an_alarm_that_stays_down_is_left_alone(db: &TestDb) {
        let mut options = options();
        options.alarm.breaker = BreakerOptions { minimum_calls: 3, ..BreakerOptions::default() };
        let market = Market::open_with(db, options).await;
        market.bell.set(Does::Refuse);
        for _ in 0..3 {
            register_nothing(&market).await;
        }
        assert_eq!(market.commands.alarm_breaker(), BreakerState::Open);
        market.bell.set(Does::Well);
        register_nothing(&market).await;
        assert!(market.bell.raised().is_empty());
        market.close().await;
    }

    async fn a_repeat_finds_the_number_that_was_announced(db: &TestDb) {
        let market = Market::open(db).await;
        let number = only_announced(&market).await;
        let meta = keyed("/items", "k", "{}");
        let executed = market.commands.register_item(drill(), &meta).await.unwrap().executed;
        assert_eq!((executed.number, executed.replayed), (number, false));
        assert!(market.bell.raised().is_empty(), "it was raised at the first try");
        market.close().await;
    }

    async fn repeat_whose_number_was_abandoned_starts_over_with_a_new_one(db: &TestDb) {
        let market = Market::open(db).await;
        let number = only_announced(&market).await;
        let item_no = crate::market::item_no(number);
        market.item(item_no, ItemCommand::AbandonRegistration { item_no }).await.unwrap();
        let meta = keyed("/items", "k", "{}");
        let first = market.commands.register_item(drill(), &meta).await.unwrap().executed;
        assert_ne!(first.number, number);
        assert_eq!(market.bell.raised(), [first.number]);
        let again = market.commands.register_item(drill(), &meta).await.unwrap().executed;
        assert_eq!((again.number, again.replayed), (first.number, true));
        assert_eq!(market.stream("item", number).await, ["RegistrationAbandoned"]);
        market.close().await;
    }
}
