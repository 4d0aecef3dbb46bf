//! Checkpoints in the logs of other services, next to those in the own log.

use crate::support::{open, options};
use gdmarket_store::{
    Checkpoints, Claim, Deadline, Deadlines, Identity, KnownSources, Parked, ParkedKeys, Store,
};
use gdmarket_testkit::on_each_engine;
use std::time::Duration;
use uuid::Uuid;

const NAME: &str = "a subscriber";

fn log(id: u128, epoch: i64) -> Identity {
    Identity { log_id: Uuid::from_u128(id), epoch }
}

async fn claimed(store: &Store, source: &Identity) -> Claim {
    Checkpoints::new(store.views().clone()).claim(NAME, source, 1, 0).await.unwrap()
}

/// What subscriptions leave behind, at the own log and at that of the service `item`.
async fn fill(store: &Store) {
    let mut tx = store.views().begin().await.unwrap();
    let parked = Parked {
        key: "a/1".to_owned(),
        state: Parked::PARKED.to_owned(),
        reason: "a fault".to_owned(),
        since_position: 3,
        since_time: 0,
        attempts: 1,
    };
    let deadline = Deadline { key: "a/1".to_owned(), due_at: 7, payload: "{}".to_owned() };
    let set = std::iter::once(("a/1".to_owned(), Some(deadline))).collect();
    for subscription in [NAME, "a subscriber@item"] {
        ParkedKeys::park(&mut tx, subscription, &parked, Duration::ZERO).await.unwrap();
        ParkedKeys::queue(&mut tx, subscription, "a/1", 3).await.unwrap();
        Deadlines::change(&mut tx, subscription, &set).await.unwrap();
    }
    tx.commit().await.unwrap();
}

/// The numbers of parked keys, queued events and deadlines of a subscription.
async fn left(store: &Store, subscription: &str) -> [usize; 3] {
    let parked = ParkedKeys::new(store.views().clone());
    [
        parked.all(subscription).await.unwrap().len(),
        parked.queued(subscription, "a/1", 9).await.unwrap().len(),
        Deadlines::new(store.views().clone()).all(subscription).await.unwrap().len(),
    ]
}

on_each_engine! {
    async fn log_of_a_service_is_read_in_addition_to_the_own(db: &TestDb) {
        let store = open(db).await;
        let checkpoints = Checkpoints::new(store.views().clone());
        let sources = KnownSources::new(store.views().clone());
        assert_eq!(claimed(&store, store.identity()).await, Claim::Position(0));
        assert_eq!(sources.note("item", &log(7, 1)).await.unwrap(), log(7, 1));
        assert_eq!(claimed(&store, &log(7, 1)).await, Claim::Position(0));
        assert_eq!(claimed(&store, store.identity()).await, Claim::Position(0));
        assert_eq!(checkpoints.others(store.identity()).await.unwrap(), Vec::<String>::new());
        store.require_whole().await.unwrap();

        // A service that has another log now keeps the one that was noted.
        assert_eq!(sources.note("item", &log(8, 1)).await.unwrap(), log(7, 1));
        assert_eq!(claimed(&store, &log(7, 2)).await, Claim::OtherLog(log(7, 1)));
        store.close().await;
    }

    /// Control: a log that is no service's means that the own log was replaced.
    async fn log_that_is_not_noted_is_another_one(db: &TestDb) {
        let store = open(db).await;
        assert_eq!(claimed(&store, &log(7, 1)).await, Claim::Position(0));
        assert_eq!(claimed(&store, store.identity()).await, Claim::OtherLog(log(7, 1)));
        store.require_whole().await.unwrap_err();
        store.close().await;
    }

    async fn declared_restore_forgets_what_was_read_of_other_services(db: &TestDb) {
        let store = open(db).await;
        KnownSources::new(store.views().clone()).note("item", &log(7, 1)).await.unwrap();
        claimed(&store, store.identity()).await;
        claimed(&store, &log(7, 1)).await;
        fill(&store).await;
        store.close().await;
        let restored = Store::restored(&options(db)).await.unwrap();
        assert!(!restored.rebuilds, "what was read of the own log still fits");
        let store = open(db).await;
        assert_eq!(KnownSources::new(store.views().clone()).of("item").await.unwrap(), None);
        let checkpoints = Checkpoints::new(store.views().clone());
        assert_eq!(checkpoints.all(store.identity()).await.unwrap(), [(NAME.to_owned(), 0)]);
        assert_eq!(checkpoints.all(&log(7, 1)).await.unwrap(), []);
        assert_eq!(left(&store, NAME).await, [1, 1, 1]);
        assert_eq!(left(&store, "a subscriber@item").await, [0, 0, 0]);
        store.close().await;
    }
}
