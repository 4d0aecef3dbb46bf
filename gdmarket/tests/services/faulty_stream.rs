//! A stream that repeats every message up to five times, delivers them in another order and late, and loses some that it has
//! acknowledged: what a consumer makes of it is what it makes of the log itself.

use crate::log_consumer::{Consumed, LogConsumer, PartialOwner, RecordedLog, recorded_log};
use async_nats::HeaderMap;
use async_nats::jetstream::{self, Context};
use gdmarket_domain::{Service, Services};
use gdmarket_projections::{Delivery, LogPage, RelayTarget as _};
use gdmarket_testkit::{NatsServer, eventually, seed, size};
use gdmarket_transport::{
    HttpFeed, JetStreamFeed, JetStreamTarget, NatsConnection, NatsOptions, StreamOptions,
};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use std::sync::Arc;
use std::time::Duration;

const SOON: Duration = Duration::from_mins(1);
/// How far a message may be from its place.
const WINDOW: usize = 50;
/// How much later one message in a hundred comes.
const LATE: usize = 2_500;
/// Messages between two waits for their acknowledgements.
const IN_FLIGHT: usize = 250;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    None,
    OneInAHundred,
}

/// The order of a faulty stream, as indices of events.
fn faulty_order(count: usize, loss: Loss, random: &mut StdRng) -> Vec<usize> {
    let mut places = vec![];
    for event in 0..count {
        let is_lost = loss == Loss::OneInAHundred && random.random_range(0..100) == 0;
        let copies = if is_lost { 0 } else { random.random_range(1..=5) };
        for _ in 0..copies {
            let is_late = random.random_range(0..100) == 0;
            let delay = random.random_range(0..WINDOW) + if is_late { LATE } else { 0 };
            places.push((event + delay, event));
        }
    }
    places.sort_unstable();
    places.into_iter().map(|(_, event)| event).collect()
}

/// Publishes the events in this order, no faster than they are read: a consumer that is behind the events in its memory reads
/// the stream itself, which has to be in order then, as each relay writes it.
async fn publish(context: &Context, owner: &PartialOwner, order: &[usize], consumer: &LogConsumer) {
    for part in order.chunks(IN_FLIGHT) {
        let mut acknowledgements = vec![];
        for &event in part {
            owner.reveal(event);
            let Delivery { previous, event } = &owner.log().events[event];
            let mut headers = HeaderMap::new();
            headers.insert("Gdmarket-Log", owner.log().source.log_id.to_string().as_str());
            headers.insert("Gdmarket-Epoch", owner.log().source.epoch.to_string().as_str());
            headers.insert("Gdmarket-Position", event.position.to_string().as_str());
            headers.insert("Gdmarket-Previous", previous.to_string().as_str());
            let line =
                LogPage::event_line(&Delivery { previous: *previous, event: Arc::clone(event) });
            let subject = format!("gdmarket.item.{}.1", event.stream.kind);
            let sent = context.publish_with_headers(subject, headers, line.into()).await;
            acknowledgements.push(sent.unwrap());
        }
        for acknowledgement in acknowledgements {
            acknowledgement.await.unwrap();
        }
        // Every copy of an event that is so far behind was published.
        let newest = part.iter().max().copied().unwrap_or(0);
        if let Some(whole) = newest.checked_sub(LATE + WINDOW) {
            consumer.until_read(owner.log().events[whole].event.position).await;
        }
    }
}

/// A stream of the owner's log without messages, and the connections of a consumer and of the faulty relay.
async fn empty_stream(server: &NatsServer, owner: &PartialOwner) -> (NatsConnection, Context) {
    let options = NatsOptions {
        url: server.url().into(),
        credentials_file: None,
        ca_file: None,
        name: "test".to_owned(),
    };
    let nats = NatsConnection::open(&options).await.unwrap();
    let stream = StreamOptions {
        services: Services::of(&[Service::Item, Service::Alarm]),
        max_age: Duration::from_hours(1),
        max_bytes: 512 * 1024 * 1024,
        replicas: 1,
    };
    let target = JetStreamTarget::new(nats.clone(), stream);
    eventually(SOON, || target.resume(owner.log().source, i64::MAX)).await;
    (nats, jetstream::new(async_nats::connect(server.url()).await.unwrap()))
}

async fn consume(owner: &PartialOwner, loss: Loss, random: &mut StdRng) -> Consumed {
    let server = NatsServer::start().await;
    let (nats, context) = empty_stream(&server, owner).await;
    let http = HttpFeed::of(owner.client(), owner.log().source);
    let feed = Arc::new(JetStreamFeed::new(http, nats, Service::Item));
    eventually(SOON, || async { if feed.is_streaming() { Ok(()) } else { Err("not yet") } }).await;
    let consumer = LogConsumer::start(feed).await;
    let order = faulty_order(owner.log().events.len(), loss, random);
    publish(&context, owner, &order, &consumer).await;
    owner.reveal(owner.log().events.len() - 1);
    consumer.finish(owner.log().head()).await
}

/// What a consumer makes of the log itself.
async fn consume_log(log: &Arc<RecordedLog>) -> Consumed {
    let owner = PartialOwner::start(Arc::clone(log)).await;
    owner.reveal(log.events.len() - 1);
    let consumer = LogConsumer::start(Arc::new(HttpFeed::of(owner.client(), log.source))).await;
    let applied = consumer.finish(log.head()).await;
    assert!(applied.rows.len() > 100, "{} items", applied.rows.len());
    applied
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faulty_stream_leads_to_the_state_of_the_log() {
    let seed = seed();
    println!("GDMARKET_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let log = Arc::new(recorded_log(size(1_200, 20_000)).await);
    // Everything comes over the stream, since its owner is away; so all of it has to fit into the consumer's memory.
    let short = Arc::new(log.first(1_200));
    let away = PartialOwner::away(Arc::clone(&short));
    assert_eq!(consume(&away, Loss::None, &mut random).await, consume_log(&short).await);
    // What the stream has lost is in the log.
    let clean = consume_log(&log).await;
    for loss in [Loss::None, Loss::OneInAHundred] {
        let owner = PartialOwner::start(Arc::clone(&log)).await;
        assert_eq!(consume(&owner, loss, &mut random).await, clean, "{loss:?}");
    }
}
