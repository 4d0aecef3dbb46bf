//! Events that can't be read, beside the running program: their streams park with the reason, all others
//! go on, nothing is tried again in a loop, and a fix heals them, across a restart too.

use crate::command_line::{PROGRAM, errors};
use crate::tools::{Tools, register, write};
use gdmarket_testkit::{Server, ServerOptions, TestDb, eventually, on_each_engine};
use reqwest::Client;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

const VIEW: &str = "item_info_v4";
const SOON: Duration = Duration::from_secs(20);

/// An item as the view tells it, or the problem that says why not.
async fn shown(server: &Server, no: i64) -> Value {
    let answer = Client::new().get(server.url(&format!("/itemInfoes/{no}"))).send().await;
    answer.expect("an answer").json().await.expect("JSON")
}

async fn is_shown_as(server: &Server, no: i64, name: &str) {
    eventually(SOON, || async {
        let item = shown(server, no).await;
        if item["itemName"] == name && item["stale"].is_null() { Ok(()) } else { Err(item) }
    })
    .await;
}

async fn is_announced(server: &Server, no: i64) {
    eventually(SOON, || async {
        let item = shown(server, no).await;
        if item["alarmStatus"] == "Alerted" { Ok(()) } else { Err(item) }
    })
    .await;
}

/// What is parked of a view, by key.
fn parked(tools: &Tools<'_>, view: &str) -> Vec<(String, Value)> {
    let mut all: Vec<_> = tools
        .json("parked list")
        .into_iter()
        .filter(|of| of["subscription"] == view)
        .map(|of| (of["key"].as_str().expect("a key").to_owned(), of))
        .collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

async fn park(tools: &Tools<'_>, view: &str, keys: &[&str]) -> Vec<(String, Value)> {
    eventually(SOON, || async {
        let parked = parked(tools, view);
        let is_all = parked.iter().map(|(key, _)| key.as_str()).eq(keys.iter().copied());
        if is_all { Ok(parked) } else { Err(parked) }
    })
    .await
}

/// What a program that reads it would find there.
async fn mend(db: &TestDb, no: i64) {
    let payload = renamed(no, "Mended");
    db.log_sql(&format!(
        "UPDATE events SET event_type = 'ItemChanged', payload = '{payload}' \
         WHERE aggregate_type = 'item' AND aggregate_id = '{no}' AND sequence = 2"
    ))
    .await;
}

fn renamed(no: i64, name: &str) -> String {
    json!({"ItemChanged": {"itemNo": no, "itemName": name, "itemPrice": 7}}).to_string()
}

/// What a person who watches the figures sees of it.
async fn figures_say_so(server: &Server) {
    let figures = Client::new().get(server.url("/metrics")).send().await.expect("an answer");
    let figures = figures.text().await.expect("text");
    let value = |line: &str| {
        let found = figures.lines().find_map(|other| other.strip_prefix(line));
        found.and_then(|value| value.trim().parse::<f64>().ok())
    };
    let of = |figure: &str| {
        value(&format!("gdmarket_projection_{figure}{{subscription=\"alarms_v2\"}}"))
    };
    assert_eq!((of("parked"), of("stuck")), (Some(1.0), Some(0.0)), "{figures}");
    let never = "gdmarket_manager_parked_total{manager=\"holding\"} ";
    for never in [never, "gdmarket_append_connections_lost_total ", "gdmarket_http_shed_total "] {
        assert_eq!(value(never), Some(0.0), "{never}: {figures}");
    }
    assert!(of("lag_events").is_some() && of("lag_seconds").is_some(), "{figures}");
    assert!(value("gdmarket_append_events_total").is_some_and(|events| events >= 6.0), "{figures}");
    for batches in ["gdmarket_append_batch_commands_count", "gdmarket_append_batch_seconds_count"] {
        assert!(value(batches).is_some_and(|count| count >= 1.0), "{batches}: {figures}");
    }
}

on_each_engine! {
    async fn streams_that_cannot_be_read_park_alone_and_heal(db: &TestDb) {
        let mut server = ServerOptions::new(PROGRAM).on(db).start().await;
        let tools = Tools { db };
        for _ in 0..3 {
            register(&server).await;
        }
        let mut took = Vec::new();
        for (no, event_type, payload) in [
            (1, "ItemTeleported", "{\"ItemTeleported\":{}}".to_owned()),
            (2, "ItemChanged", "{\"ItemChanged\":{\"itemNo\":\"two\"}}".to_owned()),
            (3, "ItemChanged", renamed(3, &"x".repeat(2 * 1024 * 1024))),
        ] {
            write(db, no, event_type, &payload).await;
            let began = Instant::now();
            register(&server).await;
            is_shown_as(&server, no + 3, "Camera").await;
            took.push(began.elapsed());
        }
        // Not all three: the machine may have something else to do.
        let quickest = took.iter().min().expect("three");
        assert!(*quickest < Duration::from_secs(1), "the others wait: {took:?}");
        let stuck = park(&tools, VIEW, &["item/1", "item/2", "item/3"]).await;
        for ((key, of), reason) in stuck.iter().zip(["ItemTeleported", "can't be read", "1048576"]) {
            assert!(of["reason"].as_str().is_some_and(|why| why.contains(reason)), "{key}: {of}");
        }
        assert_eq!(shown(&server, 2).await["itemName"], "Camera", "as it was before");

        // Others go on, and nobody tries these again by himself.
        register(&server).await;
        is_shown_as(&server, 7, "Camera").await;
        for (key, of) in parked(&tools, VIEW) {
            assert_eq!(of["attempts"], 1, "{key}: {of}");
        }
        let again = tools.run("parked retry item_info_v4 item/2");
        assert_eq!(again.status.code(), Some(1), "{}", errors(&again));
        assert!(errors(&again).contains("stopped again"), "{}", errors(&again));

        mend(db, 1).await;
        tools.text("parked retry item_info_v4 item/1");
        is_shown_as(&server, 1, "Mended").await;
        park(&tools, VIEW, &["item/2", "item/3"]).await;

        // Who begins tries them once more, and finds them as they are.
        server.restart().await;
        eventually(SOON, || async {
            let tried: Vec<_> = parked(&tools, VIEW).into_iter().map(|(_, of)| of).collect();
            let attempts: Vec<_> = tried.iter().map(|of| of["attempts"].clone()).collect();
            if attempts == [3, 2] { Ok(()) } else { Err(tried) }
        })
        .await;
        mend(db, 2).await;
        mend(db, 3).await;
        tools.text("parked retry --all");
        for no in [1, 2, 3] {
            is_shown_as(&server, no, "Mended").await;
        }
        park(&tools, VIEW, &[]).await;
        register(&server).await;
        is_shown_as(&server, 8, "Camera").await;
        tools.text("replay item-info --verify");
    }

    async fn a_projector_that_panics_parks_the_stream_and_goes_on(db: &TestDb) {
        let server = ServerOptions::new(PROGRAM).on(db);
        // It breaks down once, on the second event that it takes in.
        let faulty = "projection.fold@alarms=1*off->1*panic(a fault)->off";
        let server = server.variable("FAILPOINTS", faulty).start().await;
        let tools = Tools { db };
        for _ in 0..3 {
            register(&server).await;
        }
        is_announced(&server, 1).await;
        is_announced(&server, 3).await;
        let stuck = park(&tools, "alarms_v2", &["alarm/2"]).await;
        assert!(stuck[0].1["reason"].as_str().is_some_and(|why| why.contains("broke down")));
        assert_eq!(stuck[0].1["attempts"], 1);
        let silent = shown(&server, 2).await;
        assert_eq!((&silent["itemName"], &silent["alarmStatus"]), (&json!("Camera"), &Value::Null));
        let why = &silent["stale"]["reason"];
        assert!(why.as_str().is_some_and(|why| why.contains("broke down")), "{silent}");
        figures_say_so(&server).await;
        tools.text("parked retry alarms_v2 alarm/2");
        is_announced(&server, 2).await;
        park(&tools, "alarms_v2", &[]).await;
        tools.text("replay --all --verify");
    }

    async fn what_a_panic_parked_stays_parked_until_a_mended_program_begins(db: &TestDb) {
        let options = ServerOptions::new(PROGRAM).on(db);
        let tools = Tools { db };
        // At first it breaks down on the second event, then on what it tries again when it begins.
        for (attempts, faulty) in [(1, "1*off->1*panic(a fault)->off"), (2, "1*panic(a fault)->off")] {
            let faulty = format!("projection.fold@alarms={faulty}");
            let mut server = options.clone().variable("FAILPOINTS", &faulty).start().await;
            if attempts == 1 {
                register(&server).await;
                register(&server).await;
            }
            eventually(SOON, || async {
                let parked = parked(&tools, "alarms_v2");
                let tried = parked.iter().map(|(key, of)| (key.as_str(), of["attempts"].clone()));
                if tried.eq([("alarm/2", json!(attempts))]) { Ok(()) } else { Err(parked) }
            })
            .await;
            register(&server).await;
            is_announced(&server, 2 + attempts).await;
            server.terminate().await;
            assert_eq!(server.wait(SOON).await.code(), Some(0), "{}", server.stderr());
        }
        let server = options.start().await;
        is_announced(&server, 2).await;
        park(&tools, "alarms_v2", &[]).await;
        tools.text("replay --all --verify");
    }
}
