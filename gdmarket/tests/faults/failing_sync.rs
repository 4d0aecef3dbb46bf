//! One sync of the log fails. The kernel may have dropped the unwritten pages then, and the next sync succeeds
//! without them: so that commit is never acknowledged, and the process ends.

use crate::idle::wait_until_idle;
use crate::load::start_load;
use crate::stored_state::whole_log;
use crate::views::assert_rebuilt_views_equal;
use gdmarket_testkit::{
    MarketClient, Outcome, RequestLedger, Server, ServerOptions, TestDb, all_resources,
    assert_detects_lost_and_duplicated_commands, eventually, run, times,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const CALLERS: usize = 4;
const ROUNDS: usize = 2;
const SOON: Duration = Duration::from_secs(30);
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// A preloaded library that makes one sync fail.
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

/// The server ends by itself and reports the reason.
async fn ends_with_the_reason(server: &mut Server) {
    let ended = server.wait(ENDS_WITHIN).await;
    let stderr = server.stderr();
    assert_eq!(ended.code(), Some(1), "{stderr}");
    assert!(stderr.contains("log.db: ") && stderr.contains("could not be synced"), "{stderr}");
}

#[test]
fn failed_sync_acknowledges_nothing_and_ends_the_process() {
    run(async {
        let db = TestDb::sqlite();
        let folder = tempfile::tempdir().unwrap();
        let disk = BrokenDisk::in_folder(folder.path());
        let ledger = Arc::new(RequestLedger::in_folder(folder.path()));
        let mut server = disk.serve(&db).await;
        let market = MarketClient::at(&server.url(""));
        // Control: the same request succeeds while syncs do.
        market.register_answer(100).await.expect(201);

        let load = start_load(&market, &ledger, CALLERS);
        for _ in 0..times(ROUNDS) {
            let acknowledged = ledger.count(Outcome::Acknowledged);
            eventually(SOON, || async {
                let now = ledger.count(Outcome::Acknowledged);
                if now > acknowledged + 50 { Ok(()) } else { Err(now) }
            })
            .await;
            disk.fail_once();
            ends_with_the_reason(&mut server).await;
            assert!(disk.has_failed());
            server.restart().await;
        }
        load.stop().await;
        wait_until_idle(&market, &db).await;

        let before = whole_log(&db).await.len();
        disk.fail_once();
        let answer = market.register_answer(100).await;
        assert!(disk.has_failed());
        assert_eq!((answer.status, answer.retry_after), (503, true), "{answer:?}");
        ends_with_the_reason(&mut server).await;
        server.restart().await;
        wait_until_idle(&market, &db).await;
        let shown = all_resources(&market).await;
        let log = whole_log(&db).await;
        assert!(log.len() <= before + 2, "the registration and its alarm, or neither");
        assert_eq!(ledger.violations(&log), Vec::<String>::new());
        assert_detects_lost_and_duplicated_commands(&ledger, &log);
        assert_rebuilt_views_equal(&shown, &mut server, &db).await;
    });
}
