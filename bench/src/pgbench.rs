//! The baseline: pgbench with prepared statements, one single-row INSERT per transaction into the
//! table of stock postgres-es, without load, check or receipt.

use crate::cell::{Cell, Pace};
use anyhow::Context as _;
use std::io::Write as _;
use std::path::Path;
use tokio::process::Command;

const SCRIPT: &str = r#"\set n random(1, 9000000000000000)
INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
VALUES ('item', :n::bigint::text, 1, 'ItemRegistered', '1',
 '{"ItemRegistered":{"itemNo":123456,"ownerId":7,"itemName":"Camera with two lenses, a tripod and a bag; handed over at the door","itemPrice":10000}}',
 '{"commandId":"0193a5b0-0000-7000-8000-000000000000","correlationId":"0193a5b0-0000-7000-8000-000000000000","actor":"owner:7","schemaVersion":"1"}');
"#;

/// pgbench's own rate at this concurrency, on a database with the stock table in it.
pub async fn run(pgbench: &Path, url: &str, pace: Pace) -> anyhow::Result<Cell> {
    let mut script = tempfile::NamedTempFile::new()?;
    script.write_all(SCRIPT.as_bytes())?;
    let clients = pace.concurrency.to_string();
    let threads = pace.concurrency.min(2).to_string();
    let seconds = pace.measured.as_secs().max(1).to_string();
    let output = Command::new(pgbench)
        .args(["-n", "-M", "prepared", "-c", &clients, "-j", &threads, "-T", &seconds, "-f"])
        .arg(script.path())
        .arg(url)
        .output()
        .await
        .context("pgbench didn't start")?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let per_second = text
        .lines()
        .find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok())
        .context("pgbench printed no rate")?;
    Ok(Cell { candidate: "pgbench", per_second, latency: None, errors: 0 })
}
