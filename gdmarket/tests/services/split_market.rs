//! A market that runs as two processes with a log each: a rental goes through both, without a broker.

use gdmarket_testkit::{
    Engine, Server, SplitMarket, SplitMarketOptions, eventually, on_each_engine,
};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// Items and alarms in one process, reservations and payments in the other, on SQLite.
struct TwoProcesses(SplitMarket);

impl TwoProcesses {
    /// The items are on the test's engine, the reservations on SQLite.
    async fn start(engine: Engine) -> Self {
        let market = SplitMarketOptions::new(env!("CARGO_BIN_EXE_gdmarket"))
            .process("item,alarm", engine)
            .process("reservation,payment", Engine::Sqlite);
        Self(market.start().await)
    }

    fn items(&self) -> &Server {
        self.0.server("item")
    }

    fn reservations(&self) -> &Server {
        self.0.server("reservation")
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

    /// Waits until `/capabilities` says this of these commands; returns all that it says.
    async fn forecasts<const N: usize>(
        server: &Server,
        commands: [&str; N],
        expected: [&str; N],
    ) -> Value {
        eventually(SOON, || async {
            let (_, known) = Self::call(server, Method::GET, "/capabilities", &json!({})).await;
            let is_expected = commands
                .iter()
                .zip(expected)
                .all(|(command, expected)| known["commands"][command]["now"] == expected);
            if is_expected { Ok(known) } else { Err(known) }
        })
        .await
    }

    async fn register(&self) {
        let item = json!({"itemName": "Camera", "itemPrice": 100});
        let (status, item) = Self::call(self.items(), Method::POST, "/items", &item).await;
        assert_eq!((status, &item["itemNo"]), (201, &json!(1)), "{item}");
    }

    /// Reserves the item; panics unless it is answered with this status.
    async fn request(&self, expected: u16) {
        let request = json!({"customerName": "Kim", "customerId": 7, "itemNo": 1});
        let (status, answer) =
            Self::call(self.reservations(), Method::POST, "/reservations", &request).await;
        assert_eq!(status, expected, "{answer}");
    }

    async fn pay(&self) {
        let path = "/reservations/1/payment";
        let (status, paid) = Self::call(self.reservations(), Method::POST, path, &json!({})).await;
        assert_eq!(status, 200, "{paid}");
    }

    /// Lends as soon as the item has learnt that it is paid.
    async fn lend(&self) {
        eventually(SOON, || async {
            let path = "/items/1/lend";
            match Self::call(self.items(), Method::POST, path, &json!({})).await {
                (200, _) => Ok(()),
                refused => Err(refused),
            }
        })
        .await;
    }
}

on_each_engine! {
    async fn rental_goes_through_two_processes_without_a_broker(db: &TestDb) {
        let market = TwoProcesses::start(db.engine()).await;
        market.register().await;
        market.request(201).await;
        market.pay().await;
        market.lend().await;
        TwoProcesses::reaches(market.reservations(), "/reservations/1", "status", "Renting").await;
        let returned = TwoProcesses::call(market.items(), Method::POST, "/items/1/return", &json!({})).await;
        assert_eq!(returned.0, 200, "{}", returned.1);
        TwoProcesses::reaches(market.reservations(), "/reservations/1", "status", "Completed").await;
    }

    async fn capabilities_say_which_command_works_while_a_service_is_down(db: &TestDb) {
        let mut market = TwoProcesses::start(db.engine()).await;
        let commands = ["registerItem", "lendItem", "reserve"];
        let all_work = ["works", "works", "notServedHere"];
        let without_reservations = ["works", "accepted", "notServedHere"];
        TwoProcesses::forecasts(market.items(), commands, all_work).await;
        market.0.kill("reservation").await;
        let known = TwoProcesses::forecasts(market.items(), commands, without_reservations).await;
        let reservation = &known["services"]["reservation"];
        assert_eq!(reservation["state"], "unreachable", "{known}");
        assert_eq!(known["services"]["alarm"]["state"], "here", "{known}");
        assert!(!known.to_string().contains("127.0.0.1"), "no caller sees an address: {known}");
        let reason = &known["commands"]["lendItem"]["reasons"][0];
        assert_eq!((&reason["service"], &reason["code"]), (&json!("reservation"), &json!("unreachable")));
        assert!(reason["since"].is_string(), "{reason}");
        assert_eq!(reason["since"], reservation["since"], "{known}");
        market.0.restart("reservation").await;
        TwoProcesses::forecasts(market.items(), commands, all_work).await;
    }

    async fn reservation_is_accepted_while_the_item_service_is_down_and_decided_after_its_return(db: &TestDb) {
        let mut market = TwoProcesses::start(db.engine()).await;
        market.register().await;
        market.request(201).await;
        market.0.kill("item").await;
        market.request(202).await;
        market.0.restart("item").await;
        TwoProcesses::reaches(market.reservations(), "/reservations/2", "status", "Rejected").await;
    }
}
