//! Executing one command: versions, permissions, event metadata, races between two processes, and callers
//! that go away.

use crate::market::{self, LONG, Market, by, hold, item_no, operator, price, reservation_no};
use chrono::Days;
use gdmarket_commands::{Causation, CommandError, CommandMeta, Dependency, Precondition};
use gdmarket_domain::{Actor, ItemCommand, ItemNo, PersonId, RentalPeriod};
use gdmarket_store::{Append, NewEvent, ReceiptKind, StreamId};
use gdmarket_testkit::{TestDb, on_each_engine};
use std::collections::HashSet;
use std::future::Future;
use std::task::{Context, Poll, Waker};
use tokio::time::timeout;

fn reprice(won: i64) -> ItemCommand {
    ItemCommand::Change { item_name: None, item_price: Some(price(won)) }
}

/// A period of one day, this many days from now.
fn day(number: u64) -> RentalPeriod {
    let from = market::today() + Days::new(number);
    RentalPeriod::new(from, from + Days::new(1)).unwrap()
}

fn if_match(version: i64) -> CommandMeta {
    CommandMeta { precondition: Precondition::version(version), ..operator() }
}

on_each_engine! {
    async fn version_counts_the_events_and_if_match_is_checked_against_it(db: &TestDb) {
        let market = Market::open(db).await;
        let no = market.register().await;
        let executed = market.reprice(no, 200, if_match(1)).await.unwrap();
        assert_eq!((executed.version, executed.first_sequence, executed.count), (2, 2, 1));
        assert!(executed.position > 0 && !executed.replayed);
        let stale = market.reprice(no, 300, if_match(1)).await;
        assert_eq!(stale, Err(CommandError::StaleVersion { current: 2 }));
        let same = market.reprice(no, 200, operator()).await.unwrap();
        assert_eq!((same.version, same.count, same.position), (2, 0, 0));
        market.close().await;
    }

    async fn stranger_and_missing_number_get_different_errors(db: &TestDb) {
        let market = Market::open(db).await;
        let (no, owner) = (market.register().await, PersonId::new(3).unwrap());
        let stranger = by(Actor::Owner(owner));
        let refused = market.commands.delete_item(no, &stranger).await;
        assert_eq!(refused, Err(CommandError::WrongActor));
        let missing = market.commands.delete_item(item_no(99), &stranger).await;
        assert!(matches!(missing, Err(CommandError::NotFound { .. })), "{missing:?}");
        market.close().await;
    }

    async fn event_metadata_is_a_flat_map_of_strings_with_actor_and_cause(db: &TestDb) {
        let market = Market::open(db).await;
        let no = market.register().await;
        let meta = CommandMeta {
            causation: Some(Causation { source: "log/1".to_owned(), position: 5 }),
            traceparent: Some("00-1-2-01".to_owned()),
            ..operator()
        };
        market.commands.delete_item(no, &meta).await.unwrap();
        let last = market.log().await.pop().unwrap();
        let map: std::collections::BTreeMap<String, String> =
            serde_json::from_str(&last.metadata).unwrap();
        let expected = [
            ("actor", "operator:local".to_owned()),
            ("causationPosition", "5".to_owned()),
            ("causationSource", "log/1".to_owned()),
            ("commandId", meta.command_id.to_string()),
            ("correlationId", meta.correlation_id.to_string()),
            ("schemaVersion", "1".to_owned()),
            ("traceparent", "00-1-2-01".to_owned()),
        ];
        assert_eq!(map, expected.map(|(key, value)| (key.to_owned(), value)).into());
        market.close().await;
    }

    async fn payload_of_another_stream_is_reported_as_damage(db: &TestDb) {
        let market = Market::open(db).await;
        let (no, other) = (market.register().await, market.register().await);
        market.reprice(no, 200, operator()).await.unwrap();
        market.close().await;
        let foreign = format!(
            "{{\"ItemChanged\":{{\"itemNo\":{other},\"itemName\":\"Camera\",\"itemPrice\":200}}}}"
        );
        db.log_sql(&format!(
            "UPDATE events SET payload = '{foreign}' \
             WHERE aggregate_type = 'item' AND aggregate_id = '{no}' AND sequence = 2"
        ))
        .await;
        let market = Market::open(db).await;
        let before = market.log().await.len();
        for won in [200, 300] {
            let refused = market.reprice(no, won, operator()).await;
            let Err(CommandError::Damaged(why)) = refused else { panic!("{refused:?}") };
            let (named, own) = (format!("names item/{other}"), format!("item/{no}/2"));
            assert!(why.contains(&named) && why.contains(&own), "{why}");
        }
        assert_eq!(market.log().await.len(), before, "nothing is written");
        market.reprice(other, 300, operator()).await.unwrap();
        market.close().await;
    }

    async fn stream_with_an_event_of_a_newer_program_is_refused(db: &TestDb) {
        let market = Market::open(db).await;
        let no = market.register().await;
        let newer = Append {
            command_id: operator().command_id,
            fingerprint: Vec::new(),
            stream: StreamId { kind: "item".into(), number: no.get() },
            expected: 1,
            events: vec![NewEvent {
                event_type: "ItemChanged".to_owned(),
                event_version: "99".to_owned(),
                payload: "{}".to_owned(),
            }],
            metadata: "{}".to_owned(),
            kind: ReceiptKind::Done,
            personal: None,
        };
        market.store.appender().append(newer).await.unwrap();
        let left = market.commands.delete_item(no, &operator()).await;
        assert_eq!(left, Err(CommandError::NewerEvent));
        market.close().await;
    }

    async fn value_that_the_store_cannot_hold_is_refused_and_the_next_command_succeeds(db: &TestDb) {
        let market = Market::open(db).await;
        let no = market.register().await;
        let name = Some("dr\0ill".to_owned());
        let refused = market.commands.change_item(no, name, None, &operator()).await;
        assert!(matches!(refused, Err(CommandError::Rejected(_))), "{refused:?}");
        assert_eq!(market.reprice(no, 200, operator()).await.unwrap().version, 2);
        market.close().await;
    }

    async fn command_without_the_database_is_unavailable_and_may_be_repeated(db: &TestDb) {
        let market = Market::open(db).await;
        let no = market.register().await;
        market.store.close().await;
        for no in [no, item_no(99)] {
            let away = market.reprice(no, 200, operator()).await;
            let what = Dependency::Store;
            assert!(
                matches!(away, Err(CommandError::Unavailable { what: w, .. }) if w == what),
                "{away:?}"
            );
        }
    }

    async fn command_completes_though_its_caller_goes_away(db: &TestDb) {
        let market = Market::open(db).await;
        let no = market.register().await;
        for won in 1..=20 {
            let mut call = Box::pin(market.reprice(no, won, operator()));
            let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(matches!(polled, Poll::Pending), "the command was done before the caller went away");
            drop(call);
        }
        market.commands.close().await;
        assert_eq!(market.stream("item", no.get()).await.len(), 21);
        market.close().await;
    }
}

/// Commands whose refusal, no-op or version would be wrong if it were decided on a stale cache.
async fn stale_answers_never_reach_a_caller(one: &Market, other: &Market) {
    let no = one.register().await;
    let (first, second) = (reservation_no(101), reservation_no(102));
    one.item(no, hold(first)).await.unwrap();
    let taken = other.item(no, hold(second)).await.unwrap_err();
    assert!(matches!(&taken, CommandError::Refused { code, .. } if code == "item-taken"));
    one.item(no, ItemCommand::Release { reservation_no: first }).await.unwrap();
    other.item(no, hold(second)).await.unwrap();

    one.item(no, reprice(200)).await.unwrap();
    let back = other.item(no, reprice(100)).await.unwrap();
    assert_eq!(back.count, 1, "the other process still has 100 in its cache");

    let current = one.item(no, reprice(300)).await.unwrap().version;
    other.commands.change_item(no, None, Some(price(400)), &if_match(current)).await.unwrap();
}

/// Tasks in two processes change the same two items: every success has its event.
async fn conflict_storm(one: &Market, other: &Market) {
    let items: Vec<ItemNo> = vec![one.register().await, one.register().await];
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..16_u64 {
        let market = if task % 2 == 0 { one.clone() } else { other.clone() };
        let items = items.clone();
        tasks.spawn(async move {
            let mut done = 0;
            for round in 0..10 {
                for no in &items {
                    let period = day(2 * (task * 10 + round));
                    let executed =
                        market.item(*no, ItemCommand::BlockPeriod { period }).await.unwrap();
                    assert_eq!(executed.count, 1);
                    done += 1;
                }
            }
            done
        });
    }
    let done: usize = tasks.join_all().await.into_iter().sum();
    assert_eq!(done, 320);
    for no in items {
        let events = one.log().await.into_iter();
        let sequences: Vec<i64> = events
            .filter(|event| event.stream.kind == "item" && event.stream.number == no.get())
            .map(|event| event.sequence)
            .collect();
        assert_eq!(sequences, (1..=161).collect::<Vec<i64>>());
    }
}

on_each_engine! {
    async fn two_processes_on_one_database_answer_from_its_state(db: &TestDb) {
        let one = Market::open(db).await;
        let other = one.in_another_process(db).await;
        stale_answers_never_reach_a_caller(&one, &other).await;
        conflict_storm(&one, &other).await;
        one.close().await;
        other.close().await;
    }
}

#[test]
fn close_waits_for_started_commands() {
    gdmarket_testkit::run(async {
        let db = TestDb::sqlite();
        let market = Market::open(&db).await;
        market.gateway.set(crate::fakes::Behaviour::Wait);
        let (_, no) = market.reserved().await;
        market.pay(no).await.unwrap();
        let commands = market.commands.clone();
        let mut closing = Box::pin(commands.close());
        let polled = closing.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Pending), "a charge is in flight");
        market.gateway.release();
        timeout(LONG, closing).await.unwrap();
        assert_eq!(market.stream("payment", 1).await, ["PaymentStarted", "PaymentApproved"]);
        market.close().await;
    });
}

#[test]
fn ids_of_different_requests_differ() {
    let routes = ["/items", "/reservations"];
    let keys = ["a", "b"];
    let ids: HashSet<_> = routes
        .iter()
        .flat_map(|route| keys.map(|key| market::keyed(route, key, "").command_id))
        .collect();
    assert_eq!(ids.len(), 4);
}
