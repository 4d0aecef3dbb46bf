//! A write-once record keeps its value, in every copy of the log.

use crate::support::*;
use gdmarket_store::WriteOnceRecord;
use gdmarket_testkit::on_each_engine;

fn entry(key: &str, value: &str) -> WriteOnceRecord {
    WriteOnceRecord { key: key.to_owned(), value: value.to_owned() }
}

on_each_engine! {
    async fn first_record_of_a_key_is_kept(db: &TestDb) {
        let store = open(db).await;
        let books = store.write_once_records();
        assert_eq!(books.find("book", "b").await.unwrap(), None);
        assert_eq!(books.record("book", &entry("b", "1")).await.unwrap(), "1");
        assert_eq!(books.record("book", &entry("b", "2")).await.unwrap(), "1");
        let some = [entry("z", "3"), entry("b", "4"), entry("a", "'5\u{1f600}\\\"{}")];
        assert_eq!(books.record_all("book", &some).await.unwrap(), 2);
        assert_eq!(books.record_all("book", &some).await.unwrap(), 0);
        let kept = [entry("b", "1"), some[0].clone(), some[2].clone()];
        assert_eq!(books.all("book").await.unwrap(), kept, "in the order of writing");
        assert_eq!(books.all("other").await.unwrap(), []);
        store.close().await;
        let again = open(db).await;
        assert_eq!(again.write_once_records().all("book").await.unwrap(), kept);
        again.close().await;
    }

    /// Two processes write the same key concurrently.
    async fn concurrent_writers_get_the_one_stored_value(db: &TestDb) {
        let stores = [open(db).await, open(db).await];
        for round in 0..50 {
            let key = round.to_string();
            let (one, other) = (entry(&key, "one"), entry(&key, "other"));
            let (one, other) = tokio::join!(
                stores[0].write_once_records().record("book", &one),
                stores[1].write_once_records().record("book", &other)
            );
            assert_eq!(one.unwrap(), other.unwrap(), "{round}");
        }
        assert_eq!(stores[0].write_once_records().all("book").await.unwrap().len(), 50);
        for store in stores {
            store.close().await;
        }
    }
}
