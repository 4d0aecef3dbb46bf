//! PostgreSQL's connection is cut between commit and answer, before the statement is done, or for a while. No event is
//! lost, no command is done twice, no caller gets a wrong answer.

use crate::idempotency::final_receipt;
use crate::proxy::Proxy;
use crate::support::*;
use gdmarket_store::{AppendError, Db, Pooled, Store, StoreOptions};
use gdmarket_testkit::{PgCluster, TestDb, eventually};
use sqlx::{Connection, Executor, PgConnection, Postgres};
use std::ops::RangeInclusive;

const TAKE_APPEND_LOCK: &str = "BEGIN; SELECT pg_advisory_xact_lock(7450199991725811489)";

async fn through(proxy: &Proxy) -> Store {
    let options = StoreOptions { url: proxy.url.clone(), ..StoreOptions::default() };
    Store::open(&options).await.unwrap()
}

/// The server process of the appender's connection.
async fn appender_backend(pool: &Pooled<Postgres>) -> i32 {
    let sql = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
               AND query LIKE '%INSERT INTO events%' AND pid <> pg_backend_pid()";
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

/// The server accepts the connection, and sends its first message later than a connection may take.
#[test]
fn start_waits_for_a_server_that_is_slow_to_accept_a_session() {
    gdmarket_testkit::run(async {
        let db = TestDb::postgres().await;
        open(&db).await.close().await;
        let mut options = StoreOptions { url: db.url().to_owned(), ..StoreOptions::default() };
        let busy = options.acquire_timeout * 3 / 2;
        let proxy = Proxy::in_front_of(db.url(), busy).await;
        options.url.clone_from(&proxy.url);
        let store = Store::open(&options).await.unwrap();
        store.appender().append(append(1, 1, 0)).await.unwrap();
        store.close().await;
    });
}

#[test]
fn answer_lost_after_the_commit_is_found_by_its_receipt() {
    gdmarket_testkit::run(async {
        let db = TestDb::postgres().await;
        let direct = open(&db).await;
        let proxy = Proxy::before(db.url()).await;
        let store = through(&proxy).await;
        for round in 0..10_i64 {
            let command = u128::try_from(round).unwrap() * 100;
            store.appender().append(append(command, 1, round)).await.unwrap();
            proxy.drop_answer_of_append();
            // The ten commands are in one batch or two: those of the lost answer are answered from their receipts, the
            // others are done on the new connection.
            let appends = (1..=10).map(|n| {
                let number = round * 100 + n;
                append(command + u128::try_from(n).unwrap(), number + 1_000, 0)
            });
            let answers = at_once(&store, appends.collect()).await;
            assert!(
                proxy.dropped_answers() > 0,
                "events were committed, and their answer was dropped"
            );
            let log = whole_log(&direct).await;
            for (answer, n) in answers.into_iter().zip(1..) {
                let position = answer.unwrap().position;
                let event = log.iter().find(|event| event.position == position).unwrap();
                assert_eq!(event.stream, stream(round * 100 + n + 1_000));
            }
            assert_eq!(log.len(), usize::try_from((round + 1) * 11).unwrap());
        }
        store.close().await;
        direct.close().await;
    });
}

/// The statement waits on the server when its connection is cut. A caller must be able to rely on the answer "not done",
/// so the old server process is ended before the answer.
#[test]
fn statement_cut_off_while_it_waits_is_ended_and_never_happens() {
    gdmarket_testkit::run(async {
        let db = TestDb::postgres().await;
        let direct = open(&db).await;
        let proxy = Proxy::before(db.url()).await;
        let store = through(&proxy).await;
        store.appender().append(append(1, 1, 0)).await.unwrap();
        let mut holder = PgConnection::connect(db.url()).await.unwrap();
        holder.execute(TAKE_APPEND_LOCK).await.unwrap();
        let Db::Postgres(pool) = raw(&db).await else { panic!("PostgreSQL") };
        let appending = {
            let store = store.clone();
            tokio::spawn(async move { store.appender().append(append(2, 2, 0)).await })
        };
        until_a_session_waits(&pool).await;
        // The server cuts the connection: the next message at the proxy ends it.
        let pid = appender_backend(&pool).await;
        sqlx::query("SELECT pg_terminate_backend($1)").bind(pid).execute(&pool).await.unwrap();
        let answer = appending.await.unwrap();
        assert!(matches!(answer, Err(AppendError::Unavailable(_))), "{answer:?}");
        holder.execute("ROLLBACK").await.unwrap();
        assert_eq!(whole_log(&direct).await.len(), 1);
        // The command may be sent again, and happens once.
        store.appender().append(append(2, 2, 0)).await.unwrap();
        assert_eq!(whole_log(&direct).await.len(), 2);
        store.close().await;
        direct.close().await;
    });
}

/// A firewall or an operator may end connections that are idle for hours; the next writer must not notice.
#[test]
fn first_write_after_an_idle_connection_was_ended_succeeds() {
    gdmarket_testkit::run(async {
        let db = TestDb::postgres().await;
        let store = open(&db).await;
        for number in 1..=5 {
            let command = u128::try_from(number).unwrap();
            store.appender().append(append(command, number, 0)).await.unwrap();
            assert!(db.cut_off("gdmarket").await > 0);
        }
        store.appender().append(append(6, 1, 1)).await.unwrap();
        // Readers of this store notice a moment later, so another store reads.
        let direct = open(&db).await;
        assert_eq!(whole_log(&direct).await.len(), 6);
        direct.close().await;
        store.close().await;
    });
}

/// Waits until a session waits for the lock that `holder` has.
async fn until_a_session_waits(pool: &Pooled<Postgres>) {
    let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
                   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    eventually(LIMIT, async || {
        let count: i64 = sqlx::query_scalar(waiting).fetch_one(pool).await.unwrap();
        if count == 1 { Ok(()) } else { Err(count) }
    })
    .await;
}

/// Like the test above, but the server doesn't notice that its client has gone: its process would write after the caller
/// got the answer "not done".
#[test]
fn server_process_that_outlives_its_connection_is_ended_before_the_answer() {
    gdmarket_testkit::run(async {
        let db = TestDb::postgres().await;
        let direct = open(&db).await;
        let proxy = Proxy::before(db.url()).await;
        let store = through(&proxy).await;
        store.appender().append(append(1, 1, 0)).await.unwrap();
        let Db::Postgres(pool) = raw(&db).await else { panic!("PostgreSQL") };
        let mut holder = PgConnection::connect(db.url()).await.unwrap();
        holder.execute(TAKE_APPEND_LOCK).await.unwrap();
        let appending = {
            let store = store.clone();
            tokio::spawn(async move { store.appender().append(append(2, 2, 0)).await })
        };
        until_a_session_waits(&pool).await;
        proxy.hang_up();
        let answer = appending.await.unwrap();
        assert!(matches!(answer, Err(AppendError::Unavailable(_))), "{answer:?}");
        holder.execute("ROLLBACK").await.unwrap();
        // The lock is free: a session that still waited for it would write now.
        store.appender().append(append(3, 3, 0)).await.unwrap();
        assert_eq!(whole_log(&direct).await.len(), 2);
        assert_eq!(direct.receipts().find(id(2)).await.unwrap(), None);
        store.close().await;
        direct.close().await;
    });
}

/// Control: it shows that the test above would notice a write.
#[test]
fn server_process_that_is_not_ended_writes_after_its_connection_was_cut() {
    gdmarket_testkit::run(async {
        let db = TestDb::postgres().await;
        let direct = open(&db).await;
        let proxy = Proxy::before(db.url()).await;
        let Db::Postgres(pool) = raw(&db).await else { panic!("PostgreSQL") };
        let mut holder = PgConnection::connect(db.url()).await.unwrap();
        holder.execute(TAKE_APPEND_LOCK).await.unwrap();
        let mut writer = PgConnection::connect(&proxy.url).await.unwrap();
        let writing = tokio::spawn(async move {
            let insert = "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, \
                          event_version, payload, metadata) VALUES ('x', '1', 1, 'x', '1', '{}', '{}')";
            writer.execute(insert).await.map(|_| ())
        });
        until_a_session_waits(&pool).await;
        proxy.hang_up();
        writing.await.unwrap().unwrap_err();
        holder.execute("ROLLBACK").await.unwrap();
        eventually(LIMIT, async || match whole_log(&direct).await.len() {
            1 => Ok(()),
            other => Err(other),
        })
        .await;
        direct.close().await;
    });
}

#[test]
fn callers_get_an_early_error_without_a_database_and_the_appender_recovers() {
    gdmarket_testkit::run(async {
        let cluster = PgCluster::start_new();
        let db = TestDb::on_server(&cluster.url()).await;
        let store = open(&db).await;
        store.appender().append(append(1, 1, 0)).await.unwrap();
        cluster.stop();
        let began = tokio::time::Instant::now();
        for command in 2..=20 {
            let answer = store.appender().append(append(command, 2, 0)).await;
            let is_reported =
                matches!(answer, Err(AppendError::Unavailable(_) | AppendError::Unknown(_)));
            assert!(is_reported, "{answer:?}");
        }
        assert!(began.elapsed() < LIMIT / 6, "{:?}", began.elapsed());
        cluster.start();
        eventually(LIMIT, async || store.appender().append(append(99, 3, 0)).await).await;
        let loaded = store.aggregates::<Counter>().lock(3).await.unwrap();
        assert_eq!(loaded.version(), 1);
        drop(loaded);
        assert_eq!(whole_log(&store).await.len(), 2);
        store.close().await;
    });
}

/// Two processes send the same command repeatedly while its answer is lost; all callers get the same answer.
#[test]
fn command_sent_fifty_times_happens_once_though_its_answer_is_lost() {
    gdmarket_testkit::run(async {
        let db = TestDb::postgres().await;
        let direct = open(&db).await;
        let proxy = Proxy::before(db.url()).await;
        let stores = [through(&proxy).await, through(&proxy).await];
        for (warm, store) in (0..).zip(&stores) {
            store
                .appender()
                .append(append(warm, i64::try_from(warm).unwrap() + 1, 0))
                .await
                .unwrap();
        }
        for round in 10..20_u128 {
            proxy.drop_answer_of_append();
            let sending = (0..50).map(|n| {
                let number = i64::try_from(round).unwrap();
                final_receipt(stores[n % 2].clone(), append(round, number, 0))
            });
            let answers = all(spawn_each(sending)).await;
            assert!(
                proxy.dropped_answers() > 0,
                "events were committed, and their answer was dropped"
            );
            let is_first = |answer: &Result<_, _>| answer.is_ok() && *answer == answers[0];
            assert!(answers.iter().all(is_first), "{answers:?}");
            let log = whole_log(&direct).await;
            let times =
                log.iter().filter(|event| event.stream.number == log[log.len() - 1].stream.number);
            assert_eq!((log.len(), times.count()), (usize::try_from(round).unwrap() - 7, 1));
        }
        for store in stores {
            store.close().await;
        }
        direct.close().await;
    });
}

/// A server with `synchronous_commit = off`, which answers before a commit is on the disk.
async fn asynchronous_server() -> (PgCluster, TestDb) {
    let cluster = PgCluster::start_new();
    make_asynchronous(&cluster).await;
    let db = TestDb::on_server(&cluster.url()).await;
    (cluster, db)
}

async fn make_asynchronous(cluster: &PgCluster) {
    let mut connection = PgConnection::connect(&cluster.url()).await.unwrap();
    for sql in [
        "ALTER SYSTEM SET synchronous_commit = off",
        "ALTER SYSTEM SET wal_writer_delay = '10s'",
        "SELECT pg_reload_conf()",
    ] {
        connection.execute(sql).await.unwrap();
    }
}

async fn append_all(store: &Store, commands: RangeInclusive<u128>) {
    for command in commands {
        let number = i64::try_from(command).unwrap();
        store.appender().append(append(command, number, 0)).await.unwrap();
    }
}

async fn fifty_survive_a_crash(cluster: &PgCluster, db: &TestDb, store: Store) {
    cluster.crash();
    cluster.start();
    store.close().await;
    let store = open(db).await;
    assert_eq!(whole_log(&store).await.len(), 50);
    store.close().await;
}

#[test]
fn acknowledged_events_survive_a_crash_of_a_server_with_asynchronous_commit() {
    gdmarket_testkit::run(async {
        let (cluster, db) = asynchronous_server().await;
        let store = open(&db).await;
        append_all(&store, 1..=50).await;
        fifty_survive_a_crash(&cluster, &db, store).await;
    });
}

#[test]
fn acknowledged_events_survive_a_crash_of_a_server_that_became_asynchronous() {
    gdmarket_testkit::run(async {
        let cluster = PgCluster::start_new();
        let db = TestDb::on_server(&cluster.url()).await;
        let store = open(&db).await;
        append_all(&store, 1..=1).await;
        make_asynchronous(&cluster).await;
        append_all(&store, 2..=50).await;
        fifty_survive_a_crash(&cluster, &db, store).await;
    });
}

/// Control: a writer that relies on the server's setting loses acknowledged events.
#[test]
fn writer_that_relies_on_asynchronous_commit_loses_events() {
    gdmarket_testkit::run(async {
        let (cluster, db) = asynchronous_server().await;
        open(&db).await.close().await;
        let mut writer = PgConnection::connect(db.url()).await.unwrap();
        for number in 1..=50 {
            let insert = format!(
                "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, \
                 event_version, payload, metadata) VALUES ('x', '{number}', 1, 'x', '1', '{{}}', '{{}}')"
            );
            writer.execute(insert.as_str()).await.unwrap();
        }
        cluster.crash();
        cluster.start();
        let store = open(&db).await;
        let kept = whole_log(&store).await.len();
        assert!(kept < 50, "the control must lose some of the 50 events");
        store.close().await;
    });
}
