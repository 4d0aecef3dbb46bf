//! Views that are copied from another service: loops that have never reached its log say so, damaged rows are read and
//! repaired from there, and a replay compares them with that log.

use gdmarket_testkit::{
    Engine, KeysFile, Server, ServerOptions, SplitMarket, SplitMarketOptions, eventually,
    on_each_engine,
};
use reqwest::Client;
use serde_json::{Value, json};
use std::process::Output;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
/// A port on which nothing listens.
const NOWHERE: &str = "http://127.0.0.1:1";

fn options(services: &str, file: &KeysFile) -> ServerOptions {
    let options = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket"))
        .variable("GDMARKET__SERVER__SERVICES", services)
        .variable(KeysFile::VARIABLE, &file.path());
    let others = ["ITEM", "ALARM", "RESERVATION", "PAYMENT"];
    others.iter().fold(options, |options, name| {
        options.variable(&format!("GDMARKET__SERVICES__{name}__URL"), NOWHERE)
    })
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The state of each loop, by its name.
async fn states(options: &ServerOptions) -> Vec<(String, String)> {
    let shown = options.clone().tool(&["views", "status", "--json"]).await;
    let of = |status: &Value| {
        (status["name"].as_str().unwrap().to_owned(), status["state"].as_str().unwrap().to_owned())
    };
    lines(&shown).iter().map(of).collect()
}

async fn states_are(options: &ServerOptions, expected: &[(&str, &str)]) {
    let expected: Vec<_> =
        expected.iter().map(|(name, state)| ((*name).to_owned(), (*state).to_owned())).collect();
    eventually(SOON, || async {
        let states = states(options).await;
        if states == expected { Ok(()) } else { Err(states) }
    })
    .await;
}

async fn post(server: &Server, path: &str, body: Value) -> u16 {
    Client::new().post(server.url(path)).json(&body).send().await.unwrap().status().as_u16()
}

/// The value of a metric with these labels.
async fn metric(server: &Server, line: &str) -> Option<f64> {
    let metrics = Client::new().get(server.url("/metrics")).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let found = metrics.lines().find_map(|of| of.strip_prefix(line));
    found.map(|value| value.trim().parse().unwrap())
}

on_each_engine! {
    async fn loop_that_never_reached_its_source_says_so_and_its_damaged_rows_come_from_there(db: &TestDb) {
        let file = KeysFile::new("a1");
        let of_reservations = options("reservation,payment", &file).on(db);
        let mut reservations = of_reservations.clone().start().await;
        states_are(&of_reservations, &[
            ("item_info_v4@item", "waits-for-source"),
            ("payments_v3", "running"),
            ("reservations_v3", "running"),
            ("payment_process", "running"),
            ("reservation_process", "running"),
            ("reservation_process@item", "waits-for-source"),
        ]).await;
        let shown = of_reservations.clone().tool(&["views", "status"]).await;
        let text = String::from_utf8_lossy(&shown.stdout);
        assert!(text.contains("waits for item"), "{text}");
        assert!(text.contains("item_info_v4@item is blocked since") && text.contains(NOWHERE), "{text}");
        for loop_name in ["item_info_v4", "reservation_process"] {
            let labels = format!("{{subscription=\"{loop_name}\",source=\"item\"}}");
            let line = format!("gdmarket_projection_lag_seconds{labels}");
            eventually(SOON, || async {
                let lag = metric(&reservations, &line).await;
                if lag.is_some_and(|lag| lag > 0.0) { Ok(()) } else { Err(lag) }
            })
            .await;
        }

        // The items don't hear of reservations, so that these stay undecided, and only the copied item says
        // who its owner is, who sees the renter's name.
        let of_items = options("item,alarm", &file);
        let mut items = of_items.start().await;
        reservations.set_variable("GDMARKET__SERVICES__ITEM__URL", &items.url(""));
        reservations.restart().await;
        states_are(&of_reservations, &[
            ("item_info_v4@item", "running"),
            ("payments_v3", "running"),
            ("reservations_v3", "running"),
            ("payment_process", "running"),
            ("reservation_process", "running"),
            ("reservation_process@item", "running"),
        ]).await;
        let item = json!({"itemName": "Camera", "itemPrice": 100, "ownerId": 10});
        assert_eq!(post(&items, "/items", item).await, 201);
        let request = json!({"customerName": "Kim", "customerId": 7, "itemNo": 1});
        assert_eq!(post(&reservations, "/reservations", request).await, 202);
        let name_for_owner = async || {
            let read = Client::new().get(reservations.url("/reservations/1"));
            let answer = read.header("x-gdmarket-actor", "owner:10").send().await.unwrap();
            assert_eq!(answer.status().as_u16(), 200);
            answer.json::<Value>().await.unwrap()["customerName"].clone()
        };
        let owner_sees_name = async || {
            eventually(SOON, || async {
                let name = name_for_owner().await;
                if name == "Kim" { Ok(()) } else { Err(name) }
            })
            .await;
        };
        owner_sees_name().await;
        let damage = "UPDATE view_item_info_v4 SET doc = '{oops', sequence = 77 WHERE no = 1";
        let damaged = "SELECT count(*) FROM view_item_info_v4 WHERE doc = '{oops'";
        db.views_sql(damage).await;
        assert_eq!(name_for_owner().await, "Kim", "its stream says who the owner is");
        let is_repaired = async || {
            eventually(SOON, || async {
                let rows = db.views_number(damaged).await;
                if rows == 0 { Ok(()) } else { Err(rows) }
            })
            .await;
        };
        is_repaired().await;
        items.kill().await;
        db.views_sql(damage).await;
        assert_eq!(name_for_owner().await, Value::Null, "nobody knows it now, and the answer doesn't fail");
        items.restart().await;
        owner_sees_name().await;
        is_repaired().await;
    }
}

async fn replay(market: &SplitMarket, arguments: &[&str]) -> (Option<i32>, Value, String) {
    let all: Vec<&str> = ["replay"].iter().chain(arguments).copied().collect();
    let output = market.tool("reservation", &all).await;
    let notes = String::from_utf8_lossy(&output.stderr).into_owned();
    let last = lines_or_text(&output).pop().unwrap_or_default();
    (output.status.code(), last, notes)
}

fn lines_or_text(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| json!(line))).collect()
}

#[tokio::test]
async fn copied_view_is_verified_against_the_log_of_its_service() {
    let mut market = SplitMarketOptions::new(env!("CARGO_BIN_EXE_gdmarket"))
        .process("item,alarm", Engine::Sqlite)
        .process("reservation,payment", Engine::Sqlite)
        .start()
        .await;
    for _ in 0..3 {
        let item = json!({"itemName": "Camera", "itemPrice": 100});
        assert_eq!(post(market.server("item"), "/items", item).await, 201);
    }
    let head = market.db("item").head().await;
    eventually(SOON, || async {
        let (code, replayed, notes) = replay(&market, &["item-info", "--verify", "--json"]).await;
        assert_eq!(code, Some(0), "{notes}");
        let replayed = &replayed["replayed"];
        if replayed["comparedAtOthers"]["item"] == head { Ok(()) } else { Err(replayed.clone()) }
    })
    .await;
    let (code, text, _) = replay(&market, &["item-info", "--verify"]).await;
    let equal = format!("all rows (3) are equal at position {head} of item");
    assert!(code == Some(0) && text.as_str().unwrap().contains(&equal), "{text}");
    let damage = "UPDATE view_item_info_v4 SET doc = replace(doc, 'Camera', 'Boat') WHERE no = 2";
    market.db("reservation").views_sql(damage).await;
    let (code, replayed, notes) = replay(&market, &["item-info", "--verify", "--json"]).await;
    assert_eq!((code, &replayed["replayed"]["differing"]), (Some(4), &json!(1)), "{notes}");
    let check = market.tool("reservation", &["check", "--json"]).await;
    assert_eq!(lines(&check)[0]["notCompared"], json!(["item-info"]));
    let check = market.tool("reservation", &["check"]).await;
    let notes = String::from_utf8_lossy(&check.stderr);
    assert!(notes.contains("Not compared: the view item-info"), "{notes}");
    let (code, _, notes) = replay(&market, &["item-info", "--promote"]).await;
    assert_eq!(code, Some(0), "{notes}");
    let (code, ..) = replay(&market, &["item-info", "--verify"]).await;
    assert_eq!(code, Some(0));

    let url = market.url("item", "");
    market.kill("item").await;
    let (code, _, notes) = replay(&market, &["item-info", "--verify"]).await;
    assert_eq!(code, Some(3), "{notes}");
    assert!(
        notes.contains("the log of the service item can't be read") && notes.contains(&url),
        "{notes}"
    );
    let (code, _, notes) = replay(&market, &["reservations", "--verify"]).await;
    assert_eq!(code, Some(0), "a view of the own log needs no other service: {notes}");
}
