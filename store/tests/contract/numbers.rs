//! Sequences of numbers: each number is allocated once, and prefetched ones are returned.

use crate::support::{LIMIT, NUMBERS, all, append, named, open, raw, spawn_each};
use gdmarket_store::{Raised, Store, on_db};
use gdmarket_testkit::{TestDb, eventually, on_each_engine};
use std::collections::BTreeSet;

/// Allocates `count` numbers concurrently.
async fn allocate_at_once(store: &Store, count: usize) -> Vec<i64> {
    let each = (0..count).map(|_| {
        let store = store.clone();
        async move { store.numbers().allocate("item").await.unwrap() }
    });
    let mut numbers = all(spawn_each(each)).await;
    numbers.sort_unstable();
    numbers
}

/// The last allocated number according to the database.
async fn last(db: &TestDb) -> i64 {
    let sql = "SELECT last FROM numbers WHERE kind = 'item'";
    on_db!(&raw(db).await, pool => sqlx::query_scalar(sql).fetch_one(pool).await).unwrap()
}

on_each_engine! {
    async fn two_stores_allocate_each_number_once(db: &TestDb) {
        let stores = [open(db).await, open(db).await];
        let requests = (0..200_usize).map(|n| {
            let (store, kind) = (stores[n % 2].clone(), if n < 100 { "item" } else { "payment" });
            async move { store.numbers().allocate(kind).await.unwrap() }
        });
        let mut numbers = all(spawn_each(requests)).await;
        let payments = numbers.split_off(100);
        for numbers in [numbers, payments] {
            let different: BTreeSet<i64> = numbers.iter().copied().collect();
            assert_eq!(different.len(), 100, "{numbers:?}");
            assert!(different.first().is_some_and(|first| *first == 1), "{different:?}");
        }
        for store in stores {
            store.close().await;
        }
    }

    async fn single_caller_gets_consecutive_numbers(db: &TestDb) {
        let store = open(db).await;
        for number in 1..=5 {
            assert_eq!(store.numbers().allocate("item").await.unwrap(), number);
            assert_eq!(last(db).await, number, "none is prefetched");
        }
        store.close().await;
    }

    /// Numbers are returned when no more callers wait, and when the store is closed.
    async fn prefetched_numbers_are_returned(db: &TestDb) {
        let store = open(db).await;
        assert_eq!(allocate_at_once(&store, 50).await, (1..=50).collect::<Vec<_>>());
        eventually(LIMIT, async || match last(db).await {
            50 => Ok(()),
            last => Err(last),
        })
        .await;
        assert_eq!(allocate_at_once(&store, 50).await, (51..=100).collect::<Vec<_>>());
        store.close().await;
        assert_eq!(last(db).await, 100);
    }

    /// Allocations of another kind don't prevent the return.
    async fn prefetched_numbers_are_returned_while_others_are_allocated(db: &TestDb) {
        let store = open(db).await;
        allocate_at_once(&store, 50).await;
        eventually(LIMIT, async || {
            store.numbers().allocate("payment").await.unwrap();
            match last(db).await {
                50 => Ok(()),
                last => Err(last),
            }
        })
        .await;
        store.close().await;
    }

    /// Numbers after which another process has allocated some can't be returned, and no caller gets them.
    async fn prefetched_numbers_are_lost_when_another_process_has_allocated_since(db: &TestDb) {
        let [one, other] = [open(db).await, open(db).await];
        let mut allocated = allocate_at_once(&one, 50).await;
        allocated.extend(allocate_at_once(&other, 1).await);
        one.close().await;
        assert_eq!(Some(&last(db).await), allocated.last());
        allocated.extend(allocate_at_once(&other, 300).await);
        let different: BTreeSet<i64> = allocated.iter().copied().collect();
        assert_eq!(different.len(), allocated.len(), "{allocated:?}");
        other.close().await;
    }

    async fn number_that_an_event_names_is_in_use_and_raises_the_sequence(db: &TestDb) {
        let store = open(db).await;
        let is_in_use = async |number| store.numbers().is_in_use(NUMBERS, number).await.unwrap();
        store.appender().append(append(1, 3, 0)).await.unwrap();
        // A value that no version of this program writes doesn't count as a number, and causes no error.
        for (reservation, number) in [(1, "5"), (2, "\"x\""), (3, "1e300"), (4, "null"), (5, "7777777777777777777")] {
            db.log_sql(&named(reservation, number)).await;
        }
        for (number, expected) in [(1, false), (3, true), (4, false), (5, true), (9000, false)] {
            assert_eq!(is_in_use(number).await, expected, "{number}");
        }
        let raised = store.numbers().raise(NUMBERS).await.unwrap();
        assert_eq!(raised, Some(Raised { from: 0, to: 5 }));
        assert_eq!(store.numbers().allocate("number").await.unwrap(), 6);
        assert_eq!(store.numbers().raise(NUMBERS).await.unwrap(), None);
        store.close().await;
    }
}
