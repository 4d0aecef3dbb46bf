//! What is done to the files.

use super::scene::Scene;
use crate::small_disk::SmallDisk;
use gdmarket_testkit::{eventually, free_port};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

const REFUSED_WITHIN: Duration = Duration::from_secs(30);
/// Bytes of a page of a database.
const PAGE: usize = 4096;

/// Something else takes all the room, and gives it back later.
pub(super) async fn full_disk(scene: &Scene, disk: Option<&SmallDisk<'_>>) {
    // Without root there is no such disk, and that is noted.
    let Some(disk) = disk else { return };
    disk.fill();
    eventually(REFUSED_WITHIN, || async {
        let answer = scene.market.register_answer(100).await;
        if (answer.status, answer.retry_after) == (503, true) { Ok(()) } else { Err(answer) }
    })
    .await;
    scene.market.get("/itemInfoes").await.expect(200);
    scene.is_named(&["disk is full"]).await;
    disk.empty();
}

/// The files of the two databases, kept while nobody writes.
struct Kept(TempDir);

impl Kept {
    fn of(data: &Path) -> Self {
        let kept = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(data).unwrap().flatten() {
            if entry.file_name().to_string_lossy().contains(".db") {
                copy(&entry.path(), &kept.path().join(entry.file_name()));
            }
        }
        Self(kept)
    }

    /// Back to exactly these.
    fn put_back(&self, data: &Path) {
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

/// With its times, as `cp -p` does: they tell which of two files is the younger.
fn copy(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap();
    let modified = fs::metadata(from).unwrap().modified().unwrap();
    fs::File::options().append(true).open(to).unwrap().set_modified(modified).unwrap();
}

/// A copy of the log as it was two orderly ends ago: since then its file has changed, and there is more in
/// the write-ahead log.
async fn older_log(scene: &mut Scene) -> Vec<u8> {
    scene.end_in_order("TERM").await;
    let older = fs::read(scene.server.data_dir().join("log.db")).unwrap();
    for ends in [true, false] {
        scene.server.restart().await;
        scene.works().await;
        if ends {
            scene.end_in_order("TERM").await;
        }
    }
    older
}

/// The log's file is moved away, and put back once the server has ended.
pub(super) async fn log_moved(scene: &mut Scene) {
    let data = scene.server.data_dir().to_owned();
    fs::rename(data.join("log.db"), data.join("away")).unwrap();
    scene.ends_by_itself(1, &["log.db", "while it was open"]).await;
    fs::rename(data.join("away"), data.join("log.db")).unwrap();
    scene.server.restart().await;
}

/// The views' files are removed: they are built again from the log.
pub(super) async fn views_removed(scene: &mut Scene) {
    let data = scene.server.data_dir().to_owned();
    for file in ["views.db", "views.db-wal", "views.db-shm"] {
        let _not_there = fs::remove_file(data.join(file));
    }
    scene.ends_by_itself(1, &["views.db", "while it was open"]).await;
    scene.server.restart().await;
}

/// An older copy is written over the log of the running server; the files of the last moment before are
/// put back. What was acknowledged after that moment would be lost.
pub(super) async fn log_overwritten(scene: &mut Scene) {
    let data = scene.server.data_dir().to_owned();
    let older = older_log(scene).await;
    scene.server.signal("STOP").await;
    let newest = Kept::of(&data);
    fs::write(data.join("log.db"), older).unwrap();
    scene.server.signal("CONT").await;
    scene.ends_by_itself(1, &["log.db", "while it was open"]).await;
    newest.put_back(&data);
    scene.server.restart().await;
}

/// A copy of the log is put next to a newer write-ahead log: no start takes the two for one.
pub(super) async fn left_over_wal(scene: &mut Scene) {
    let data = scene.server.data_dir().to_owned();
    let older = older_log(scene).await;
    scene.server.kill().await;
    let newest = Kept::of(&data);
    fs::write(data.join("log.db"), older).unwrap();
    let listen = format!("127.0.0.1:{}", free_port());
    for arguments in [&["serve", "--listen", &listen][..], &["migrate", "--restored"]] {
        let (code, out, written) = scene.tool(arguments);
        assert_eq!(code, Some(5), "{arguments:?}: {out}{written}");
        assert!(written.contains("log.db-wal"), "{arguments:?}: {written}");
    }
    scene.named();
    newest.put_back(&data);
    scene.server.restart().await;
}

/// Pages of the views' file are overwritten while the server is ended: `check` names the file, and the
/// views are built again from the log once it is out of the way.
pub(super) async fn views_damaged(scene: &mut Scene) {
    let data = scene.server.data_dir().to_owned();
    scene.end_in_order("TERM").await;
    let views = data.join("views.db");
    let mut content = fs::read(&views).unwrap();
    // The first page says that it is a database; without it SQLite wouldn't open the file at all.
    content[PAGE..].fill(0x5a);
    fs::write(&views, content).unwrap();
    scene.is_found_by_check("views.db");
    for file in ["views.db", "views.db-wal", "views.db-shm"] {
        let _not_there = fs::remove_file(data.join(file));
    }
    scene.server.restart().await;
}
