//! The contents of the log and of the gateway's ledger, read from the database next to the running servers.

use gdmarket_simulators::{LedgerEntry, read_ledger};
use gdmarket_store::{RecordedEvent, Store, StoreOptions};
use gdmarket_testkit::{LogEvent, ProviderEntry, StreamName, TestDb};

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

/// The same entries in the shape of a payment provider's books.
pub(crate) async fn provider_entries(db: &TestDb) -> Vec<ProviderEntry> {
    let entry = |entry: LedgerEntry| match entry {
        LedgerEntry::Charge { key, payment_no, amount } => {
            ProviderEntry::Charge { key, payment_no: payment_no.get(), amount: amount.won() }
        }
        LedgerEntry::Refund { key } => ProviderEntry::Refund { key },
    };
    read_gateway_ledger(db).await.into_iter().map(entry).collect()
}

/// All events, in order, as the program itself reads them.
pub(crate) async fn whole_log(db: &TestDb) -> Vec<LogEvent> {
    let store = open(db).await;
    let mut log: Vec<RecordedEvent> = Vec::new();
    loop {
        let after = log.last().map_or(0, |event| event.position);
        let batch = store.log().read_after(after, 1000).await.unwrap();
        if batch.is_empty() {
            store.close().await;
            return log.into_iter().map(log_event).collect();
        }
        log.extend(batch);
    }
}

fn log_event(event: RecordedEvent) -> LogEvent {
    LogEvent {
        position: event.position,
        stream: StreamName::new(&event.stream.kind, event.stream.number),
        sequence: event.sequence,
        event_type: event.event_type,
        event_version: event.event_version,
        payload: event.payload,
        metadata: event.metadata,
        recorded_at: event.recorded_at,
    }
}
