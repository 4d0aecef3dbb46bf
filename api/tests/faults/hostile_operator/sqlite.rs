//! What is done to the files.

use super::scene::Scene;
use crate::small_disk::SmallDisk;
use gdmarket_testkit::eventually;
use std::time::Duration;

const REFUSED_WITHIN: Duration = Duration::from_secs(30);

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
