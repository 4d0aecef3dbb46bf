//! Two hundred renters reserve one item at the same moment: one gets it.

use crate::stored_state::whole_log;
use futures::future::join_all;
use gdmarket_store::{
    Append, AppendError, NewEvent, ReceiptKind, RecordedEvent, Store, StoreOptions, StreamId,
};
use gdmarket_testkit::{LogEvent, MarketClient, ServerOptions, on_each_engine, times};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::Barrier;
use uuid::Uuid;

/// Renters of one item at once, and the number of items.
const RENTERS: i64 = 200;
const ROUNDS: usize = 20;
/// Renters who hold the item without deciding again after a conflict.
const INSISTENT: i64 = 10;
const STOPS_WITHIN: Duration = Duration::from_secs(20);

on_each_engine! {
    async fn one_of_two_hundred_concurrent_renters_gets_the_item(db: &TestDb) {
        let server = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket")).on(db).start().await;
        let market = MarketClient::at(&server.url(""));
        for round in 0..times(ROUNDS) {
            let item = market.register(100).await;
            let gate = Barrier::new(usize::try_from(RENTERS).unwrap());
            let answers = join_all((1..=RENTERS).map(|customer| {
                let (gate, market) = (&gate, &market);
                async move {
                    gate.wait().await;
                    market.reserve(item, customer).await
                }
            }))
            .await;
            let mut counted: BTreeMap<(u16, String), usize> = BTreeMap::new();
            for answer in answers {
                *counted.entry((answer.status, answer.code().to_owned())).or_default() += 1;
            }
            let expected =
                BTreeMap::from([((201, String::new()), 1), ((409, "item-taken".to_owned()), 199)]);
            assert_eq!(counted, expected, "round {round}");
        }
        let (held, twice) = held_items(&whole_log(db).await);
        assert_eq!((held.len(), twice.len()), (times(ROUNDS), 0), "{twice:?}");
    }

    /// All decide once, on the same state of the item, and only change the expected version after a conflict.
    async fn control_without_deciding_again_several_renters_get_the_item(db: &TestDb) {
        let mut server = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket")).on(db).start().await;
        let item = MarketClient::at(&server.url("")).register(100).await;
        server.terminate().await;
        assert!(server.wait(STOPS_WITHIN).await.success());
        let options = StoreOptions { url: db.url().to_owned(), ..StoreOptions::default() };
        let store = Store::open(&options).await.unwrap();
        let past = store.log().stream(&StreamId::new("item", item), 0).await.unwrap();
        let registered = past.last().unwrap();
        join_all((1..=INSISTENT).map(|renter| hold_regardless(&store, registered, renter))).await;
        store.close().await;
        let (_, twice) = held_items(&whole_log(db).await);
        assert_eq!(twice, BTreeSet::from([item]));
    }
}

/// The items that are held, and those that are held twice; none is released in these tests.
fn held_items(log: &[LogEvent]) -> (BTreeSet<i64>, BTreeSet<i64>) {
    let (mut held, mut twice) = (BTreeSet::new(), BTreeSet::new());
    for event in log.iter().filter(|event| event.event_type == "ItemHeld") {
        if !held.insert(event.stream.number) {
            twice.insert(event.stream.number);
        }
    }
    (held, twice)
}

/// Holds an item that was free, regardless of what happened since.
async fn hold_regardless(store: &Store, registered: &RecordedEvent, renter: i64) {
    let held = json!({"ItemHeld": {
        "itemNo": registered.stream.number, "reservationNo": renter, "renterId": renter, "ownerId": null,
        "period": null, "from": "2027-01-05", "itemName": "Camera", "itemPrice": 100,
    }});
    let event = NewEvent {
        event_type: "ItemHeld".to_owned(),
        event_version: "1".to_owned(),
        payload: held.to_string(),
    };
    let mut append = Append {
        command_id: Uuid::from_u128(u128::try_from(renter).unwrap()),
        fingerprint: vec![],
        stream: registered.stream.clone(),
        expected: registered.sequence,
        events: vec![event],
        metadata: "{}".to_owned(),
        kind: ReceiptKind::Done,
        personal: None,
    };
    while let Err(error) = store.appender().append(append.clone()).await {
        assert_eq!(error, AppendError::Conflict);
        append.expected += 1;
    }
}
