//! Pages of the log are damaged under process managers that need them: their reactions are done once the
//! pages are repaired, and nothing is concluded from the damage. Callers are not told to try again.

use crate::archive::gdmarket;
use crate::market::Market;
use gdmarket_testkit::{
    DamagedPages, POSTGRES_PAGE, PgCluster, SQLITE_PAGE, Server, ServerOptions, TestDb, eventually,
    free_port, run,
};
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gdmarket");
const SOON: Duration = Duration::from_secs(30);
/// The longest until a reaction that met damage is tried again, and some time for it.
const TRIED_AGAIN: Duration = Duration::from_mins(1);
/// In the event that says that the reservation was asked for.
const REQUESTED: &str = "{\"ReservationRequested\":{\"reservationNo\":1,";

/// Fills some pages, so that the next events share none with the last ones.
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
    let market = Market::at(&server.url(""));
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

async fn is_due(db: &TestDb) {
    db.views_sql("UPDATE deadlines SET due_at = 1").await;
}

/// The time to pay is over, and whoever asked for the item meanwhile has an answer.
async fn is_done(market: &Market, others: &[i64]) {
    eventually(TRIED_AGAIN, || async {
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
fn reactions_wait_for_the_repair_of_postgresql() {
    run(async {
        let cluster = PgCluster::start_new();
        let db = TestDb::on_server(&cluster.url()).await;
        let server = reserved(&db).await;
        let market = Market::at(&server.url(""));
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
        is_due(&db).await;
        for named in
            ["a reaction meets damage", "invalid page", "\"manager\":\"reservation_process\""]
        {
            eventually(SOON, || async {
                let written = server.stderr();
                if written.contains(named) { Ok(()) } else { Err(written) }
            })
            .await;
        }
        let (code, out, written) = gdmarket(&db, &["check"]);
        assert_eq!(code, Some(5), "{out}{written}");
        assert!(format!("{out}{written}").contains("invalid page"), "{out}{written}");
        assert_eq!(deadlines(&db).await, 1, "the deadline is kept");

        cluster.stop();
        damaged.repair();
        cluster.start();
        is_done(&market, &[other]).await;
        let (_, out, written) = gdmarket(&db, &["check"]);
        assert!(!format!("{out}{written}").contains("invalid page"), "{out}{written}");
    });
}

#[test]
fn reactions_wait_for_the_repair_of_sqlite() {
    run(async {
        let db = TestDb::sqlite();
        let log = db.folder().unwrap().join("log.db");
        let mut server = reserved(&db).await;
        for _ in 0..3 {
            server.terminate().await;
            assert_eq!(server.wait(SOON).await.code(), Some(0), "{}", server.stderr());
            is_due(&db).await;
            let damaged = DamagedPages::with_text(&log, SQLITE_PAGE, REQUESTED);
            let listen = format!("127.0.0.1:{}", free_port());
            let (code, out, written) = gdmarket(&db, &["serve", "--listen", &listen]);
            assert_eq!(code, Some(5), "{out}{written}");
            assert!(written.contains("the database is damaged: "), "{written}");
            assert!(written.contains("log.db"), "{written}");
            assert_eq!(deadlines(&db).await, 1, "the deadline is kept: {written}");
            damaged.repair();
            db.views_sql("UPDATE deadlines SET due_at = 9000000000000000").await;
            server.restart().await;
        }
        server.terminate().await;
        assert_eq!(server.wait(SOON).await.code(), Some(0), "{}", server.stderr());
        is_due(&db).await;
        server.restart().await;
        is_done(&Market::at(&server.url("")), &[]).await;
    });
}
