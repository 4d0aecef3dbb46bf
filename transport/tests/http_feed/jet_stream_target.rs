//! The stream that a log is copied to, on a real server: each position once and in order, whatever happens between.

use crate::stream_fixture::{
    Forger, SOON, connected, deliveries, identity, target, target_of, until_open,
};
use crate::stub_owner::OwnedLog;
use async_nats::HeaderMap;
use gdmarket_domain::Service;
use gdmarket_projections::{Identity, RelayError, RelayTarget as _};
use gdmarket_testkit::{NatsServer, eventually};
use uuid::Uuid;

#[tokio::test]
async fn each_position_is_published_once_also_by_a_relay_that_took_over_or_was_late() {
    let server = NatsServer::start().await;
    let (nats, forger) = (connected(&server).await, Forger::new(&server).await);
    let log = OwnedLog::of_reservations(300);
    let (source, events, head) = (identity(&log), deliveries(&log), log.head);
    let first = target(&nats);
    assert_eq!(first.resume(source, head).await.unwrap(), None);
    first.publish(source, &events[..100]).await.unwrap();

    // A second process takes over while the first one still believes that it is the relay.
    let second = target(&nats);
    assert_eq!(second.resume(source, head).await.unwrap(), Some(log.position(99)));
    second.publish(source, &events[100..200]).await.unwrap();
    let late = first.publish(source, &events[100..200]).await;
    assert!(matches!(late, Err(RelayError::Unknown(_))), "{late:?}");
    assert_eq!(first.resume(source, head).await.unwrap(), Some(log.position(199)));

    // One in the middle of whose window the process was killed.
    let cut =
        tokio::time::timeout(std::time::Duration::ZERO, first.publish(source, &events[200..]));
    drop(cut.await);
    let next = target(&nats);
    let reached = eventually(SOON, || async {
        let reached = next.resume(source, head).await.unwrap();
        let index = log.positions().iter().position(|position| Some(*position) == reached);
        let rest = &events[index.unwrap() + 1..];
        next.publish(source, rest).await.map(|()| rest.len())
    });
    assert!(reached.await <= 100);
    assert_eq!(forger.positions().await, log.positions());
}

#[tokio::test]
async fn stream_that_was_lost_is_created_again() {
    let mut server = NatsServer::start().await;
    let nats = connected(&server).await;
    let log = OwnedLog::of_reservations(9);
    let (source, events) = (identity(&log), deliveries(&log));
    let target = target(&nats);
    target.resume(source, log.head).await.unwrap();
    target.publish(source, &events[..5]).await.unwrap();
    server.kill();
    eventually(SOON, || async {
        let sent = target.publish(source, &events[5..]).await;
        if sent.is_err() && !nats.is_open() { Ok(()) } else { Err(sent) }
    })
    .await;
    server.wipe();
    server.restart().await;
    until_open(&nats).await;
    let sent = target.publish(source, &events[5..]).await;
    assert!(matches!(sent, Err(RelayError::Unknown(_))), "{sent:?}");
    assert_eq!(target.resume(source, log.head).await.unwrap(), None);
    target.publish(source, &events).await.unwrap();
    assert_eq!(Forger::new(&server).await.positions().await, log.positions());
}

#[tokio::test]
async fn what_a_stream_has_is_mixed_with_no_other_log() {
    let server = NatsServer::start().await;
    let (nats, forger) = (connected(&server).await, Forger::new(&server).await);
    let log = OwnedLog::of_reservations(4);
    let (source, events, head) = (identity(&log), deliveries(&log), log.head);
    let target = target(&nats);
    target.resume(source, head).await.unwrap();
    target.publish(source, &events).await.unwrap();

    let other = Identity { log_id: Uuid::from_u128(5), ..source };
    let refused = target.resume(other, head).await.unwrap_err();
    let is_named = |text: &str| text.contains(&other.log_id.to_string());
    assert!(matches!(&refused, RelayError::Refused(why) if is_named(why)), "{refused}");
    let older = Identity { epoch: source.epoch - 1, ..source };
    let refused = target.resume(older, head).await.unwrap_err();
    assert!(matches!(&refused, RelayError::Refused(why) if why.contains("older")), "{refused}");
    assert_eq!(target.resume(source, head).await.unwrap(), Some(head), "nothing was changed");

    // After a restore the stream is filled again; its sequence continues.
    let before = forger.info().await.state.last_sequence;
    let raised = Identity { epoch: source.epoch + 1, ..source };
    assert_eq!(target.resume(raised, head).await.unwrap(), None);
    target.publish(raised, &events[..2]).await.unwrap();
    assert_eq!(forger.info().await.state.last_sequence, before + 2);
    assert_eq!(forger.positions().await, log.positions()[..2]);

    // Neither a message that no relay wrote nor one past the head of the log is taken for the end of the log.
    forger.send(HeaderMap::new(), "hello".to_owned()).await;
    assert_eq!(target.resume(raised, head).await.unwrap(), None);
    target.publish(raised, &events).await.unwrap();
    assert_eq!(target.resume(raised, head - 1).await.unwrap(), None);
    assert_eq!(forger.info().await.state.messages, 0);
}

#[tokio::test]
async fn service_has_one_stream() {
    let server = NatsServer::start().await;
    let nats = connected(&server).await;
    let log = OwnedLog::of_reservations(1);
    let both = target_of(&nats, &[Service::Reservation, Service::Payment]);
    both.resume(identity(&log), log.head).await.unwrap();
    let other = target_of(&nats, &[Service::Payment]);
    let refused = other.resume(identity(&log), log.head).await.unwrap_err();
    let is_named = |why: &str| why.contains("GDMARKET_PAYMENT") && why.contains("another");
    assert!(matches!(&refused, RelayError::Refused(why) if is_named(why)), "{refused}");
    // The first process runs one service only from now on.
    target(&nats).resume(identity(&log), log.head).await.unwrap();
    assert_eq!(other.resume(identity(&log), log.head).await.unwrap(), None);
}
