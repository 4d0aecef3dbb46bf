//! The process is killed at each step of the loops that read two logs, and continues where it was in each of them.
//!
//! The killed process is this test binary, which runs [`child`] only when its environment says so.

use crate::crash::{completes, with_short_leases};
use crate::market::{days, item, reservation};
use crate::sources::{Split, database_like};
use gdmarket_projections::differences_with_feeds;
use gdmarket_testkit::{on_each_engine, seed};
use std::process::Command;

const DATABASE: &str = "GDMARKET_CRASH_DATABASE";
const OTHER_DATABASE: &str = "GDMARKET_CRASH_OTHER_DATABASE";
const FEED_SEED: &str = "GDMARKET_CRASH_FEED_SEED";

const VIEW: [&str; 2] = ["alarms_v2", "alarms_v2@reservation"];
const STEPS_OF_THE_VIEW: [&str; 3] = ["projection.read", "projection.rows", "projection.committed"];
const MANAGERS: [&str; 4] = [
    "reservation_process",
    "reservation_process@reservation",
    "abandonment",
    "abandonment@reservation",
];
const STEPS_OF_A_MANAGER: [&str; 4] =
    ["projection.read", "manager.reacted", "manager.checkpoint", "projection.committed"];

/// Runs all loops until nothing is left to do, or is killed at the failpoints of its environment.
#[test]
#[ignore = "other tests start this as a process"]
#[expect(clippy::disallowed_methods, reason = "how a test talks to its child")]
fn child() {
    let variable = |name| std::env::var(name).ok();
    let Some((url, other)) = variable(DATABASE).zip(variable(OTHER_DATABASE)) else { return };
    let seed = variable(FEED_SEED).and_then(|seed| seed.parse().ok()).unwrap_or_default();
    gdmarket_testkit::run(async {
        let split = Split::open_urls(&url, &other, seed).await;
        let loops = split.start_with(&with_short_leases());
        split.market.settle(&loops).await;
        loops.stop().await;
        split.close().await;
    });
}

/// Runs a child; returns whether it completed.
fn run_child(urls: [&str; 2], failpoints: &str, seed: u64) -> bool {
    let [url, other] = urls;
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["killed_sources::child", "--exact", "--ignored", "--nocapture"])
        .env(DATABASE, url)
        .env(OTHER_DATABASE, other)
        .env(FEED_SEED, seed.to_string())
        .env("FAILPOINTS", failpoints);
    completes(&mut command)
}

/// Sends commands that give every loop of both logs something to do.
async fn send_work(urls: [&str; 2], number: i64) {
    let [url, other] = urls;
    let split = Split::open_urls(url, other, 1).await;
    let market = &split.market;
    market.register(number, Some(10)).await;
    market.register(1_000 + number, None).await;
    market.reserve(number, number, days(2, 4)).await;
    market.reserve(1_000 + number, number, days(2, 4)).await;
    split.close().await;
}

on_each_engine! {
    async fn loops_of_two_logs_continue_after_a_kill_at_each_step(db: &TestDb) {
        let seed = seed();
        println!("seed {seed}");
        let other = database_like(db).await;
        let urls = [db.url(), other.url()];
        let mut number = 0;
        let loops = [(&STEPS_OF_THE_VIEW[..], &VIEW[..]), (&STEPS_OF_A_MANAGER, &MANAGERS)];
        for (steps, names) in loops {
            for (step, name) in steps.iter().flat_map(|step| names.iter().map(move |name| (step, name))) {
                number += 1;
                send_work(urls, number).await;
                let failpoint = format!("{step}@{name}=return");
                let killed = !run_child(urls, &failpoint, seed.wrapping_add(number.unsigned_abs()));
                assert!(killed, "not killed at {failpoint}");
            }
        }
        assert!(run_child(urls, "", seed), "the last run completes");
        let split = Split::open_urls(db.url(), other.url(), seed).await;
        let streams = split.streams().await;
        for number in 1..=number {
            let (won, lost) = (reservation(number), reservation(1_000 + number));
            let events = |stream: String| streams[&stream].clone();
            let ends = [events(format!("reservation/{won}")), events(format!("reservation/{lost}"))];
            assert!(ends.iter().all(|events| events.len() == 2), "{ends:?}");
            assert_eq!(ends.iter().filter(|events| events[1] == "Reserved").count(), 1, "{ends:?}");
            let held = events(format!("item/{}", item(number)));
            assert_eq!(held, ["ItemRegistered", "ItemHeld"], "{held:?}");
        }
        let differences = differences_with_feeds(&split.market.store, &split.feeds()).await;
        assert_eq!(differences.unwrap(), []);
    }
}
