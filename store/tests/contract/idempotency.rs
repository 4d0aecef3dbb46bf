//! A repeated command has one effect, and every caller gets the same answer.

use crate::support::*;
use gdmarket_store::{AppendError, Receipt, Store};
use gdmarket_testkit::on_each_engine;

/// The receipt that a caller gets, whichever caller appended. A command that wasn't done is sent again.
pub(crate) async fn final_receipt(
    store: Store,
    append: gdmarket_store::Append,
) -> Result<Receipt, AppendError> {
    let receipt = Receipt {
        command_id: append.command_id,
        fingerprint: append.fingerprint.clone(),
        stream: append.stream.clone(),
        first_sequence: append.expected + 1,
        count: 1,
        kind: append.kind.clone(),
    };
    loop {
        match store.appender().append(append.clone()).await {
            Ok(_) => return Ok(receipt),
            Err(AppendError::Duplicate(receipt)) => return Ok(receipt),
            Err(AppendError::Unavailable(_)) => {}
            Err(error) => return Err(error),
        }
    }
}

on_each_engine! {
    async fn command_sent_fifty_times_at_once_over_two_stores_happens_once(db: &TestDb) {
        let stores = [open(db).await, open(db).await];
        for round in 0..10_u128 {
            let sending = (0..50).map(|n| {
                let number = i64::try_from(round + 1).unwrap();
                final_receipt(stores[n % 2].clone(), append(round, number, 0))
            });
            let answers = all(spawn_each(sending)).await;
            assert_eq!(answers.len(), 50);
            let is_first = |answer: &Result<_, _>| answer.is_ok() && *answer == answers[0];
            assert!(answers.iter().all(is_first), "{answers:?}");
            assert_eq!(whole_log(&stores[0]).await.len(), usize::try_from(round).unwrap() + 1);
        }
        for store in stores {
            store.close().await;
        }
    }

    /// An id is reused on another stream or with another fingerprint. The first command is kept, and its receipt shows
    /// the caller that the id was reused.
    async fn reused_id_is_answered_with_its_first_receipt(db: &TestDb) {
        let store = open(db).await;
        store.appender().append(append(1, 1, 0)).await.unwrap();
        let mut other = append(1, 2, 0);
        other.fingerprint = vec![9; 32];
        match store.appender().append(other).await {
            Err(AppendError::Duplicate(receipt)) => {
                assert_eq!((receipt.stream, receipt.fingerprint), (stream(1), vec![7; 32]));
            }
            answer => panic!("{answer:?}"),
        }
        assert_eq!(whole_log(&store).await.len(), 1);
        store.close().await;
    }

    /// Control: without its receipt the same command happens twice.
    async fn repeat_happens_again_without_receipts(db: &TestDb) {
        let store = open(db).await;
        store.appender().append(append(1, 1, 0)).await.unwrap();
        gdmarket_store::on_db!(write &raw(db).await, pool => {
            sqlx::query("DELETE FROM receipts").execute(pool).await.unwrap();
        });
        store.appender().append(append(1, 1, 1)).await.unwrap();
        assert_eq!(whole_log(&store).await.len(), 2);
        store.close().await;
    }
}
