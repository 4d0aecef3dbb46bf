//! Trees over one log and over several.

use super::*;
use gdmarket_store::StreamId;

const ITEM: Uuid = Uuid::from_u128(1);
const RESERVATION: Uuid = Uuid::from_u128(2);
const BEFORE_THE_SPLIT: Uuid = Uuid::from_u128(3);

fn event(position: i64, recorded_at: i64, cause: Option<(Uuid, i64)>) -> Arc<RecordedEvent> {
    let metadata = cause.map_or_else(String::new, |(log, position)| {
        format!(r#"{{"causationSource":"{log}/1","causationPosition":"{position}"}}"#)
    });
    Arc::new(RecordedEvent {
        position,
        stream: StreamId::new("item", 1),
        sequence: position,
        event_type: "ItemHeld".to_owned(),
        event_version: "1".to_owned(),
        payload: "{}".to_owned(),
        metadata,
        recorded_at,
        damage: None,
    })
}

fn log(log_id: Uuid, events: Vec<Arc<RecordedEvent>>) -> LogEvents {
    LogEvents { log_id, services: Services::ALL, events }
}

fn shape(events: &[TracedEvent]) -> String {
    let parts = events.iter().map(|e| format!("{}({})", e.event.position, shape(&e.consequences)));
    parts.collect::<Vec<_>>().join(" ")
}

#[test]
fn every_event_is_below_its_cause_and_none_is_lost() {
    let of = |position, cause: Option<i64>| event(position, 0, cause.map(|at| (ITEM, at)));
    let causes = [(5, Some(3)), (1, None), (3, Some(1)), (4, Some(1)), (7, Some(99)), (8, Some(8))];
    let events: Vec<_> = causes.into_iter().map(|(at, cause)| of(at, cause)).collect();
    let expected = "1(3(5()) 4()) 7() 8()";
    assert_eq!(shape(&tree(&[log(ITEM, events.clone())], Logs::One)), expected);
    assert_eq!(shape(&tree(&[log(RESERVATION, events.clone())], Logs::One)), expected);
    let services = |logs| -> Vec<_> {
        let found = tree(&[log(ITEM, events.clone())], logs);
        found.iter().map(|event| event.service).collect()
    };
    assert_eq!(services(Logs::One), [None; 3]);
    assert_eq!(services(Logs::All), [Some("item"); 3]);
}

#[test]
fn causes_are_found_in_the_log_that_is_named() {
    let requested = event(9, 100, None);
    let held = event(9, 200, Some((RESERVATION, 9)));
    let reserved = event(10, 300, Some((ITEM, 9)));
    let logs = |known| {
        let logs = [
            log(ITEM, vec![Arc::clone(&held)]),
            log(RESERVATION, vec![Arc::clone(&reserved), Arc::clone(&requested)]),
        ];
        shape(&tree(&logs, known))
    };
    assert_eq!(logs(Logs::All), "9(9(10()))");
    let alone = [log(RESERVATION, vec![reserved, requested])];
    assert_eq!(shape(&tree(&alone, Logs::Some)), "9() 10()", "its cause is in another log");
}

#[test]
fn causes_from_before_the_split_are_found_by_their_position() {
    let old_cause = Some((BEFORE_THE_SPLIT, 9));
    let logs = |known| {
        let logs = [
            log(ITEM, vec![event(9, 500, None)]),
            log(RESERVATION, vec![event(9, 100, None), event(12, 200, old_cause)]),
        ];
        shape(&tree(&logs, known))
    };
    assert_eq!(logs(Logs::All), "9(12()) 9()");
    assert_eq!(logs(Logs::Some), "9() 12() 9()", "the missing log may have it");
}

#[test]
fn events_that_name_each_other_as_causes_are_not_lost() {
    let logs = [
        log(ITEM, vec![event(1, 100, Some((RESERVATION, 1)))]),
        log(RESERVATION, vec![event(1, 200, Some((ITEM, 1)))]),
    ];
    assert_eq!(shape(&tree(&logs, Logs::All)), "1(1())");
}
