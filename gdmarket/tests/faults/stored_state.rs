//! The contents of the log and of the gateway's ledger, read from the database next to the running servers.

use gdmarket_simulators::{LedgerEntry, read_ledger};
use gdmarket_store::{RecordedEvent, Store, StoreOptions};
use gdmarket_testkit::TestDb;

async fn open(db: &TestDb) -> Store {
    let options = StoreOptions { url: db.url().to_owned(), ..StoreOptions::default() };
    Store::open(&options).await.unwrap()
}

/// All charges and refunds of the gateway, in order.
pub(crate) async fn read_gateway_ledger(db: &TestDb) -> Vec<LedgerEntry> {
    let store = open(db).await;
    let entries = read_ledger(store.write_once_records()).await.unwrap();
    store.close().await;
    entries
}

/// All events, in order.
pub(crate) async fn whole_log(db: &TestDb) -> Vec<RecordedEvent> {
    let store = open(db).await;
    let mut log: Vec<RecordedEvent> = Vec::new();
    loop {
        let after = log.last().map_or(0, |event| event.position);
        let batch = store.log().read_after(after, 1000).await.unwrap();
        if batch.is_empty() {
            store.close().await;
            return log;
        }
        log.extend(batch);
    }
}
