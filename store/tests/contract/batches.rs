//! A conflict, gap, duplicate or invalid value in a batch fails only its own command.

use crate::support::*;
use gdmarket_store::{AppendError, MAX_METADATA, MAX_PAYLOAD, on_db};
use gdmarket_testkit::{Engine, on_each_engine};

on_each_engine! {
    async fn other_commands_of_a_batch_with_a_conflict_a_nul_and_a_duplicate_commit(db: &TestDb) {
        let store = open(db).await;
        store.appender().append(append(1, 1, 0)).await.unwrap();
        store.appender().append(append(2, 2, 0)).await.unwrap();
        let mut nul = append(103, 103, 0);
        nul.events[0].payload = "{\"Counted\":\"\\u0000\"}".to_owned();
        let mut others: Vec<_> = (10..=40).map(|n| append(n, i64::try_from(n).unwrap(), 0)).collect();
        // In the middle of the batch are a conflict, a duplicate, a gap and a NUL.
        others.splice(15..15, [append(101, 1, 0), append(2, 102, 0), append(104, 3, 5), nul]);
        let answers = at_once(&store, others).await;
        assert_eq!(answers[15], Err(AppendError::Conflict));
        assert!(matches!(&answers[16], Err(AppendError::Duplicate(receipt)) if receipt.stream == stream(2)));
        assert_eq!(answers[17], Err(AppendError::Gap));
        assert!(matches!(answers[18], Err(AppendError::Rejected(_))));
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 31);
        let log = whole_log(&store).await;
        assert_eq!(log.len(), 33);
        let mut acknowledged: Vec<i64> = answers.into_iter().flatten().map(|a| a.position).collect();
        acknowledged.sort_unstable();
        assert_eq!(acknowledged, positions(&log[2..]));
        for (refused, number) in [(101, 1), (104, 3), (103, 103)] {
            assert_eq!(store.receipts().find(id(refused)).await.unwrap(), None, "{number}");
        }
        store.close().await;
    }

    /// The value passes the checks in Rust and the engine refuses it, so each command is tried alone.
    async fn value_that_only_the_database_refuses_fails_its_command_alone(db: &TestDb) {
        let store = open(db).await;
        let refuse_50 = match db.engine() {
            Engine::Postgres => "ALTER TABLE events ADD CHECK (aggregate_id <> '50')",
            Engine::Sqlite => {
                "CREATE TRIGGER refuse BEFORE INSERT ON events WHEN NEW.aggregate_id = '50' \
                 BEGIN SELECT raise(ABORT, 'refused'); END"
            }
        };
        on_db!(write &raw(db).await, pool => {
            sqlx::query(refuse_50).execute(pool).await.unwrap();
        });
        let mut others: Vec<_> = (1..=20).map(|n| append(n, i64::try_from(n).unwrap(), 0)).collect();
        others.insert(10, append(50, 50, 0));
        let answers = at_once(&store, others).await;
        assert!(matches!(answers[10], Err(AppendError::Rejected(_))), "{:?}", answers[10]);
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 20);
        assert_eq!(whole_log(&store).await.len(), 20);
        store.close().await;
    }

    async fn oversized_command_is_refused_before_the_queue(db: &TestDb) {
        let store = open(db).await;
        let mut payload = append(1, 1, 0);
        payload.events[0].payload = format!("\"{}\"", "x".repeat(MAX_PAYLOAD));
        let mut metadata = append(2, 2, 0);
        metadata.metadata = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_METADATA));
        let mut json = append(3, 3, 0);
        json.events[0].payload = "{".to_owned();
        for refused in [payload, metadata, json] {
            let answer = store.appender().append(refused).await;
            assert!(matches!(answer, Err(AppendError::Rejected(_))), "{answer:?}");
        }
        let mut fits = append(4, 4, 0);
        fits.events[0].payload = format!("\"{}\"", "x".repeat(MAX_PAYLOAD - 2));
        let big = vec![fits.clone(), append(5, 5, 0), { fits.command_id = id(6); fits.stream = stream(6); fits }];
        assert!(at_once(&store, big).await.iter().all(Result::is_ok));
        assert_eq!(whole_log(&store).await.len(), 3);
        store.close().await;
    }

    async fn commands_of_one_stream_keep_their_order_across_batches(db: &TestDb) {
        let store = open(db).await;
        let appends = (0..50).map(|n| append(n, 1, i64::try_from(n).unwrap())).collect();
        let answers = at_once(&store, appends).await;
        for (n, answer) in (1..).zip(answers) {
            assert_eq!(answer.unwrap().first_sequence, n);
        }
        let log = whole_log(&store).await;
        assert!(log.iter().zip(1..).all(|(event, sequence)| event.sequence == sequence));
        store.close().await;
    }

    async fn gap_is_refused(db: &TestDb) {
        let store = open(db).await;
        assert_eq!(store.appender().append(append(1, 1, 1)).await, Err(AppendError::Gap));
        store.appender().append(append(2, 1, 0)).await.unwrap();
        assert_eq!(store.appender().append(append(3, 1, 2)).await, Err(AppendError::Gap));
        store.appender().append(append(3, 1, 1)).await.unwrap();
        assert_eq!(whole_log(&store).await.len(), 2);
        store.close().await;
    }
}
