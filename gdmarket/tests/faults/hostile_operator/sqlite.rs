//! Steps on the files.

use super::scenario::Scenario;
use crate::small_disk::SmallDisk;
use gdmarket_testkit::{eventually, free_port};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

const REFUSED_WITHIN: Duration = Duration::from_secs(30);
/// Bytes of a page of a database.
const PAGE: usize = 4096;

/// Another program fills the disk, and frees it later.
pub(super) async fn full_disk(scenario: &Scenario, disk: Option<&SmallDisk<'_>>) {
    // Without root there is no such disk, which was noted before.
    let Some(disk) = disk else { return };
    disk.fill();
    eventually(REFUSED_WITHIN, || async {
        let answer = scenario.market.register_answer(100).await;
        if (answer.status, answer.retry_after) == (503, true) { Ok(()) } else { Err(answer) }
    })
    .await;
    scenario.market.get("/itemInfoes").await.expect(200);
    scenario.wait_for_log_line(&["disk is full"]).await;
    disk.empty();
}

/// Copies of the files of both databases, taken while no process writes.
struct FileCopies(TempDir);

impl FileCopies {
    fn of(data: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(data).unwrap().flatten() {
            if entry.file_name().to_string_lossy().contains(".db") {
                copy(&entry.path(), &folder.path().join(entry.file_name()));
            }
        }
        Self(folder)
    }

    /// Replaces the files by the copies.
    fn restore(&self, data: &Path) {
        for entry in fs::read_dir(data).unwrap().flatten() {
            if entry.file_name().to_string_lossy().contains(".db") {
                fs::remove_file(entry.path()).unwrap();
            }
        }
        for entry in fs::read_dir(self.0.path()).unwrap().flatten() {
            copy(&entry.path(), &data.join(entry.file_name()));
        }
    }
}

/// Copies a file with its times, as `cp -p` does: they show which of two files is newer.
fn copy(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap();
    let modified = fs::metadata(from).unwrap().modified().unwrap();
    fs::File::options().append(true).open(to).unwrap().set_modified(modified).unwrap();
}

/// A copy of the log from before the last two shutdowns: the file has changed since, and the write-ahead log has
/// more.
async fn older_log(scenario: &mut Scenario) -> Vec<u8> {
    scenario.shut_down("TERM").await;
    let older = fs::read(scenario.server.data_dir().join("log.db")).unwrap();
    for shuts_down in [true, false] {
        scenario.server.restart().await;
        scenario.wait_until_it_works().await;
        if shuts_down {
            scenario.shut_down("TERM").await;
        }
    }
    older
}

/// The log's file is moved away, and moved back once the server has ended.
pub(super) async fn log_moved(scenario: &mut Scenario) {
    let data = scenario.server.data_dir().to_owned();
    fs::rename(data.join("log.db"), data.join("away")).unwrap();
    scenario.assert_server_ends(1, &["log.db", "while it was open"]).await;
    fs::rename(data.join("away"), data.join("log.db")).unwrap();
    scenario.server.restart().await;
}

/// The views' files are removed: the views are rebuilt from the log.
pub(super) async fn views_removed(scenario: &mut Scenario) {
    let data = scenario.server.data_dir().to_owned();
    for file in ["views.db", "views.db-wal", "views.db-shm"] {
        let _not_there = fs::remove_file(data.join(file));
    }
    scenario.assert_server_ends(1, &["views.db", "while it was open"]).await;
    scenario.server.restart().await;
}

/// An older copy is written over the log of the running server, which is stopped meanwhile, so that no command is
/// acknowledged between the copies of the newest files and the overwriting. The newest files are restored later.
pub(super) async fn log_overwritten(scenario: &mut Scenario) {
    let data = scenario.server.data_dir().to_owned();
    let older = older_log(scenario).await;
    scenario.server.signal("STOP").await;
    let newest = FileCopies::of(&data);
    fs::write(data.join("log.db"), older).unwrap();
    scenario.server.signal("CONT").await;
    scenario.assert_server_ends(1, &["log.db", "while it was open"]).await;
    newest.restore(&data);
    scenario.server.restart().await;
}

/// An older copy of the log is put next to a newer write-ahead log: no process opens the two together.
pub(super) async fn left_over_wal(scenario: &mut Scenario) {
    let data = scenario.server.data_dir().to_owned();
    let older = older_log(scenario).await;
    scenario.server.kill().await;
    let newest = FileCopies::of(&data);
    fs::write(data.join("log.db"), older).unwrap();
    let listen = format!("127.0.0.1:{}", free_port());
    for arguments in [&["serve", "--listen", &listen][..], &["migrate", "--restored"]] {
        let (code, stdout, stderr) = scenario.tool(arguments);
        assert_eq!(code, Some(5), "{arguments:?}: {stdout}{stderr}");
        assert!(stderr.contains("log.db-wal"), "{arguments:?}: {stderr}");
    }
    scenario.mark_reported();
    newest.restore(&data);
    scenario.server.restart().await;
}

/// Pages of the views' file are overwritten while no server runs: `check` reports the file, and the views are rebuilt
/// from the log once it is removed.
pub(super) async fn views_damaged(scenario: &mut Scenario) {
    let data = scenario.server.data_dir().to_owned();
    scenario.shut_down("TERM").await;
    let views = data.join("views.db");
    let mut content = fs::read(&views).unwrap();
    // Without an intact first page SQLite wouldn't open the file at all.
    content[PAGE..].fill(0x5a);
    fs::write(&views, content).unwrap();
    scenario.assert_check_finds("views.db");
    for file in ["views.db", "views.db-wal", "views.db-shm"] {
        let _not_there = fs::remove_file(data.join(file));
    }
    scenario.server.restart().await;
}
