//! `GET /events` over a real socket: no event is missed or repeated, also after disconnections; which actor
//! may follow which events; how a stream ends.

use crate::app::{app, app_with};
use crate::command_line::{PROGRAM, run};
use crate::event_stream_client::EventStreamClient;
use gdmarket_testkit::{Server, ServerOptions, TestDb, on_each_engine};
use reqwest::Client;
use serde_json::{Value, json};
use std::time::Duration;

/// The longest wait for a free place.
const SOON: Duration = Duration::from_secs(30);

async fn register(server: &Server) -> u16 {
    let call = Client::new().post(server.url("/items"));
    let camera = json!({"itemName": "Camera", "itemPrice": 100});
    call.json(&camera).send().await.expect("an answer").status().as_u16()
}

/// All events of a log, as the program lists them.
fn log(db: &TestDb) -> Vec<Value> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (flag, place) = match db.folder() {
        Some(folder) => ("--data-dir", folder.display().to_string()),
        None => ("--database-url", db.url().to_owned()),
    };
    let output = run(folder.path(), &["events", "list", "--all", "--json", flag, &place], &[]);
    assert_eq!(output.status.code(), Some(0));
    let lines = String::from_utf8(output.stdout).expect("text");
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

on_each_engine! {
    async fn follower_sees_every_event_once(db: &TestDb) {
        let writing = ServerOptions::new(PROGRAM).on(db).start().await;
        // On PostgreSQL the follower reads from another replica than the writer's.
        let replica = match db.folder() {
            Some(_) => None,
            None => Some(ServerOptions::new(PROGRAM).on(db).start().await),
        };
        let followed = replica.as_ref().unwrap_or(&writing);
        let mut following = EventStreamClient::open(followed, "", None).await;
        let writes = async {
            for _ in 0..15 {
                assert_eq!(register(&writing).await, 201);
            }
        };
        let reads = async {
            let mut seen = vec![];
            while seen.len() < 30 {
                // Reconnects again and again, after a few events or none.
                for _ in 0..seen.len() % 4 {
                    seen.push(following.event().await);
                }
                if seen.is_empty() {
                    seen.push(following.event().await);
                }
                let id = following.last_id.clone();
                following = EventStreamClient::open(followed, "", Some(&id)).await;
                if seen.len() % 4 == 0 {
                    seen.push(following.event().await);
                }
            }
            seen
        };
        let ((), seen) = tokio::join!(writes, reads);
        let of = |events: &[Value], field: &str| -> Vec<Value> {
            events.iter().map(|event| event[field].clone()).collect()
        };
        let log = log(db);
        assert_eq!(log.len(), 30);
        for field in ["position", "stream", "sequence", "type", "data", "causedBy"] {
            assert_eq!(of(&seen, field), of(&log, field), "{field}");
        }
        assert!(seen.iter().all(|event| event["actor"].is_null()), "no actor is shown: {seen:?}");
    }
}

#[test]
fn stalled_follower_misses_nothing_and_delays_no_other() {
    const EVENTS: usize = 1_000;
    gdmarket_testkit::run(async {
        let db = TestDb::sqlite();
        let server = ServerOptions::new(PROGRAM).on(&db).start().await;
        let mut stalled = EventStreamClient::open(&server, "", None).await;
        let mut other = EventStreamClient::open(&server, "", None).await;
        // More than all buffers of a connection hold.
        db.write_long_items(1, EVENTS).await;
        for following in [&mut other, &mut stalled] {
            let mut last = 0;
            for _ in 0..EVENTS {
                let event = following.event().await;
                let position = event["position"].as_u64().expect("a position");
                assert_eq!(position, last + 1, "no event is missed or repeated");
                last = position;
            }
        }
    });
}

#[test]
fn stream_ends_with_its_server_and_continues_on_the_next() {
    gdmarket_testkit::run(async {
        let mut server = ServerOptions::new(PROGRAM).start().await;
        let mut following = EventStreamClient::open(&server, "?type=ItemRegistered", None).await;
        register(&server).await;
        assert_eq!(following.event().await["stream"], "item/1");
        register(&server).await;
        server.terminate().await;
        let mut last = String::new();
        while let Some(frame) = following.frame().await {
            last = frame;
        }
        assert!(last.starts_with("retry: "), "{last}");
        assert_eq!(server.wait(Duration::from_secs(20)).await.code(), Some(0));
        let id = following.last_id.clone();
        server.restart().await;
        let mut following =
            EventStreamClient::open(&server, "?type=ItemRegistered", Some(&id)).await;
        register(&server).await;
        assert_eq!(following.event().await["stream"], "item/3", "item/2 was sent before the end");
    });
}

#[test]
fn heartbeat_of_a_quiet_stream_moves_its_position() {
    gdmarket_testkit::run(async {
        let server = ServerOptions::new(PROGRAM).start().await;
        let mut following = EventStreamClient::open(&server, "?type=ItemDeleted", None).await;
        let first = following.last_id.clone();
        register(&server).await;
        let heartbeat = following.frame().await.expect("the stream continues");
        assert!(heartbeat.starts_with(": "), "{heartbeat}");
        assert_ne!(following.last_id, first, "events of other types are not read twice");
        let id = following.last_id.clone();
        let mut following = EventStreamClient::open(&server, "", Some(&id)).await;
        register(&server).await;
        assert_eq!(following.event().await["stream"], "alarm/2");
    });
}

#[test]
fn follower_beyond_the_limit_is_refused_with_retry_after() {
    gdmarket_testkit::run(async {
        let options = ServerOptions::new(PROGRAM).variable("GDMARKET__SERVER__EVENT_STREAMS", "1");
        let server = options.start().await;
        let following = EventStreamClient::open(&server, "", None).await;
        let refused = Client::new().get(server.url("/events")).send().await.expect("an answer");
        assert_eq!(refused.status(), 503);
        assert_eq!(refused.headers()["retry-after"], "5");
        drop(following);
        // Its place is free as soon as the server has noticed.
        gdmarket_testkit::eventually(SOON, || async {
            let answer = Client::new().get(server.url("/events")).send().await;
            let status = answer.map_err(|error| error.to_string())?.status().as_u16();
            if status == 200 { Ok(()) } else { Err(status.to_string()) }
        })
        .await;
    });
}

#[tokio::test]
async fn id_of_another_log_resets_the_stream() {
    let (here, there) = (app().await, app().await);
    there.camera().await;
    here.camera().await;
    let foreign = there.get("/events").expect(200).await.text;
    let foreign = foreign.lines().find_map(|line| line.strip_prefix("id: ")).expect("an id");
    let own = here.get("/events").expect(200).await.text;
    assert!(!own.contains("reset"), "{own}");
    for id in [foreign, "nonsense", "ü"] {
        let call = here.get("/events").header("last-event-id", id);
        let answer = call.expect(200).await.text;
        assert!(
            answer.contains("event: reset\ndata: {\"reason\":\"unknown-token\"}\n"),
            "{answer}"
        );
        let position = own.lines().last().expect("a line");
        assert!(answer.contains(position), "the stream continues from now: {answer}");
    }
    // A browser reconnects to the address of its first request.
    let back = here.get(&format!("/events?after={foreign}")).header("last-event-id", foreign);
    assert!(back.expect(200).await.text.contains("event: reset"));
    let refused = here.get(&format!("/events?after={foreign}")).refused(422, "invalid").await;
    assert_eq!(refused.fields(), ["after"]);
    let refused = here.get("/events?type=ItemStolen&item=1").refused(422, "invalid").await;
    assert_eq!(refused.fields(), ["type", "item"]);
}

#[tokio::test]
async fn owners_and_renters_follow_only_their_own_events() {
    let app = app().await;
    let camera = json!({"itemName": "Camera", "itemPrice": 100});
    app.post("/items", camera).actor("owner:7").expect(201).await;
    let reservation = app.reserved(1, 3).await;
    let follow = |query: &str| app.get(&format!("/events{query}"));
    let of_reservation = format!("?reservationNo={reservation}");
    for (actor, query) in [
        ("operator:local", ""),
        ("operator:local", "?itemNo=99"),
        ("owner:7", "?itemNo=1"),
        ("owner:7", of_reservation.as_str()),
        ("renter:3", of_reservation.as_str()),
    ] {
        follow(query).actor(actor).expect(200).await;
    }
    for (actor, query) in [
        ("owner:7", ""),
        ("renter:3", ""),
        ("renter:3", "?itemNo=1"),
        ("renter:3", "?type=ItemHeld"),
        ("owner:8", "?itemNo=1"),
        ("renter:7", "?itemNo=1"),
        ("renter:4", of_reservation.as_str()),
        ("owner:3", of_reservation.as_str()),
        ("owner:7", "?paymentNo=1"),
    ] {
        follow(query).actor(actor).refused(403, "wrong-actor").await;
    }
    follow("?itemNo=99").actor("owner:7").refused(404, "item-not-found").await;
    let absent = follow("?reservationNo=99").actor("renter:3");
    absent.refused(404, "reservation-not-found").await;
}

#[tokio::test]
async fn server_without_places_refuses_every_follower() {
    let app = app_with(&[("server.event_streams", "0")]).await;
    let refused = app.get("/events").refused(503, "overloaded").await;
    assert_eq!(refused.header("retry-after"), "5");
}
