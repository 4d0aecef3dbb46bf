//! `JetStreamFeed` on a real server: events come over the stream, also while their owner is away; what a stream loses,
//! repeats, reorders or invents does no harm.

use crate::client;
use crate::stream_fixture::{
    Forger, SOON, connected, deliveries, identity, options, publish, until_open,
};
use crate::stub_owner::{OwnedLog, StubOwner};
use async_nats::HeaderMap;
use gdmarket_domain::Service;
use gdmarket_projections::{Delivery, Feed as _, FeedError, Identity, RecordedEvent};
use gdmarket_testkit::{NatsServer, eventually};
use gdmarket_transport::{HttpFeed, JetStreamFeed, NatsConnection};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

/// A market with a stream that has the first events of its owner's log.
struct Streamed {
    server: NatsServer,
    nats: NatsConnection,
    owner: StubOwner,
    whole: OwnedLog,
    feed: JetStreamFeed,
}

/// The first events of a log.
fn first(log: &OwnedLog, count: usize) -> OwnedLog {
    let events = log.events[..count].to_vec();
    OwnedLog { head: log.position(count - 1), events, ..log.clone() }
}

impl Streamed {
    async fn start(count: i64, published: usize) -> Self {
        let server = NatsServer::start().await;
        let whole = OwnedLog::of_reservations(count);
        let owner = StubOwner::start(first(&whole, published)).await;
        let nats = connected(&server).await;
        publish(&nats, identity(&whole), &deliveries(&whole)[..published]).await;
        let feed = JetStreamFeed::new(HttpFeed::new(client(&owner)), nats.clone(), SERVICE);
        let streamed = Self { server, nats, owner, whole, feed };
        streamed.until_streaming().await;
        streamed
    }

    async fn until_streaming(&self) {
        let is_streaming =
            || async { if self.feed.is_streaming() { Ok(()) } else { Err("not yet") } };
        eventually(SOON, is_streaming).await;
    }

    fn deliveries(&self) -> Vec<Delivery> {
        deliveries(&self.whole)
    }

    fn source(&self) -> Identity {
        identity(&self.whole)
    }

    /// Reads from the beginning until the end of the log, as a subscription does.
    async fn read_all(&self) -> Vec<i64> {
        let end = self.whole.head;
        timeout(SOON, read_until(&self.feed, 0, end)).await.unwrap()
    }
}

const SERVICE: Service = Service::Reservation;

/// Reads as a subscription does: what doesn't continue the checkpoint is left out.
async fn read_until(feed: &JetStreamFeed, after: i64, end: i64) -> Vec<i64> {
    let (mut positions, mut reached) = (vec![], after);
    while reached < end {
        match feed.read_after(reached, 7).await {
            Ok(page) if page.is_empty() => {
                feed.wait_past(reached, Instant::now() + Duration::from_millis(200)).await;
            }
            Ok(page) => {
                for Delivery { previous, event } in page {
                    assert_eq!(previous, reached, "every feed gives what continues");
                    assert_eq!(event.sequence, 1, "and nothing of another log");
                    reached = event.position;
                    positions.push(reached);
                }
            }
            Err(FeedError::Unreachable(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(other) => panic!("{other}"),
        }
    }
    positions
}

#[tokio::test]
async fn events_come_over_the_stream_while_their_owner_is_away() {
    let mut market = Streamed::start(40, 10).await;
    let (source, events) = (market.source(), market.deliveries());
    let begun = read_until(&market.feed, 0, market.whole.position(9)).await;
    assert_eq!(begun, market.whole.positions()[..10]);
    market.owner.stop().await;
    let reached = market.whole.position(9);
    let reading = async {
        publish(&market.nats, source, &events[10..25]).await;
        publish(&market.nats, source, &events[25..]).await;
    };
    let (read, ()) = tokio::join!(read_until(&market.feed, reached, market.whole.head), reading);
    assert_eq!(read, market.whole.positions()[10..]);
    let head = market.feed.head_for(market.whole.head).await.unwrap();
    assert_eq!(head, market.whole.head);
    assert!(market.feed.at(market.whole.head).await.unwrap().is_some());
    // A position that no one but the owner can confirm is no lost end.
    let unknown = market.feed.head_for(market.whole.head + 1).await;
    assert!(matches!(unknown, Err(FeedError::Unreachable(_))), "{unknown:?}");

    // A process that starts while the owner is away reads what the stream has kept.
    let http = HttpFeed::of(client(&market.owner), source);
    market.feed = JetStreamFeed::new(http, market.nats.clone(), SERVICE);
    market.until_streaming().await;
    assert_eq!(market.read_all().await, market.whole.positions());
}

#[tokio::test]
async fn lost_repeated_reordered_and_foreign_messages_do_no_harm() {
    let market = Streamed::start(60, 2).await;
    let forger = Forger::new(&market.server).await;
    let (source, events) = (market.source(), market.deliveries());
    // Every seventh one is lost, the others come in the wrong order, some of them twice.
    let kept: Vec<&Delivery> =
        events.iter().enumerate().filter(|(at, _)| at % 7 != 3).map(|(_, event)| event).collect();
    market.owner.serve(market.whole.clone());
    for chunk in kept.chunks(5) {
        let other_log = Identity { log_id: Uuid::from_u128(1), ..source };
        let newer_epoch = Identity { epoch: source.epoch + 1, ..source };
        let invented = Delivery { previous: market.whole.head, ..chunk[0].clone() };
        let event = RecordedEvent { sequence: 99, ..(*chunk[0].event).clone() };
        let foreign = Delivery { event: Arc::new(event), ..*chunk[0] };
        for log in [other_log, newer_epoch] {
            forger.forge(log, &foreign).await;
        }
        for delivery in chunk.iter().rev().chain(chunk.first()) {
            forger.forge(source, delivery).await;
        }
        forger.forge(source, &invented).await;
        forger.send(HeaderMap::new(), "hello".to_owned()).await;
    }
    assert_eq!(market.read_all().await, market.whole.positions());
    let at_the_end = market.feed.read_after(market.whole.head, 10).await.unwrap();
    assert!(at_the_end.is_empty(), "{at_the_end:?}");
}

#[tokio::test]
async fn source_that_was_restored_is_refused_and_named() {
    let market = Streamed::start(6, 5).await;
    let events = market.deliveries();
    read_until(&market.feed, 0, market.whole.position(4)).await;
    let raised = Identity { epoch: market.whole.epoch + 1, ..market.source() };
    market.owner.serve(OwnedLog { epoch: raised.epoch, ..market.whole.clone() });
    publish(&market.nats, raised, &events).await;
    let refused = eventually(SOON, || async {
        match market.feed.read_after(market.whole.position(4), 10).await {
            Err(FeedError::Refused(why)) => Ok(why),
            other => Err(other.map(|events| events.len())),
        }
    });
    let refused = refused.await;
    assert!(refused.contains("migrate --restored"), "{refused}");
    market.owner.serve(market.whole.clone());
    let read = timeout(SOON, async {
        loop {
            let read = market.feed.read_after(market.whole.position(4), 10).await;
            if let Ok(read) = read.as_ref().map(Vec::len)
                && read == 1
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    read.await.unwrap();
}

#[tokio::test]
async fn server_that_dies_or_loses_its_streams_is_done_without() {
    let mut market = Streamed::start(50, 10).await;
    let (source, events) = (market.source(), market.deliveries());
    let mut reached = 0;
    for (round, until) in [20, 30, 40, 50].into_iter().enumerate() {
        market.server.kill();
        market.owner.serve(first(&market.whole, until - 5));
        let end = market.whole.position(until - 6);
        timeout(SOON, read_until(&market.feed, reached, end)).await.unwrap();
        if round % 2 == 1 {
            market.server.wipe();
        }
        market.server.restart().await;
        until_open(&market.nats).await;
        // What was appended while the server was away is published by the relay on its return.
        let target = crate::stream_fixture::target(&market.nats);
        let target = &target;
        eventually(SOON, || async {
            use gdmarket_projections::RelayTarget as _;
            let kept = target.resume(source, i64::MAX).await?;
            let positions = market.whole.positions();
            let next = kept.and_then(|kept| positions.iter().position(|at| *at == kept));
            target.publish(source, &events[next.map_or(0, |at| at + 1)..until]).await
        })
        .await;
        market.until_streaming().await;
        market.owner.serve(first(&market.whole, until));
        reached = market.whole.position(until - 1);
        let read = timeout(SOON, read_until(&market.feed, end, reached)).await.unwrap();
        assert_eq!(read, market.whole.positions()[until - 5..until]);
    }
}

#[tokio::test]
async fn feed_without_a_server_polls_and_streams_once_there_is_one() {
    let mut server = NatsServer::start().await;
    server.kill();
    let whole = OwnedLog::of_reservations(12);
    let owner = StubOwner::start(whole.clone()).await;
    let nats = NatsConnection::open(&options(&server)).await.unwrap();
    let feed = JetStreamFeed::new(HttpFeed::new(client(&owner)), nats.clone(), SERVICE);
    let read = timeout(SOON, read_until(&feed, 0, whole.head)).await.unwrap();
    assert_eq!(read, whole.positions());
    server.restart().await;
    until_open(&nats).await;
    publish(&nats, identity(&whole), &deliveries(&whole)).await;
    eventually(SOON, || async { if feed.is_streaming() { Ok(()) } else { Err("not yet") } }).await;
    Forger::new(&server).await.delete_stream().await;
    eventually(SOON, || async { if feed.is_streaming() { Err("still") } else { Ok(()) } }).await;
    assert_eq!(timeout(SOON, read_until(&feed, 0, whole.head)).await.unwrap(), whole.positions());
}
