//! The feeds of another service's log. `HttpFeed` against owners that misbehave: everything that isn't the continuation of
//! the log is refused, named, and not given on; the same read succeeds once the owner is right again.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests and their helpers may fail"
)]

mod jet_stream_feed;
mod jet_stream_target;
mod stream_fixture;
mod stub_owner;

use gdmarket_commands::SystemClock;
use gdmarket_domain::{Service, Services};
use gdmarket_projections::{Feed, FeedError};
use gdmarket_service_token::{ServiceKeys, SharedKeys};
use gdmarket_transport::{HttpFeed, SourceClient, SourceOptions};
use std::sync::Arc;
use std::time::Duration;
use stub_owner::{OwnedLog, StubOwner};
use tokio::time::{Instant, timeout};

const SOON: Duration = Duration::from_secs(20);

fn client(owner: &StubOwner) -> SourceClient {
    let options = SourceOptions {
        poll_interval: Duration::from_millis(30),
        answer_within: Duration::from_secs(2),
        ..SourceOptions::new(Services::of(&[Service::Reservation]), owner.url(), Service::Item)
    };
    let keys = ServiceKeys::from_toml(&format!("current = \"{}\"", "a1".repeat(32))).unwrap();
    SourceClient::new(options, SharedKeys::new(keys), Arc::new(SystemClock)).unwrap()
}

async fn connected(owner: &StubOwner) -> HttpFeed {
    let feed = HttpFeed::new(client(owner));
    feed.ready().await.unwrap();
    feed
}

/// Reads until the feed gives no more.
async fn read_all(feed: &HttpFeed, limit: u32) -> Result<Vec<i64>, FeedError> {
    let (mut positions, mut reached) = (vec![], 0);
    loop {
        let page = feed.read_after(reached, limit).await?;
        let Some(last) = page.last() else { return Ok(positions) };
        reached = last.event.position;
        positions.extend(page.iter().map(|delivery| delivery.event.position));
    }
}

#[tokio::test]
async fn log_is_read_in_order_with_pages_of_every_size() {
    let owner = StubOwner::start(OwnedLog::of_reservations(23)).await;
    let feed = connected(&owner).await;
    let positions = owner.log().positions();
    for limit in (1..=24).chain([1_000, 100_000]) {
        assert_eq!(read_all(&feed, limit).await.unwrap(), positions, "{limit} a page");
    }
    for position in 0..=*positions.last().unwrap() {
        let found = feed.at(position).await.unwrap().map(|event| event.position);
        assert_eq!(found, positions.contains(&position).then_some(position));
    }
    assert_eq!(feed.head().await.unwrap(), *positions.last().unwrap());
}

/// A change of a log that its owner may not make.
type Change = fn(&mut OwnedLog);

/// Each change with what the refusal says.
const CHANGES: &[(&str, Change, &str)] = &[
    ("an event is left out", |log| drop(log.events.remove(4)), "where the event after"),
    ("the first event is left out", |log| drop(log.events.remove(0)), "where the event after 0"),
    ("an event is repeated", |log| log.repeat(3), "where the event after"),
    ("two events are exchanged", |log| log.events.swap(2, 3), "where the event after"),
    (
        "an event follows itself",
        |log| log.events[2]["previous"] = log.position(2).into(),
        "follows",
    ),
    ("a position is past the head", |log| log.head = log.position(4), "where the event after"),
    ("an item's event", |log| log.events[5]["aggregateType"] = "item".into(), "belongs to item"),
    (
        "a payment's event",
        |log| log.events[0]["aggregateType"] = "payment".into(),
        "belongs to payment",
    ),
    ("another log", |log| log.log_id += 1, "its database is another one"),
    ("a raised epoch", |log| log.epoch += 1, "migrate --restored"),
    ("a lowered epoch", |log| log.epoch -= 1, "migrate --restored"),
    ("a lost end", |log| log.head = -1, "lost events, or was restored"),
    ("another service", |log| log.services = "payment", "not of reservation"),
    ("a service of this process", |log| log.services = "item,reservation", "as this process has"),
    ("an unknown service", |log| log.services = "bakery", "no page of a log"),
    ("a newer format", |log| log.format = 2, "its format is 2"),
    ("more events than asked for", |log| log.ignores_limit = true, "more events than"),
    ("fewer events than declared", |log| log.declared_extra = 1, "of the declared"),
    ("a page of the web", |log| log.body = Some("<html>hello</html>".into()), "no page of a log"),
    ("nothing", |log| log.body = Some(String::new()), "no page of a log"),
    ("bytes that are no text", |log| log.body = Some("\u{0}\u{1}\n\u{2}".into()), "no page"),
    ("a refused token", |log| log.status = 401, "answers 401"),
    ("no such route", |log| log.status = 404, "answers 404"),
    ("a redirect", |log| log.status = 302, "answers 302"),
];

#[tokio::test]
async fn owner_that_sends_another_log_than_its_own_is_refused_as_a_whole() {
    let whole = OwnedLog::of_reservations(9);
    let owner = StubOwner::start(whole.clone()).await;
    let feed = connected(&owner).await;
    for (name, change, expected) in CHANGES {
        owner.change(change);
        let refused = feed.read_after(0, 8).await.map(|given| given.len());
        let Err(FeedError::Refused(why)) = &refused else { panic!("{name}: {refused:?}") };
        assert!(why.contains(expected), "{name}: {why}");
        assert!(why.contains(&owner.url()), "{name}: {why} names the owner");
        owner.serve(whole.clone());
        assert_eq!(read_all(&feed, 4).await.unwrap(), whole.positions(), "after {name}");
    }
}

#[tokio::test]
async fn event_of_an_aggregate_that_only_a_newer_program_knows_is_given_on() {
    let mut log = OwnedLog::of_reservations(3);
    log.events[1]["aggregateType"] = "bicycle".into();
    let owner = StubOwner::start(log.clone()).await;
    let feed = connected(&owner).await;
    assert_eq!(read_all(&feed, 10).await.unwrap(), log.positions());
}

#[tokio::test]
async fn owner_that_is_away_or_fails_is_waited_for() {
    let log = OwnedLog::of_reservations(5);
    let mut owner = StubOwner::start(log.clone()).await;
    let feed = connected(&owner).await;
    for status in [500, 503, 429, 408] {
        owner.change(|log| log.status = status);
        let failed = feed.read_after(0, 8).await;
        assert!(matches!(failed, Err(FeedError::Unreachable(_))), "{status}: {failed:?}");
    }
    owner.change(|log| log.body = Some(" ".repeat(33 * 1024 * 1024)));
    let failed = feed.read_after(0, 8).await;
    let Err(FeedError::Unreachable(why)) = failed else { panic!("{failed:?}") };
    assert!(why.contains("is larger than"), "{why}");
    owner.stop().await;
    let failed = feed.read_after(0, 8).await;
    let Err(FeedError::Unreachable(why)) = failed else { panic!("{failed:?}") };
    assert!(why.contains(&owner.url()) && why.contains("refused"), "{why}");
    // A feed of a known log needs no owner to exist.
    let known = HttpFeed::of(client(&owner), feed.source());
    assert!(matches!(known.read_after(0, 8).await, Err(FeedError::Unreachable(_))));
    owner.restart(log.clone()).await;
    assert_eq!(read_all(&feed, 8).await.unwrap(), log.positions());
    assert_eq!(read_all(&known, 8).await.unwrap(), log.positions());
}

#[tokio::test]
async fn feed_of_an_owner_that_is_away_begins_when_it_answers() {
    let log = OwnedLog::of_reservations(2);
    let mut owner = StubOwner::start(log.clone()).await;
    owner.stop().await;
    let feed = HttpFeed::new(client(&owner));
    assert!(matches!(feed.ready().await, Err(FeedError::Unreachable(_))));
    assert!(matches!(feed.read_after(0, 8).await, Err(FeedError::Unreachable(_))));
    owner.restart(OwnedLog { services: "payment", ..log.clone() }).await;
    let refused = feed.ready().await;
    assert!(matches!(refused, Err(FeedError::Refused(_))), "{refused:?}");
    assert!(feed.source().log_id.is_nil(), "an owner of another service is no source");
    owner.serve(log.clone());
    assert_eq!(read_all(&feed, 8).await.unwrap(), log.positions());
    assert_eq!((feed.source().log_id.as_u128(), feed.source().epoch), (log.log_id, log.epoch));
}

#[tokio::test]
async fn waiting_ends_at_a_new_event_or_at_its_limit() {
    let log = OwnedLog::of_reservations(4);
    let owner = StubOwner::start(log.clone()).await;
    let feed = connected(&owner).await;
    let last = *log.positions().last().unwrap();
    timeout(SOON, feed.wait_past(last - 1, Instant::now() + 2 * SOON)).await.unwrap();
    assert_eq!(feed.known_head(), last);
    feed.wait_past(last, Instant::now() + Duration::from_millis(50)).await;
    assert_eq!(feed.known_head(), last);
    owner.serve(OwnedLog::of_reservations(5));
    timeout(SOON, feed.wait_past(last, Instant::now() + 2 * SOON)).await.unwrap();
    assert!(feed.known_head() > last);
}

#[tokio::test]
async fn every_request_has_a_token_of_its_own_and_says_how_long_its_caller_waits() {
    let owner = StubOwner::start(OwnedLog::of_reservations(4)).await;
    let feed = connected(&owner).await;
    for _ in 0..5 {
        read_all(&feed, 2).await.unwrap();
    }
    let tokens = owner.tokens();
    let mut unique = tokens.clone();
    unique.sort();
    unique.dedup();
    assert!(tokens.len() > 10 && unique.len() == tokens.len(), "{tokens:?}");
    assert!(tokens.iter().all(|token| token.starts_with("v1.item.reservation.")), "{tokens:?}");
    assert!(
        owner.timeouts().iter().all(|ms| (2_000..3_000).contains(ms)),
        "{:?}",
        owner.timeouts()
    );
}
