//! A market that runs as two processes with a log each: a rental goes through both, without a broker.

use crate::keys_file::{KEYS_FILE, KeysFile};
use gdmarket_testkit::{Server, ServerOptions, TestDb, eventually, on_each_engine};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
/// A port on which nothing listens.
const NOWHERE: &str = "http://127.0.0.1:1";

/// Items and alarms in one process, reservations and payments in the other, on SQLite.
struct TwoProcesses {
    items: Server,
    reservations: Server,
}

fn process(services: &str, file: &KeysFile) -> ServerOptions {
    let options = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket"))
        .variable("GDMARKET__SERVER__SERVICES", services)
        .variable(KEYS_FILE, &file.path());
    let others = ["ITEM", "ALARM", "RESERVATION", "PAYMENT"];
    others.iter().fold(options, |options, name| {
        options.variable(&format!("GDMARKET__SERVICES__{name}__URL"), NOWHERE)
    })
}

impl TwoProcesses {
    /// The items are on the test's engine, the reservations on SQLite.
    async fn start(db: &TestDb, file: &KeysFile) -> Self {
        let mut items = process("item,alarm", file).on(db).start().await;
        let reservations = process("reservation,payment", file)
            .variable("GDMARKET__SERVICES__ITEM__URL", &items.url(""))
            .variable("GDMARKET__SERVICES__ALARM__URL", &items.url(""))
            .start()
            .await;
        for name in ["RESERVATION", "PAYMENT"] {
            let variable = format!("GDMARKET__SERVICES__{name}__URL");
            items.set_variable(&variable, &reservations.url(""));
        }
        items.restart().await;
        Self { items, reservations }
    }

    async fn call(server: &Server, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let call = Client::new().request(method, server.url(path)).json(body);
        let answer = call.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Waits until a field of a resource has this value.
    async fn reaches(server: &Server, path: &str, field: &str, value: &str) {
        eventually(SOON, || async {
            let (_, found) = Self::call(server, Method::GET, path, &json!({})).await;
            if found[field] == value { Ok(()) } else { Err(found) }
        })
        .await;
    }

    async fn register(&self) {
        let item = json!({"itemName": "Camera", "itemPrice": 100});
        let (status, item) = Self::call(&self.items, Method::POST, "/items", &item).await;
        assert_eq!((status, &item["itemNo"]), (201, &json!(1)), "{item}");
    }

    /// Reserves the item; panics unless it is answered with this status.
    async fn request(&self, expected: u16) {
        let request = json!({"customerName": "Kim", "customerId": 7, "itemNo": 1});
        let (status, answer) =
            Self::call(&self.reservations, Method::POST, "/reservations", &request).await;
        assert_eq!(status, expected, "{answer}");
    }

    async fn pay(&self) {
        let path = "/reservations/1/payment";
        let (status, paid) = Self::call(&self.reservations, Method::POST, path, &json!({})).await;
        assert_eq!(status, 200, "{paid}");
    }

    /// Lends as soon as the item has learnt that it is paid.
    async fn lend(&self) {
        eventually(SOON, || async {
            let path = "/items/1/lend";
            match Self::call(&self.items, Method::POST, path, &json!({})).await {
                (200, _) => Ok(()),
                refused => Err(refused),
            }
        })
        .await;
    }
}

on_each_engine! {
    async fn rental_goes_through_two_processes_without_a_broker(db: &TestDb) {
        let file = KeysFile::new("a1");
        let market = TwoProcesses::start(db, &file).await;
        market.register().await;
        market.request(201).await;
        market.pay().await;
        market.lend().await;
        TwoProcesses::reaches(&market.reservations, "/reservations/1", "status", "Renting").await;
        let returned = TwoProcesses::call(&market.items, Method::POST, "/items/1/return", &json!({})).await;
        assert_eq!(returned.0, 200, "{}", returned.1);
        TwoProcesses::reaches(&market.reservations, "/reservations/1", "status", "Completed").await;
    }

    async fn reservation_is_accepted_while_the_item_service_is_down_and_decided_after_its_return(db: &TestDb) {
        let file = KeysFile::new("a1");
        let mut market = TwoProcesses::start(db, &file).await;
        market.register().await;
        market.request(201).await;
        market.items.kill().await;
        market.request(202).await;
        market.items.restart().await;
        TwoProcesses::reaches(&market.reservations, "/reservations/2", "status", "Rejected").await;
    }
}
