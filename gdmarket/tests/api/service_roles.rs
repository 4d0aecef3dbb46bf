//! Processes that run some of the services: each has the routes and loops of its own services, names the service of any
//! other route, and refuses what needs a service that it can't call.

use crate::command_line::{PROGRAM, errors, folder, run};
use crate::tools::{Tools, send};
use gdmarket_domain::Services;
use gdmarket_testkit::{KeysFile, Server, ServerOptions, TestDb, eventually, on_each_engine};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

/// A port on which nothing listens.
const NOWHERE: &str = "http://127.0.0.1:1";

/// A route of each kind, with its service.
const ROUTES: [(&str, Method, &str); 17] = [
    ("item", Method::GET, "/items"),
    ("item", Method::POST, "/items"),
    ("item", Method::GET, "/items/1"),
    ("item", Method::DELETE, "/items/1"),
    ("item", Method::GET, "/items/1/calendar"),
    ("item", Method::POST, "/items/1/lend"),
    ("item", Method::GET, "/itemInfoes"),
    ("item", Method::GET, "/itemInfoes/1"),
    ("reservation", Method::GET, "/reservations"),
    ("reservation", Method::POST, "/reservations"),
    ("reservation", Method::PATCH, "/reservations/1"),
    ("reservation", Method::POST, "/reservations/1/payment"),
    ("reservation", Method::POST, "/reservations/1/payment/cancel"),
    ("reservation", Method::GET, "/reservations/1/trace"),
    ("payment", Method::GET, "/payments"),
    ("payment", Method::GET, "/payments/1"),
    ("alarm", Method::GET, "/alarms/"),
];

/// The loops on a service's own log by the names that `views status` shows, without the versions of views. Those on
/// the logs of others wait here: no other service runs.
const LOOPS: [(&str, &[&str]); 4] = [
    ("item", &["item_info", "holding", "abandonment"]),
    ("reservation", &["reservations", "reservation_process"]),
    ("payment", &["payments", "payment_process"]),
    ("alarm", &["alarms", "alarm_saga"]),
];

/// The views of each service, its copies of others' among them.
const VIEWS: [(&str, &[&str]); 4] = [
    ("item", &["item_info", "alarms"]),
    ("reservation", &["reservations", "item_info"]),
    ("payment", &["payments"]),
    ("alarm", &["alarms", "item_info"]),
];

/// The variables of a process with these services.
fn variables(services: &str, keys: &KeysFile) -> Vec<(String, String)> {
    let mut variables = vec![
        ("GDMARKET__SERVER__SERVICES".to_owned(), services.to_owned()),
        (KeysFile::VARIABLE.to_owned(), keys.path()),
    ];
    for service in ["ITEM", "RESERVATION", "PAYMENT", "ALARM"] {
        variables.push((format!("GDMARKET__SERVICES__{service}__URL"), NOWHERE.to_owned()));
    }
    variables
}

/// A running process with some services on a test's database.
struct Process<'a> {
    db: &'a TestDb,
    services: &'static str,
    server: Server,
    folder: tempfile::TempDir,
    keys: KeysFile,
}

impl<'a> Process<'a> {
    async fn start(db: &'a TestDb, services: &'static str) -> Self {
        let keys = KeysFile::new("a1");
        let variables = variables(services, &keys);
        let options = ServerOptions::new(PROGRAM).on(db);
        let options =
            variables.iter().fold(options, |options, (name, value)| options.variable(name, value));
        Self { db, services, server: options.start().await, folder: folder(), keys }
    }

    fn runs(&self, service: &str) -> bool {
        self.services.split(',').any(|own| own == service)
    }

    /// Runs a tool with the configuration of the process.
    fn tool(&self, line: &str) -> std::process::Output {
        let place = Tools { db: self.db }.place();
        let words: Vec<&str> = line.split(' ').chain(place.iter().map(String::as_str)).collect();
        let variables = variables(self.services, &self.keys);
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        run(self.folder.path(), &words, &variables)
    }

    async fn answer(&self, method: Method, path: &str) -> (u16, Value) {
        let call = Client::new().request(method, self.server.url(path)).json(&json!({}));
        let answer = call.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let body = answer.text().await.expect("a body");
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    /// Routes of its services answer, every other one names its service.
    async fn serves_its_routes(&self) {
        for (service, method, path) in ROUTES {
            let (status, body) = self.answer(method.clone(), path).await;
            let is_elsewhere = body["code"] == "not-served-here";
            assert_eq!(is_elsewhere, !self.runs(service), "{method} {path}: {status} {body}");
            if is_elsewhere {
                assert_eq!(status, 404);
                let detail = body["detail"].as_str().expect("a detail");
                assert!(detail.contains(&format!("service {service} ")), "{detail}");
                assert!(!detail.contains(NOWHERE), "{detail}");
            }
        }
        for path in ["/livez", "/readyz", "/metrics", "/docs", "/openapi.json", "/capabilities"] {
            assert_eq!(self.answer(Method::GET, path).await.0, 200, "{path}");
        }
        let (_, root) = self.answer(Method::GET, "/").await;
        for (service, link) in
            [("item", "itemInfoes"), ("payment", "payments"), ("alarm", "alarms")]
        {
            assert_eq!(root["_links"].get(link).is_some(), self.runs(service), "{link}: {root}");
        }
        let (_, body) = self.answer(Method::GET, "/nothing").await;
        assert_eq!(body["code"], "not-found");
    }

    /// The loops of its services run, and no other.
    async fn runs_its_loops(&self) {
        let own = LOOPS.iter().filter(|(service, _)| self.runs(service));
        let mut expected: Vec<&str> = own.flat_map(|(_, loops)| loops.iter().copied()).collect();
        expected.sort_unstable();
        expected.dedup();
        eventually(Duration::from_secs(30), || async {
            let output = self.tool("views status --json");
            assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
            let text = String::from_utf8(output.stdout).expect("text");
            let loops = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
            let running = loops.filter(|each| each["state"] == "running");
            let mut names: Vec<String> =
                running.filter_map(|each| each["name"].as_str().map(without_version)).collect();
            names.sort_unstable();
            if names == expected { Ok(()) } else { Err(format!("{names:?} {text}")) }
        })
        .await;
        let tables = self.db.view_tables().await;
        let own = VIEWS.iter().filter(|(service, _)| self.runs(service));
        let views: BTreeSet<&str> = own.flat_map(|(_, views)| views.iter().copied()).collect();
        assert_eq!(tables.len(), views.len(), "{tables:?}");
        let check = self.tool("check");
        assert_eq!(check.status.code(), Some(0), "{}", errors(&check));
    }
}

async fn count_events(db: &TestDb) -> i64 {
    db.log_number("SELECT count(*) FROM events").await
}

fn without_version(name: &str) -> String {
    name.rsplit_once("_v").map_or(name, |(name, _)| name).to_owned()
}

on_each_engine! {
    async fn item_service_alone_has_its_routes_and_loops(db: &TestDb) {
        let process = Process::start(db, "item").await;
        process.serves_its_routes().await;
        process.runs_its_loops().await;
    }

    async fn reservation_service_alone_has_its_routes_and_loops(db: &TestDb) {
        let process = Process::start(db, "reservation").await;
        process.serves_its_routes().await;
        process.runs_its_loops().await;
    }

    async fn payment_service_alone_has_its_routes_and_loops(db: &TestDb) {
        let process = Process::start(db, "payment").await;
        process.serves_its_routes().await;
        process.runs_its_loops().await;
    }

    async fn alarm_service_alone_has_its_routes_and_loops(db: &TestDb) {
        let process = Process::start(db, "alarm").await;
        process.serves_its_routes().await;
        process.runs_its_loops().await;
    }

    async fn two_services_in_one_process_have_the_routes_and_loops_of_both(db: &TestDb) {
        let process = Process::start(db, "item,alarm").await;
        process.serves_its_routes().await;
        process.runs_its_loops().await;
        // The alarm is in this process: an item can be registered, and is shown with its alarm.
        let camera = json!({"itemName": "Camera", "itemPrice": 100, "ownerId": 7});
        send(&process.server, Method::POST, "/items", camera).await;
        eventually(Duration::from_secs(30), || async {
            let (_, info) = process.answer(Method::GET, "/itemInfoes/1").await;
            if info["alarmStatus"] == "Alerted" { Ok(()) } else { Err(info.to_string()) }
        })
        .await;
    }

    async fn process_with_all_services_serves_all_routes(db: &TestDb) {
        let process = Process::start(db, "item,reservation,payment,alarm").await;
        process.serves_its_routes().await;
        process.runs_its_loops().await;
    }

    async fn registration_without_the_alarm_service_is_refused_and_writes_nothing(db: &TestDb) {
        let process = Process::start(db, "item").await;
        let camera = json!({"itemName": "Camera", "itemPrice": 100, "ownerId": 7});
        let call = Client::new().post(process.server.url("/items")).json(&camera);
        let refused = call.header("idempotency-key", "k").send().await.expect("an answer");
        assert_eq!(refused.status(), 503);
        assert!(refused.headers().contains_key("retry-after"));
        assert_eq!(refused.json::<Value>().await.expect("JSON")["code"], "alarm-unavailable");
        assert_eq!(count_events(db).await, 0);
    }

    async fn payment_without_the_payment_service_is_refused_and_writes_nothing(db: &TestDb) {
        // A reservation that is confirmed, as the item service would have done it.
        let mut whole = ServerOptions::new(PROGRAM).on(db).start().await;
        let camera = json!({"itemName": "Camera", "itemPrice": 100, "ownerId": 7});
        send(&whole, Method::POST, "/items", camera).await;
        let reservation = json!({"itemNo": 1, "customerId": 1});
        send(&whole, Method::POST, "/reservations", reservation).await;
        whole.terminate().await;
        whole.wait(Duration::from_secs(30)).await;
        let before = count_events(db).await;
        let process = Process::start(db, "reservation").await;
        let (status, body) = process.answer(Method::POST, "/reservations/1/payment").await;
        assert_eq!((status, &body["code"]), (503, &json!("payment-unavailable")));
        assert_eq!(count_events(db).await, before);
    }

    async fn reservation_without_the_item_service_is_accepted_and_pending(db: &TestDb) {
        let process = Process::start(db, "reservation").await;
        let reservation = json!({"itemNo": 1, "customerId": 1});
        let call = Client::new().post(process.server.url("/reservations")).json(&reservation);
        let pending = call.header("prefer", "respond-async").send().await.expect("an answer");
        assert_eq!(pending.status(), 202);
    }
}

on_each_engine! {
    async fn refusal_to_lend_without_the_reservation_service_is_not_remembered(db: &TestDb) {
        let mut whole = ServerOptions::new(PROGRAM).on(db).start().await;
        let camera = json!({"itemName": "Camera", "itemPrice": 100, "ownerId": 7});
        send(&whole, Method::POST, "/items", camera).await;
        let reservation = json!({"itemNo": 1, "customerId": 1});
        send(&whole, Method::POST, "/reservations", reservation).await;
        whole.terminate().await;
        whole.wait(Duration::from_secs(30)).await;
        // The reservation may be paid for all that the item service knows.
        let mut item = Process::start(db, "item").await;
        assert_eq!(lend(&item.server).await, 409);
        item.server.terminate().await;
        item.server.wait(Duration::from_secs(30)).await;
        let whole = ServerOptions::new(PROGRAM).on(db).start().await;
        send(&whole, Method::POST, "/reservations/1/payment", json!({})).await;
        eventually(Duration::from_secs(30), || async {
            let status = lend(&whole).await;
            if status == 200 { Ok(()) } else { Err(status) }
        })
        .await;
    }

    async fn rows_of_an_unknown_aggregate_are_parked_once_in_every_process(db: &TestDb) {
        let mut process = Process::start(db, "item,alarm").await;
        process.server.terminate().await;
        process.server.wait(Duration::from_secs(30)).await;
        db.log_sql(
            "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, \
             event_version, payload, metadata) VALUES ('shop', '1', 1, 'Opened', '1', '{}', '{}')",
        )
        .await;
        process.server.restart().await;
        eventually(Duration::from_secs(30), || async {
            let output = process.tool("parked list --json");
            let text = String::from_utf8(output.stdout).expect("text");
            if text.lines().count() == 1 && text.contains("holding") { Ok(()) } else { Err(text) }
        })
        .await;
    }
}

/// Requests to lend item 1, always under the same key; returns the status.
async fn lend(server: &Server) -> u16 {
    let call = Client::new().post(server.url("/items/1/lend")).json(&json!({"reservationNo": 1}));
    let answer = call.header("idempotency-key", "lend").send().await.expect("an answer");
    answer.status().as_u16()
}

#[test]
fn payment_is_settled_only_in_the_log_of_its_service() {
    let folder = folder();
    let keys = KeysFile::new("a1");
    let variables = variables("reservation", &keys);
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let line = ["payments", "settle", "1", "--outcome", "charged", "--reason", "books", "--yes"];
    let output = run(folder.path(), &line, &variables);
    assert_eq!(output.status.code(), Some(2), "{}", errors(&output));
    assert!(errors(&output).contains("log of the payment service"), "{}", errors(&output));
}

#[test]
fn every_service_is_tested_alone() {
    let all: Vec<String> = Services::ALL.iter().map(|service| service.to_string()).collect();
    assert_eq!(all, LOOPS.map(|(service, _)| service));
}

#[test]
fn faults_of_services_are_reported_at_once_with_source_and_next_step() {
    let folder = folder();
    let variables = [
        ("GDMARKET__SERVICES__RESERVATION__URL", "ftp://127.0.0.1"),
        ("GDMARKET__SERVICES__PAYMENT__URL", "http://me:s3cret@127.0.0.1:8083"),
        ("GDMARKET__SERVICES__SHOP__URL", "http://127.0.0.1:8085"),
    ];
    let output = run(folder.path(), &["serve", "--services", "item"], &variables);
    assert_eq!(output.status.code(), Some(2));
    let message = errors(&output);
    for part in [
        "services.shop.url: there is no such setting (variable GDMARKET__SERVICES__SHOP__URL)",
        "services.reservation.url: \"ftp://127.0.0.1\" must be the address of a service",
        "services.payment.url: \"***\" must be the address of a service",
        "services.alarm.url: is not set (default), but server.services is item (flag --services), \
         which needs the service alarm: set it",
        "services.keys_file: is not set (default)",
    ] {
        assert!(message.contains(part), "{part} is missing in {message}");
    }
    assert!(!message.contains("s3cret"), "{message}");
    assert!(!folder.path().join("gdmarket-data").exists(), "nothing was started");
}

#[test]
fn set_of_services_that_names_another_thing_or_nothing_is_a_fault() {
    let folder = folder();
    for (services, fault) in [
        ("item,shop", "\"shop\" is no service; there are item,reservation,payment,alarm"),
        (",", "names no service; there are item,reservation,payment,alarm"),
    ] {
        let variables = [("GDMARKET__SERVER__SERVICES", services)];
        let output = run(folder.path(), &["config", "show"], &variables);
        assert_eq!(output.status.code(), Some(2));
        let message = errors(&output);
        let setting = format!("server.services: {services:?} {fault}");
        assert!(message.contains(&setting), "{message}");
        assert!(message.contains("variable GDMARKET__SERVER__SERVICES"), "{message}");
    }
}

#[test]
fn file_of_settings_has_a_table_for_each_service() {
    let folder = folder();
    let file = "[server]\nservices = \"alarm\"\n[services]\nkeys_file = \"keys.toml\"\n\
                [services.item]\nurl = \"http://127.0.0.1:8081\"\n";
    fs::write(folder.path().join("gdmarket.toml"), file).expect("a file");
    let output = run(folder.path(), &["config", "show", "--json"], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let shown: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(shown["server.services"]["value"], json!(["alarm"]));
    assert_eq!(shown["services.item.url"]["value"], "http://127.0.0.1:8081");
    assert_eq!(shown["services.payment.url"]["value"], Value::Null);
}

#[test]
fn view_of_another_service_is_refused_by_the_tools() {
    let folder = folder();
    let keys = KeysFile::new("a1");
    let variables = variables("payment", &keys);
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let output = run(folder.path(), &["replay", "item-info", "--verify"], &variables);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        errors(&output).contains("item-info belongs to another service"),
        "{}",
        errors(&output)
    );
}
