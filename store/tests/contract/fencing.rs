//! A runner that was paused beyond its lease is fenced: it moves no checkpoint, and commits nothing of what it wrote in
//! the same transaction.

use crate::support::open;
use gdmarket_store::{Advance, Checkpoints, Claim, Leases, Store};
use gdmarket_testkit::on_each_engine;
use std::time::Duration;

const NAME: &str = "a subscription";

/// Takes the lease for a duration of zero, so that the next runner can take it over.
async fn takes_over(store: &Store, holder: &str) -> i64 {
    let leases = Leases::new(store.views().clone());
    leases
        .take(NAME, holder, Duration::ZERO)
        .await
        .unwrap()
        .expect("the previous lease has expired")
}

async fn claimed(store: &Store, epoch: i64) -> Claim {
    let checkpoints = Checkpoints::new(store.views().clone());
    checkpoints.claim(NAME, store.identity(), epoch, 0).await.unwrap()
}

/// Tries to move the checkpoint as the runner of this epoch; returns whether it moved.
async fn moves(store: &Store, epoch: i64, from: i64, to: i64) -> bool {
    let mut tx = store.views().begin().await.unwrap();
    let source = store.identity();
    let step = Advance { lease_epoch: epoch, from, to };
    let moved = Checkpoints::advance(&mut tx, NAME, source, step).await.unwrap();
    let ended = if moved { tx.commit().await } else { tx.rollback().await };
    ended.unwrap();
    moved
}

on_each_engine! {
    async fn fenced_runner_writes_nothing(db: &TestDb) {
        let store = open(db).await;
        let late = takes_over(&store, "late").await;
        assert_eq!(claimed(&store, late).await, Claim::Position(0));
        assert!(moves(&store, late, 0, 3).await);
        let next = takes_over(&store, "next").await;
        assert!(next > late);
        assert_eq!(claimed(&store, next).await, Claim::Position(3), "it continues there");

        assert!(!moves(&store, late, 3, 9).await);
        let mut tx = store.views().begin().await.unwrap();
        let held = Checkpoints::hold(&mut tx, NAME, store.identity(), late).await.unwrap();
        tx.rollback().await.unwrap();
        assert_eq!((held, claimed(&store, late).await), (None, Claim::Fenced));
        assert!(!moves(&store, next, 4, 9).await, "the checkpoint is at another position");
        assert!(moves(&store, next, 3, 9).await);
        store.close().await;
    }

    /// Control: a lease without a claim of the checkpoint doesn't stop a former holder.
    async fn former_runner_writes_when_the_checkpoint_is_not_claimed(db: &TestDb) {
        let store = open(db).await;
        let late = takes_over(&store, "late").await;
        assert_eq!(claimed(&store, late).await, Claim::Position(0));
        let next = takes_over(&store, "next").await;
        assert!(next > late);
        assert!(moves(&store, late, 0, 9).await, "nothing stops the former runner");
        store.close().await;
    }
}
