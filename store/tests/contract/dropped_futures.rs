//! A caller that goes away, at whatever await, loses nothing and poisons no cache.

use crate::support::*;
use gdmarket_store::{AppendError, Store};
use gdmarket_testkit::on_each_engine;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// Polls a future this often, then drops it; what it returned if it was that fast.
async fn poll_and_drop<F: Future>(future: F, polls: u32) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if left <= 1 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

async fn count_up(store: Store, command: u128) -> Result<i64, AppendError> {
    let loaded = store.aggregates::<Counter>().lock(1).await.unwrap();
    let version = loaded.version();
    let (appended, state) = loaded.append(append(command, 1, version)).await?;
    assert_eq!(state.total, appended.first_sequence);
    Ok(appended.first_sequence)
}

on_each_engine! {
    async fn a_future_dropped_at_any_await_loses_nothing_and_poisons_no_cache(db: &TestDb) {
        let store = open(db).await;
        let mut answered = 0;
        let mut abandoned = 0;
        for command in 1..=300_u128 {
            let polls = u32::try_from(command % 7).unwrap() + 1;
            match poll_and_drop(count_up(store.clone(), command), polls).await {
                Some(Ok(_)) => answered += 1,
                // The one before was abandoned and is written only now.
                Some(Err(AppendError::Conflict)) => {}
                Some(Err(error)) => panic!("{error:?}"),
                None => abandoned += 1,
            }
            let loaded = store.aggregates::<Counter>().lock(1).await.unwrap();
            assert_eq!(loaded.state().total, loaded.version(), "a poisoned cache");
        }
        assert!(abandoned > 50, "{abandoned} were dropped on the way");
        store.close().await;
        let store = open(db).await;
        let log = whole_log(&store).await;
        assert!(log.iter().zip(1..).all(|(event, sequence)| event.sequence == sequence));
        let mut receipts = 0;
        for command in 1..=300 {
            receipts += usize::from(store.receipts().find(id(command)).await.unwrap().is_some());
        }
        assert_eq!(receipts, log.len(), "an event per receipt");
        assert!(log.len() >= answered, "all that was answered is there");
        store.close().await;
    }

    async fn a_begin_that_is_dropped_leaves_the_writer_usable(db: &TestDb) {
        let store = open(db).await;
        for round in 0..200_u32 {
            let mut begin = Box::pin(store.views().begin());
            for _ in 0..=round % 3 {
                let begun = poll_fn(|context| Poll::Ready(begin.as_mut().poll(context))).await;
                // The answer comes in while nobody polls: this is when it used to be lost.
                tokio::time::sleep(Duration::from_micros(u64::from(round) * 5)).await;
                if begun.is_ready() {
                    break;
                }
            }
            drop(begin);
            let tx = store.views().begin().await;
            tx.unwrap_or_else(|error| panic!("after {round} dropped: {error}")).rollback().await.unwrap();
        }
        store.close().await;
    }

    async fn what_was_queued_is_written_though_nobody_waits(db: &TestDb) {
        let store = open(db).await;
        for command in 1..=50_u128 {
            let number = i64::try_from(command).unwrap();
            let appending = store.appender().append(append(command, number, 0));
            drop(poll_and_drop(appending, 1).await);
        }
        store.close().await;
        let store = open(db).await;
        assert_eq!(whole_log(&store).await.len(), 50);
        store.close().await;
    }
}
