//! The disk fails to sync the log, once. What the kernel had in memory may be gone then, and the next
//! sync succeeds without it: so that commit is never acknowledged, and the process ends.

use crate::kills::{at_rest, whole_log};
use crate::ledger::{Ledger, Seen, assert_notices_what_is_lost_or_doubled};
use crate::load::Load;
use crate::market::Market;
use crate::views::{everything, rebuilt_views_equal};
use gdmarket_testkit::{Server, ServerOptions, TestDb, eventually, run, times};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const CALLERS: usize = 4;
const ROUNDS: usize = 2;
const SOON: Duration = Duration::from_secs(30);
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// A library that makes one sync fail.
struct BrokenDisk {
    library: PathBuf,
    trigger: PathBuf,
}

impl BrokenDisk {
    fn in_folder(folder: &Path) -> Self {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/failing_sync.c");
        let library = folder.join("failing_sync.so");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source);
        let output = compiler.output().expect("a C compiler: apt-get install gcc libc6-dev");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self { library, trigger: folder.join("fail") }
    }

    async fn serve(&self, db: &TestDb) -> Server {
        let text = |path: &Path| path.display().to_string();
        ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket"))
            .on(db)
            .variable("LD_PRELOAD", &text(&self.library))
            .variable("FAIL_SYNC", &text(&self.trigger))
            .variable("GDMARKET__PAYMENT__TIMEOUT_MS", "2000")
            .start()
            .await
    }

    fn fail_once(&self) {
        fs::write(&self.trigger, "").unwrap();
    }

    fn has_failed(&self) -> bool {
        !self.trigger.exists()
    }
}

/// It ends by itself and says why.
async fn ends(server: &mut Server) {
    let ended = server.wait(ENDS_WITHIN).await;
    let written = server.stderr();
    assert_eq!(ended.code(), Some(1), "{written}");
    assert!(written.contains("log.db: ") && written.contains("could not be synced"), "{written}");
}

#[test]
fn a_sync_that_fails_acknowledges_nothing_and_ends_the_process() {
    run(async {
        let db = TestDb::sqlite();
        let folder = tempfile::tempdir().unwrap();
        let disk = BrokenDisk::in_folder(folder.path());
        let ledger = Arc::new(Ledger::in_folder(folder.path()));
        let mut server = disk.serve(&db).await;
        let market = Market::at(&server.url(""));
        // Control: the same request with nothing broken.
        market.register_answer(100).await.expect(201);

        let load = Load::start(&market, &ledger, CALLERS);
        for _ in 0..times(ROUNDS) {
            let acknowledged = ledger.count(Seen::Acknowledged);
            eventually(SOON, || async {
                let now = ledger.count(Seen::Acknowledged);
                if now > acknowledged + 50 { Ok(()) } else { Err(now) }
            })
            .await;
            disk.fail_once();
            ends(&mut server).await;
            assert!(disk.has_failed());
            server.restart().await;
        }
        load.stop().await;
        at_rest(&market, &db).await;

        let before = whole_log(&db).await.len();
        disk.fail_once();
        let answer = market.register_answer(100).await;
        assert!(disk.has_failed());
        assert_eq!((answer.status, answer.retry_after), (503, true), "{answer:?}");
        ends(&mut server).await;
        server.restart().await;
        at_rest(&market, &db).await;
        let shown = everything(&market).await;
        let log = whole_log(&db).await;
        assert!(log.len() <= before + 2, "the registration and its alarm, or nothing");
        assert_eq!(ledger.broken_promises(&log), Vec::<String>::new());
        assert_notices_what_is_lost_or_doubled(&ledger, &log);
        rebuilt_views_equal(&shown, &mut server, &db).await;
    });
}
