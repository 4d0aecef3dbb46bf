//! Pages of the log that process managers need are damaged: their reactions are done once the pages are repaired,
//! and no decision follows from the damage. Callers get an error that doesn't ask for a repetition.

use crate::archive::gdmarket;
use gdmarket_testkit::{
    DamagedPages, MarketClient, POSTGRES_PAGE, PgCluster, SQLITE_PAGE, Server, ServerOptions,
    TestDb, eventually, free_port, run,
};
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gdmarket");
const SOON: Duration = Duration::from_secs(30);
/// The longest until a reaction that met damage is retried, with some time for the reaction itself.
const RETRIED_WITHIN: Duration = Duration::from_mins(1);
/// Text that is part of the event of the requested reservation.
const REQUESTED: &str = "{\"ReservationRequested\":{\"reservationNo\":1,";

/// Fills some pages, so that later events share no page with earlier ones.
async fn fill(db: &TestDb, first: usize) {
    let name = "x".repeat(1_200);
    let event = |no: usize| {
        let item =
            format!("{{\"itemNo\":{no},\"ownerId\":7,\"itemName\":\"{name}\",\"itemPrice\":1}}");
        format!("('item','{no}',1,'ItemRegistered','1','{{\"ItemRegistered\":{item}}}','{{}}')")
    };
    let events: Vec<String> = (first..first + 40).map(event).collect();
    db.log_sql(&format!(
        "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, \
         payload, metadata) VALUES {}",
        events.join(", ")
    ))
    .await;
}

/// A market with a reservation that waits for its payment, whose events are on pages of their own.
async fn reserved(db: &TestDb) -> Server {
    let server = ServerOptions::new(PROGRAM).on(db).start().await;
    let market = MarketClient::at(&server.url(""));
    let item = market.register(100).await;
    fill(db, 1_000).await;
    market.reserve(item, 7).await.expect(201);
    fill(db, 2_000).await;
    eventually(SOON, || async {
        let deadlines = deadlines(db).await;
        let last = market.get("/items/2039").await.status;
        if (deadlines, last) == (1, 200) { Ok(()) } else { Err((deadlines, last)) }
    })
    .await;
    server
}

async fn deadlines(db: &TestDb) -> i64 {
    db.views_number("SELECT count(*) FROM deadlines WHERE key = 'reservation/1'").await
}

async fn make_due(db: &TestDb) {
    db.views_sql("UPDATE deadlines SET due_at = 1").await;
}

/// Waits until the unpaid reservation has expired and the requests for its item are decided.
async fn reactions_are_done(market: &MarketClient, others: &[i64]) {
    eventually(RETRIED_WITHIN, || async {
        let expired = market.reservation(1).await["status"].clone();
        let mut open = vec![];
        for other in others {
            let shown = market.reservation(*other).await;
            open.extend((shown["status"] == "Requested").then_some(shown));
        }
        if expired == "Expired" && open.is_empty() { Ok(()) } else { Err((expired, open)) }
    })
    .await;
}

#[test]
fn reactions_wait_for_the_repair_of_pages_on_postgresql() {
    run(async {
        let cluster = PgCluster::start_new();
        let db = TestDb::on_server(&cluster.url()).await;
        let server = reserved(&db).await;
        let market = MarketClient::at(&server.url(""));
        let file = cluster.table_file(&db, "events").await;
        cluster.stop();
        let damaged = DamagedPages::with_text(&file, POSTGRES_PAGE, REQUESTED);
        cluster.start();
        eventually(SOON, || async {
            let answer = market.register_answer(100).await;
            if answer.status == 201 { Ok(()) } else { Err(answer) }
        })
        .await;

        let answer = market.cancel(1).await;
        assert_eq!((answer.status, answer.retry_after), (500, false), "{answer:?}");
        let other = market.reserve(1, 8).await.expect(202).number("reservationNo");
        make_due(&db).await;
        for words in
            ["a reaction meets damage", "invalid page", "\"manager\":\"reservation_process\""]
        {
            eventually(SOON, || async {
                let stderr = server.stderr();
                if stderr.contains(words) { Ok(()) } else { Err(stderr) }
            })
            .await;
        }
        let (code, stdout, stderr) = gdmarket(&db, &["check"]);
        assert_eq!(code, Some(5), "{stdout}{stderr}");
        assert!(format!("{stdout}{stderr}").contains("invalid page"), "{stdout}{stderr}");
        assert_eq!(deadlines(&db).await, 1, "the deadline is kept");

        cluster.stop();
        damaged.repair();
        cluster.start();
        reactions_are_done(&market, &[other]).await;
        let (_, stdout, stderr) = gdmarket(&db, &["check"]);
        assert!(!format!("{stdout}{stderr}").contains("invalid page"), "{stdout}{stderr}");
    });
}

#[test]
fn reactions_wait_for_the_repair_of_pages_on_sqlite() {
    run(async {
        let db = TestDb::sqlite();
        let log = db.folder().unwrap().join("log.db");
        let mut server = reserved(&db).await;
        for _ in 0..3 {
            server.terminate().await;
            assert_eq!(server.wait(SOON).await.code(), Some(0), "{}", server.stderr());
            make_due(&db).await;
            let damaged = DamagedPages::with_text(&log, SQLITE_PAGE, REQUESTED);
            let listen = format!("127.0.0.1:{}", free_port());
            let (code, stdout, stderr) = gdmarket(&db, &["serve", "--listen", &listen]);
            assert_eq!(code, Some(5), "{stdout}{stderr}");
            assert!(stderr.contains("the database is damaged: "), "{stderr}");
            assert!(stderr.contains("log.db"), "{stderr}");
            assert_eq!(deadlines(&db).await, 1, "the deadline is kept: {stderr}");
            damaged.repair();
            db.views_sql("UPDATE deadlines SET due_at = 9000000000000000").await;
            server.restart().await;
        }
        server.terminate().await;
        assert_eq!(server.wait(SOON).await.code(), Some(0), "{}", server.stderr());
        make_due(&db).await;
        server.restart().await;
        reactions_are_done(&MarketClient::at(&server.url("")), &[]).await;
    });
}
