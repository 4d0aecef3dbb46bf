//! Erasure of names on SQLite: the identity guard protects it like every other write to the log, and it blocks no writer.

use crate::support::*;
use gdmarket_store::{PersonalData, Remains, StoreError};
use gdmarket_testkit::{TestDb, eventually, run};
use sqlx::{Executor, Row};
use std::fs;
use std::time::Duration;

/// A time shorter than an erasure waits for readers.
const SOON: Duration = Duration::from_secs(5);

async fn named(store: &gdmarket_store::Store) {
    let name = Some("Kim Minji".to_owned());
    let personal = Some(PersonalData::Of { person_id: 7, name });
    let append = gdmarket_store::Append { personal, ..append(1, 1, 0) };
    store.appender().append(append).await.unwrap();
}

#[test]
fn erasure_in_a_replaced_file_is_refused() {
    run(async {
        let db = TestDb::sqlite();
        let folder = db.folder().unwrap();
        let store = open(&db).await;
        named(&store).await;
        fs::rename(folder.join("log.db"), folder.join("away.db")).unwrap();
        let erased = store.personal_data().erase(7).await;
        assert!(matches!(&erased, Err(StoreError::OtherLog(_))), "{erased:?}");
        let refused = store.appender().append(append(2, 2, 0)).await;
        assert!(refused.is_err(), "{refused:?}");
        store.close().await;
    });
}

/// A transaction reads from the write-ahead log, so the erasure waits for its end.
#[test]
fn appends_continue_while_an_erasure_waits_for_readers() {
    run(async {
        let db = TestDb::sqlite();
        let store = open(&db).await;
        named(&store).await;
        let raw = raw(&db).await;
        let gdmarket_store::Db::Sqlite { read, .. } = &raw else { panic!("SQLite") };
        let mut reader = read.acquire().await.unwrap();
        reader.execute("BEGIN").await.unwrap();
        reader.fetch_one("SELECT count(*) FROM events").await.unwrap();
        let erasing = tokio::spawn({
            let store = store.clone();
            async move { store.personal_data().erase(7).await }
        });
        eventually(SOON, || async {
            let sql = "SELECT count(name) FROM personal_names";
            let names: i64 = read.fetch_one(sql).await.unwrap().get(0);
            if names == 0 { Ok(()) } else { Err(names) }
        })
        .await;
        for command in 2..7_u128 {
            let number = i64::try_from(command).unwrap();
            let appending = store.appender().append(append(command, number, 0));
            let appended = tokio::time::timeout(SOON, appending).await;
            appended.expect("an append does not wait for the reader").unwrap();
            assert!(!erasing.is_finished(), "the erasure still waits for the reader");
        }
        reader.execute("COMMIT").await.unwrap();
        let erased = erasing.await.unwrap().unwrap();
        assert!(!erased.remains.contains(&Remains::WriteAheadLog), "{erased:?}");
        drop(reader);
        raw.close().await;
        store.close().await;
    });
}
