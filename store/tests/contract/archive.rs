//! Archives: a round trip between the engines, and the archives and logs that an import refuses.

use crate::support::{NUMBERS, append, counted, id, named, open, options, raw, stream, whole_log};
use gdmarket_store::{
    Append, ArchiveError, ArchiveReader, Changes, Checkpoints, Deadline, Deadlines, Export,
    ExportOptions, ImportOptions, Imported, Leases, Parked, ParkedKeys, PersonalData, ReceiptKind,
    Store, StoreError, StoreOptions, WriteOnceRecord, import, on_db,
};
use gdmarket_testkit::{Engine, TestDb, on_each_engine, run};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io::{Cursor, Read};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

const IMPORT: ImportOptions<'_> = ImportOptions {
    numbered: &[NUMBERS],
    acting: &["acting", "new"],
    is_derived: |subscription| subscription.starts_with("view"),
    division: None,
};

/// The whole export as text.
async fn exported(store: &Store, with_personal_data: bool) -> String {
    let options = ExportOptions { with_personal_data, is_derived: IMPORT.is_derived };
    let mut export = Export::begin(store, options).await.unwrap();
    let mut all = vec![];
    while let Some(lines) = export.next().await.unwrap() {
        all.extend(lines);
    }
    String::from_utf8(all).unwrap()
}

async fn imported(db: &TestDb, archive: &str) -> Result<Imported, ArchiveError> {
    let archive = Cursor::new(archive.to_owned().into_bytes());
    let reader = ArchiveReader::open(archive).await?;
    import(&options(db), IMPORT, reader, &|_| {}).await
}

/// An empty database on the other engine.
async fn elsewhere(db: &TestDb) -> TestDb {
    match db.engine() {
        Engine::Sqlite => TestDb::postgres().await,
        Engine::Postgres => TestDb::sqlite(),
    }
}

/// A log with every kind of record.
async fn filled(db: &TestDb) -> Store {
    let store = open(db).await;
    let appender = store.appender();
    for number in 1..=3 {
        let mut first = append(u128::try_from(number).unwrap(), number, 0);
        first.events.push(counted(2));
        let name = Some("Ünal \u{1f600}".to_owned());
        first.personal = Some(PersonalData::Of { person_id: number, name });
        appender.append(first).await.unwrap();
    }
    appender.append(append(4, 1, 2)).await.unwrap();
    let kind = ReceiptKind::Refused("no".to_owned());
    let refused = Append { events: vec![], kind, expected: 3, ..append(5, 1, 3) };
    appender.append(refused).await.unwrap();
    odd_event(db).await;
    // Earlier versions stored names by person instead of by stream.
    db.log_sql("INSERT INTO personal_data (person_id, name) VALUES (2, 'Ünal'), (4, 'Ünal')").await;
    store.personal_data().erase(2).await.unwrap();
    for _ in 0..5 {
        store.numbers().allocate("number").await.unwrap();
    }
    fill_subscriptions(&store).await;
    for key in ["b", "a"] {
        let entry = WriteOnceRecord { key: key.to_owned(), value: "{\"a\": 1}".to_owned() };
        store.write_once_records().record("book", &entry).await.unwrap();
    }
    store
}

/// Inserts an event with unusual JSON, which must be kept byte by byte.
async fn odd_event(db: &TestDb) {
    let sql = "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, \
               event_version, payload, metadata) \
               VALUES ('counter', '9', 1, 'Counted', '1', '{ \"by\" :\n 1.50 }', ' {}')";
    on_db!(write & raw(db).await, pool => sqlx::query(sql).execute(pool).await.map(drop)).unwrap();
}

/// Fills the tables of subscriptions.
async fn fill_subscriptions(store: &Store) {
    let (views, identity) = (store.views().clone(), *store.identity());
    let checkpoints = Checkpoints::new(views.clone());
    checkpoints.claim("acting", &identity, 1, 7).await.unwrap();
    checkpoints.claim("view_a", &identity, 1, 8).await.unwrap();
    let mut tx = views.begin().await.unwrap();
    let key = "a/1".to_owned();
    let deadline = Deadline { key: key.clone(), due_at: 4_711, payload: "{\"a\": 1}".to_owned() };
    let changes = Changes::from([(key.clone(), Some(deadline))]);
    Deadlines::change(&mut tx, "acting", &changes).await.unwrap();
    let parked = Parked {
        key,
        state: Parked::RETRYING.to_owned(),
        reason: "because".to_owned(),
        since_position: 3,
        since_time: 5,
        attempts: 2,
    };
    for subscription in ["acting", "view_a"] {
        ParkedKeys::park(&mut tx, subscription, &parked, Duration::ZERO).await.unwrap();
        ParkedKeys::queue(&mut tx, subscription, "a/1", 3).await.unwrap();
        ParkedKeys::note_dropped(&mut tx, subscription, &parked, "on purpose").await.unwrap();
    }
    tx.commit().await.unwrap();
}

/// The lines of these kinds.
fn lines<'a>(archive: &'a str, kinds: &[&str]) -> Vec<&'a str> {
    let is = |line: &&str| kinds.iter().any(|kind| line.starts_with(&format!("{{\"{kind}\":")));
    archive.lines().filter(is).collect()
}

const KEPT: [&str; 9] =
    ["event", "receipt", "deadline", "parked", "waiting", "dropped", "book", "person", "name"];

/// The lines with a correct hash chain, as a malicious or faulty program would write them.
fn with_hash_chain(lines: &[String]) -> String {
    let (last, before) = lines.split_last().unwrap();
    let mut chain = [0; 32];
    for line in before {
        chain = Sha256::new().chain_update(chain).chain_update(line).finalize().into();
    }
    let hex = chain.iter().fold(String::new(), |hex, byte: &u8| hex + &format!("{byte:02x}"));
    let (manifest, _) = last.split_once("\"chain\":\"").unwrap();
    format!("{}\n{manifest}\"chain\":\"{hex}\"}}}}\n", before.join("\n"))
}

/// Asserts that nothing of a refused archive was stored.
async fn assert_empty(db: &TestDb) {
    let store = open(db).await;
    assert_eq!(store.log().head().await.unwrap(), 0, "no event");
    assert_eq!(store.receipts().find(id(1)).await.unwrap(), None, "no receipt");
    let checkpoints = Checkpoints::new(store.views().clone());
    assert_eq!(checkpoints.all(store.identity()).await.unwrap(), [], "no checkpoint");
    assert_eq!(Deadlines::new(store.views().clone()).all("acting").await.unwrap(), []);
    assert_eq!(store.identity().epoch, 1);
    store.close().await;
}

on_each_engine! {
    /// This covers every byte of every event, with position and time; receipts, numbers, deadlines, parked keys.
    async fn log_is_unchanged_after_a_round_trip(db: &TestDb) {
        let store = filled(db).await;
        let (there, log, id) = (exported(&store, true).await, whole_log(&store).await, *store.identity());
        assert_eq!(log.len(), 8);
        store.close().await;
        let (mut archive, mut at) = (there.clone(), elsewhere(db).await);
        for epoch in 2..=3 {
            let done = imported(&at, &archive).await.unwrap();
            assert_eq!((done.identity.log_id, done.identity.epoch), (id.log_id, epoch));
            let store = Store::open(&options(&at)).await.unwrap();
            assert_eq!(*store.identity(), done.identity);
            assert_eq!(whole_log(&store).await, log);
            archive = exported(&store, true).await;
            assert_eq!(lines(&archive, &KEPT), lines(&there, &KEPT));
            assert_eq!(lines(&archive, &["dropped"]).len(), 1, "the view's is derived");
            // Five numbers were allocated, but counter 9 exists.
            assert_eq!(lines(&archive, &["number"]), ["{\"number\":{\"kind\":\"number\",\"last\":9}}"]);
            let checkpoints = Checkpoints::new(store.views().clone());
            let mut all = checkpoints.all(store.identity()).await.unwrap();
            all.sort();
            let standing = [("acting".to_owned(), 7), ("new".to_owned(), log[7].position)];
            assert_eq!(all, standing, "views start at the beginning, a new subscription at the end");
            store.close().await;
            at = elsewhere(&at).await;
        }
    }

    /// Positions, sequences and numbers continue; the receipts of earlier commands are known.
    async fn log_continues_after_an_import(db: &TestDb) {
        let store = filled(db).await;
        let (archive, last) = (exported(&store, false).await, store.log().head().await.unwrap());
        store.close().await;
        let other = elsewhere(db).await;
        imported(&other, &archive).await.unwrap();
        let store = Store::open(&options(&other)).await.unwrap();
        let appended = store.appender().append(append(20, 1, 3)).await.unwrap();
        assert_eq!(appended.position, last + 1);
        assert!(store.appender().append(append(4, 1, 4)).await.is_err(), "done before");
        // The last number allocated was 5, but the highest in use is 9.
        assert_eq!(store.numbers().allocate("number").await.unwrap(), 10);
        let names = store.personal_data().of_streams("counter", &[(1, 1), (2, 2), (9, 4)]).await;
        assert!(names.unwrap().is_empty());
        let claimed = Checkpoints::new(store.views().clone());
        let claimed = claimed.claim("acting", store.identity(), 1, 0).await.unwrap();
        assert_eq!(claimed, gdmarket_store::Claim::Position(7));
        store.close().await;
    }

    /// Erased names stay erased, and names are exported on request only.
    async fn names_are_exported_on_request_only(db: &TestDb) {
        let store = filled(db).await;
        assert!(!exported(&store, false).await.contains("Ünal"));
        let archive = exported(&store, true).await;
        store.close().await;
        let other = elsewhere(db).await;
        imported(&other, &archive).await.unwrap();
        let store = Store::open(&options(&other)).await.unwrap();
        let names = store.personal_data().of_streams("counter", &[(1, 1), (2, 2), (9, 4), (8, 2)]);
        let names = names.await.unwrap();
        assert_eq!(names[&1], "Ünal \u{1f600}");
        assert_eq!(names[&9], "Ünal", "kept by person");
        assert_eq!(names.len(), 2, "{names:?}");
        assert_eq!(store.personal_data().erase(1).await.unwrap().names, 1);
        store.close().await;
    }

    /// Archives of version 1 have names by person.
    async fn archive_of_version_1_is_readable(db: &TestDb) {
        let store = filled(db).await;
        let archive = exported(&store, true).await;
        store.close().await;
        let is_newer = |line: &&str| line.starts_with("{\"name\"") || line.starts_with("{\"book\"");
        let mut lines: Vec<String> =
            archive.lines().filter(|line| !is_newer(line)).map(str::to_owned).collect();
        lines[0] = lines[0].replacen("\"version\":2", "\"version\":1", 1);
        let last = lines.pop().unwrap();
        let mut mixed: Vec<String> = archive.lines().map(str::to_owned).collect();
        mixed[0].clone_from(&lines[0]);
        let mixed = with_hash_chain(&mixed);
        let newer = [",\"names\":3", ",\"books\":2"];
        assert!(newer.iter().all(|count| last.contains(count)), "{last}");
        lines.push(last.replacen(newer[0], "", 1).replacen(newer[1], "", 1));
        let other = elsewhere(db).await;
        let error = imported(&other, &mixed).await.unwrap_err();
        assert!(error.to_string().contains("version 1"), "{error}");
        imported(&other, &with_hash_chain(&lines)).await.unwrap();
        let store = Store::open(&options(&other)).await.unwrap();
        let names = store.personal_data().of_streams("counter", &[(1, 4), (2, 2)]).await.unwrap();
        assert_eq!(names, HashMap::from([(1, "Ünal".to_owned())]));
        store.close().await;
    }

    /// A request to pay names a number before the payment's stream starts, and the number is in use from then on.
    async fn import_raises_numbers_to_those_that_events_name(db: &TestDb) {
        let store = filled(db).await;
        db.log_sql(&named(12, "17")).await;
        let archive = exported(&store, false).await;
        store.close().await;
        let other = elsewhere(db).await;
        imported(&other, &archive).await.unwrap();
        let store = Store::open(&options(&other)).await.unwrap();
        assert_eq!(store.numbers().allocate("number").await.unwrap(), 18);
        store.close().await;
    }

    /// Later writes are neither in the export nor in its counts.
    async fn export_is_one_snapshot(db: &TestDb) {
        let store = filled(db).await;
        let options = ExportOptions { with_personal_data: false, is_derived: IMPORT.is_derived };
        let mut export = Export::begin(&store, options).await.unwrap();
        store.appender().append(append(30, 1, 3)).await.unwrap();
        store.numbers().allocate("number").await.unwrap();
        let checkpoints = Checkpoints::new(store.views().clone());
        checkpoints.claim("late", store.identity(), 1, 9).await.unwrap();
        let mut all = vec![];
        while let Some(lines) = export.next().await.unwrap() {
            all.extend(lines);
        }
        let archive = String::from_utf8(all).unwrap();
        assert_eq!(export.manifest().events, 8);
        assert_eq!(lines(&archive, &["event"]).len(), 8);
        assert!(!archive.contains("\"late\""));
        assert!(archive.contains("{\"number\":{\"kind\":\"number\",\"last\":5}}"));
        drop(export);
        store.close().await;
        imported(&elsewhere(db).await, &archive).await.unwrap();
    }

    /// Nothing is imported wherever the archive is cut or changed.
    async fn damaged_archive_is_refused(db: &TestDb) {
        let store = filled(db).await;
        let archive = exported(&store, true).await;
        store.close().await;
        let other = elsewhere(db).await;
        let refused = async |archive: &str, part: &str| {
            let error = imported(&other, archive).await.unwrap_err();
            assert!(matches!(error, ArchiveError::Line { .. }), "{error}");
            assert!(error.to_string().contains(part), "{error}");
        };
        let all: Vec<&str> = archive.split_inclusive('\n').collect();
        for cut in 1..all.len() {
            refused(&all[..cut].concat(), "cut short").await;
        }
        refused("", "empty").await;
        refused(&archive[..archive.len() - 1], "cut short").await;
        refused(&archive[..archive.len() / 2], "cut short").await;
        refused(&archive.replacen("\"by\":2", "\"by\":3", 1), "hash chain").await;
        refused(&archive.replacen("\"events\":8,\"firstPosition\"", "\"events\":9,\"firstPosition\"", 1), "counts").await;
        refused(&archive.replacen("\"chain\":\"", "\"chain\": \"", 1), "hash chain").await;
        refused(&format!("{archive}\n"), "follows").await;
        refused(&archive.replacen("\"sequence\":", "\"sequenze\":", 1), "sequenze").await;
        refused("{\"some\":\"json\"}\n", "no archive").await;
        let mut swapped: Vec<String> = archive.lines().map(str::to_owned).collect();
        swapped.swap(2, 3);
        refused(&with_hash_chain(&swapped), "comes after").await;
        swapped.swap(2, 3);
        let first_receipt = swapped.iter().position(|line| line.starts_with("{\"receipt\"")).unwrap();
        let receipt = swapped.remove(first_receipt);
        swapped.insert(1, receipt);
        refused(&with_hash_chain(&swapped), "further up").await;
        let newer = archive.replacen("\"version\":2", "\"version\":3", 1);
        let error = imported(&other, &newer).await.unwrap_err();
        assert!(matches!(error, ArchiveError::Newer(3)), "{error}");
        assert_empty(&other).await;
        imported(&other, &archive).await.unwrap();
    }

    /// The hash chain is correct, but the log is invalid: a gap, decreasing positions, a checkpoint past the end.
    async fn archive_of_an_invalid_log_is_refused(db: &TestDb) {
        let store = filled(db).await;
        let archive = exported(&store, false).await;
        store.close().await;
        let other = elsewhere(db).await;
        let good: Vec<String> = archive.lines().map(str::to_owned).collect();
        let line = |part: &str| good.iter().position(|line| line.contains(part)).unwrap();
        let changed = |at: usize, from: &str, to: &str| {
            let mut lines = good.clone();
            assert!(lines[at].contains(from), "{}", lines[at]);
            lines[at] = lines[at].replacen(from, to, 1);
            with_hash_chain(&lines)
        };
        let third = line("\"number\":1,\"sequence\":3");
        let gap = changed(third, "\"sequence\":3", "\"sequence\":4");
        let double = changed(third, "\"sequence\":3", "\"sequence\":2");
        let late = changed(line("\"number\":1,\"sequence\":1"), "\"sequence\":1", "\"sequence\":4");
        let past = changed(line("{\"checkpoint\""), "\"position\":7", "\"position\":900");
        for archive in [gap, late, past] {
            let error = imported(&other, &archive).await.unwrap_err();
            assert!(matches!(error, ArchiveError::Contradiction(_)), "{error}");
        }
        let error = imported(&other, &double).await.unwrap_err();
        assert!(matches!(error, ArchiveError::Store(StoreError::Conflict(_))), "{error}");
        assert_empty(&other).await;
        imported(&other, &with_hash_chain(&good)).await.unwrap();
    }

    /// A log with any record in it stays as it is.
    async fn import_into_a_log_that_is_not_empty_is_refused(db: &TestDb) {
        let store = filled(db).await;
        let (archive, log) = (exported(&store, true).await, whole_log(&store).await);
        store.close().await;
        let error = imported(db, &archive).await.unwrap_err();
        assert!(matches!(error, ArchiveError::NotEmpty(_)), "{error}");
        let store = open(db).await;
        assert_eq!(whole_log(&store).await, log);
        assert_eq!(store.identity().epoch, 1);
        store.close().await;
    }

    /// No server may have the log open, and none may open it before the import ends.
    async fn import_into_a_log_in_use_is_refused(db: &TestDb) {
        let store = filled(db).await;
        let archive = exported(&store, true).await;
        store.close().await;
        let other = elsewhere(db).await;
        let serving = StoreOptions { exclusive: true, ..options(&other) };
        Store::migrate(&serving).await.unwrap();
        let server = Store::open(&serving).await.unwrap();
        let error = imported(&other, &archive).await.unwrap_err();
        let locked = matches!(
            error,
            ArchiveError::InUse(_) | ArchiveError::Store(StoreError::Locked(_))
        );
        assert!(locked, "{error}");
        let leases = Leases::new(server.views().clone());
        leases.take("acting", "somebody", Duration::from_mins(1)).await.unwrap();
        server.close().await;
        // A connection that was returned while the pool closed stays open until the pool is dropped.
        drop((server, leases));
        if other.engine() == Engine::Postgres {
            // A held lease means that a server runs on some host.
            let error = imported(&other, &archive).await.unwrap_err();
            assert!(matches!(error, ArchiveError::InUse(_)), "{error}");
            let store = Store::open(&options(&other)).await.unwrap();
            Leases::new(store.views().clone()).end("acting").await.unwrap();
            store.close().await;
        }
        assert_empty(&other).await;
        imported(&other, &archive).await.unwrap();
    }

    /// One import fills the log, the other is refused.
    async fn concurrent_imports_never_mix(db: &TestDb) {
        let store = filled(db).await;
        let (archive, log) = (exported(&store, true).await, whole_log(&store).await);
        store.close().await;
        let other = elsewhere(db).await;
        let (one, two) = tokio::join!(imported(&other, &archive), imported(&other, &archive));
        assert_eq!([&one, &two].iter().filter(|done| done.is_ok()).count(), 1, "{one:?} {two:?}");
        let store = open(&other).await;
        assert_eq!(whole_log(&store).await, log);
        assert_eq!(stream(1), log[0].stream);
        store.close().await;
    }

    /// Ctrl-C drops an import like this.
    async fn dropped_import_leaves_the_log_empty(db: &TestDb) {
        let store = filled(db).await;
        let archive = exported(&store, true).await;
        store.close().await;
        let other = elsewhere(db).await;
        Store::migrate(&options(&other)).await.unwrap();
        let (sender, hold) = mpsc::channel();
        let (first, _) = archive.as_bytes().split_at(archive.len() / 2);
        let half = Cursor::new(first.to_vec()).chain(Blocked(hold));
        let reader = ArchiveReader::open(half).await.unwrap();
        let into = options(&other);
        let importing = tokio::time::timeout(
            Duration::from_millis(500),
            import(&into, IMPORT, reader, &|_| {}),
        );
        assert!(importing.await.is_err(), "the import waits for the rest of the archive");
        drop(sender);
        gdmarket_testkit::eventually(Duration::from_secs(20), || async {
            imported(&other, &archive).await.map(drop).map_err(|error| error.to_string())
        })
        .await;
    }
}

/// A reader that blocks until the sender is dropped.
struct Blocked(Receiver<()>);

impl Read for Blocked {
    fn read(&mut self, _into: &mut [u8]) -> std::io::Result<usize> {
        let _gone = self.0.recv();
        Ok(0)
    }
}

/// A reader of an export may be slow. The export is still one snapshot, and SQLite's write-ahead log doesn't
/// grow meanwhile.
#[test]
fn export_with_a_slow_reader_does_not_block_checkpoints_of_the_write_ahead_log() {
    run(async {
        let db = TestDb::sqlite();
        let store = filled(&db).await;
        let whole = exported(&store, true).await;
        let options = ExportOptions { with_personal_data: true, is_derived: IMPORT.is_derived };
        let mut export = Export::begin(&store, options).await.unwrap();
        store.appender().append(append(99, 99, 0)).await.unwrap();
        let busy: i64 = on_db!(write & raw(&db).await, pool => {
            sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(pool).await.unwrap()
        });
        assert_eq!(busy, 0, "the whole write-ahead log is checkpointed");
        let mut all = vec![];
        while let Some(lines) = export.next().await.unwrap() {
            all.extend(lines);
        }
        assert_eq!(String::from_utf8(all).unwrap(), whole);
        store.close().await;
    });
}
