//! Two servers with caches of their own change the same items: every success is an event, and no request is refused
//! because the cache of its server is older.

use crate::stored_state::whole_log;
use futures::future::join_all;
use gdmarket_testkit::{MarketClient, Server, ServerOptions, TestDb, run, times};
use reqwest::{Client, Method, Response};
use serde_json::json;

const ITEMS: i64 = 3;
const CALLERS: usize = 8;
const CHANGES: usize = 25;
const ROUNDS: usize = 30;

async fn two_servers(db: &TestDb) -> [Server; 2] {
    let options = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket")).on(db);
    [options.clone().start().await, options.start().await]
}

/// Changes the price of one item after another, and returns the number of successes.
async fn change_prices(market: &MarketClient, caller: usize) -> usize {
    let mut done = 0;
    for (change, item) in (0..times(CHANGES)).zip((1..=ITEMS).cycle()) {
        let price = json!({"itemPrice": 1 + caller * CHANGES + change});
        let answer = market.send(Method::PATCH, &format!("/items/{item}"), Some(price), None).await;
        match answer.expect("an answer") {
            answer if answer.status == 200 => done += 1,
            // All attempts met conflicts with other callers.
            answer => assert_eq!((answer.status, answer.code()), (503, "busy"), "{answer:?}"),
        }
    }
    done
}

#[test]
fn concurrent_changes_through_two_servers_are_each_in_the_log_once() {
    run(async {
        let db = TestDb::postgres().await;
        let servers = two_servers(&db).await;
        let markets = servers.each_ref().map(|server| MarketClient::at(&server.url("")));
        for _ in 0..ITEMS {
            markets[0].register(1_000_000).await;
        }
        let callers = (0..CALLERS).map(|caller| change_prices(&markets[caller % 2], caller));
        let done: usize = join_all(callers).await.into_iter().sum();
        let log = whole_log(&db).await;
        let changed = log.iter().filter(|event| event.event_type == "ItemChanged").count();
        assert_eq!(changed, done);
        assert!(done > CALLERS, "{done} changes are too few for conflicts");
    });
}

/// Changes the item's price if it has this version.
async fn change_version(server: &Server, etag: &str, price: usize) -> Response {
    let request = Client::new().patch(server.url("/items/1")).header("if-match", etag);
    request.json(&json!({"itemPrice": price})).send().await.expect("an answer")
}

/// The precondition names a version that the other server made and this one doesn't have in its cache.
#[test]
fn version_made_by_the_other_server_is_accepted() {
    run(async {
        let db = TestDb::postgres().await;
        let servers = two_servers(&db).await;
        MarketClient::at(&servers[0].url("")).register(100).await;
        let mut etag = "\"1\"".to_owned();
        for round in 0..times(ROUNDS) {
            let (server, other) = (&servers[round % 2], &servers[(round + 1) % 2]);
            let changed = change_version(server, &etag, 200 + round).await;
            assert_eq!(changed.status(), 200, "round {round}: {:?}", changed.text().await);
            // Control: the older version is refused by both.
            for server in [server, other] {
                let stale = change_version(server, &etag, 1).await;
                assert_eq!(stale.status(), 412, "round {round}");
            }
            etag = changed.headers()["etag"].to_str().expect("an ETag").to_owned();
        }
    });
}
