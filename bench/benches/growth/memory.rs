//! The real server's resident memory on a long log: after it has built its views, and under load.

use crate::{Tables, client};
use gdmarket_bench::cell::Pace;
use gdmarket_bench::database;
use gdmarket_testkit::{ServerOptions, eventually};
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// The limit for building the views.
const VIEWS_WITHIN: Duration = Duration::from_mins(10);
const LOAD: Pace = Pace { concurrency: 64, measured: Duration::from_secs(5) };

/// Starts the server, waits until it has followed the whole log, drives it, and reports its memory.
pub(crate) async fn of_server(gdmarket: &Path, log: &Tables) -> anyhow::Result<String> {
    let started = Instant::now();
    let server = ServerOptions::new(gdmarket).database_url(&log.ours).start().await;
    let pool = database::connect(&log.ours).await?;
    let followed = eventually(VIEWS_WITHIN, || async {
        let behind: i64 = sqlx::query_scalar(
            "SELECT (SELECT max(position) FROM events) - coalesce(min(position), 0) \
             FROM checkpoints",
        )
        .fetch_one(&pool)
        .await
        .map_err(|error| error.to_string())?;
        if behind == 0 { Ok(()) } else { Err(format!("{behind} behind")) }
    });
    followed.await;
    pool.close().await;
    let seconds = started.elapsed().as_secs_f64();
    let pid = server.pid().unwrap_or_default();
    let (after_views, _) = resident(pid)?;
    let cell = client::drive("memory", server.port(), LOAD).await?.times(2.0);
    let (under_load, most) = resident(pid)?;
    Ok(format!(
        "The server on {} events: views made in {seconds:.0} s, then {after_views} MiB resident; \
         after {:.0} s of registrations at {:.0} events/s {under_load} MiB, {most} MiB at most.",
        log.events,
        LOAD.measured.as_secs_f64(),
        cell.per_second
    ))
}

/// Current and peak resident memory in MiB.
fn resident(pid: u32) -> anyhow::Result<(u64, u64)> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|rest| rest.split_whitespace().next());
        kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() / 1024
    };
    Ok((field("VmRSS:"), field("VmHWM:")))
}
