//! The stored form of events, one snapshot per event, version and shape. Every snapshot must stay readable
//! for ever: a new version adds snapshots and an upcaster, and never changes old ones.
#![expect(clippy::unwrap_used, reason = "a test")]

#[path = "wire_format/samples.rs"]
mod samples;

use gdmarket_domain::upcast::UpcastStep;
use gdmarket_domain::{
    AlarmEvent, DecodeError, HoldEvent, ItemEvent, MarketEvent, PaymentEvent, ReservationEvent,
    StoredEvent, event_names, event_names_of,
};
use samples::{Sample, samples};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn every_event_is_written_as_its_snapshot() {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for sample in samples() {
            insta::assert_json_snapshot!(sample.snapshot_name(), sample.payload);
        }
    });
}

#[test]
fn every_snapshot_can_still_be_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    let mut read = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let payload = text.splitn(3, "---\n").nth(2).expect("a header and a body");
        let parts: Vec<&str> = name.splitn(4, '.').collect();
        let version = parts[2].strip_prefix('v').unwrap();
        let event = MarketEvent::decode(parts[0], parts[1], version, payload);
        assert!(event.is_ok(), "{name}: {event:?}");
        read.insert(name);
    }
    let current: BTreeSet<String> = samples().iter().map(Sample::snapshot_name).collect();
    assert!(current.is_subset(&read), "without a snapshot: {:?}", current.difference(&read));
    for Sample { aggregate, event_type, version, .. } in samples() {
        for version in 1..=version.parse::<u32>().unwrap() {
            let of_it = format!("{aggregate}.{event_type}.v{version}");
            let is_kept = read.iter().any(|name| {
                name.strip_prefix(&of_it)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            });
            assert!(is_kept, "{of_it}: a stored event must stay readable");
        }
    }
}

#[test]
fn written_event_is_read_back() {
    for sample in samples() {
        let text = sample.payload.to_string();
        let back =
            MarketEvent::decode(sample.aggregate, &sample.event_type, &sample.version, &text);
        assert_eq!(back.unwrap(), sample.event);
    }
}

#[test]
fn every_event_has_a_snapshot() {
    let known: BTreeSet<(&str, String)> =
        samples().iter().map(|s| (s.aggregate, s.event_type.clone())).collect();
    let all: Vec<(&str, &[&str])> = vec![
        ("item", event_names_of::<ItemEvent>()),
        ("reservation", event_names_of::<ReservationEvent>()),
        ("payment", event_names_of::<PaymentEvent>()),
        ("alarm", event_names_of::<AlarmEvent>()),
        ("hold", event_names_of::<HoldEvent>()),
    ];
    let all: BTreeSet<(&str, String)> = all
        .iter()
        .flat_map(|(aggregate, names)| names.iter().map(|n| (*aggregate, (*n).to_owned())))
        .collect();
    assert_eq!(known, all);
    assert_eq!(all.len(), 13 + 16 + 7 + 3 + 1);
    assert_eq!(event_names().len(), all.len());
}

/// A field that isn't on this list may contain personal data, and events are kept for ever.
#[test]
fn no_event_holds_personal_data() {
    let mut fields = BTreeSet::new();
    for sample in samples() {
        let Value::Object(body) = &sample.payload[sample.event_type.as_str()] else { continue };
        fields.extend(body.keys().cloned());
    }
    let harmless = [
        "amount",
        "askedOn",
        "from",
        "itemName",
        "itemNo",
        "itemPrice",
        "ownerId",
        "payBy",
        "paymentNo",
        "period",
        "reason",
        "renterId",
        "reservationNo",
        "totalPrice",
    ];
    assert_eq!(fields, harmless.map(str::to_owned).into());
}

#[test]
fn old_version_passes_every_step_up_to_the_current_one() {
    fn priced(mut payload: Value) -> Value {
        payload["ItemRegistered"]["itemPrice"] = json!(100);
        payload
    }
    fn named(mut payload: Value) -> Value {
        let body = payload["ItemRegistered"].as_object_mut().unwrap();
        let name = body.remove("name").unwrap();
        body.insert("itemName".to_owned(), name);
        payload
    }
    const TYPE: &str = "ItemRegistered";
    // The steps are out of order on purpose: their versions give the order.
    let steps = [
        UpcastStep { event_type: TYPE, from: 2, apply: named },
        UpcastStep { event_type: TYPE, from: 1, apply: priced },
    ];
    let decode = |version: &str, payload: Value| {
        let payload = &payload.to_string();
        let row =
            StoredEvent { aggregate_type: "item", number: 1, event_type: TYPE, version, payload };
        row.decode_with(&steps)
    };
    let first = json!({"ItemRegistered": {"itemNo": 1, "ownerId": null, "name": "drill"}});
    let second = json!({"ItemRegistered":
        {"itemNo": 1, "ownerId": null, "name": "drill", "itemPrice": 100}});
    let third = json!({"ItemRegistered":
        {"itemNo": 1, "ownerId": null, "itemName": "drill", "itemPrice": 100}});
    let today = decode("3", third).unwrap();
    assert_eq!(decode("1", first).unwrap(), today);
    assert_eq!(decode("2", second.clone()).unwrap(), today);
    assert!(matches!(decode("3", second.clone()), Err(DecodeError::Malformed { .. })));
    assert!(matches!(decode("4", second), Err(DecodeError::Newer { version: 4, known: 3, .. })));
}

#[test]
fn newer_event_and_broken_event_are_different_errors() {
    let good = r#"{"Alerted":{"itemNo":1}}"#;
    let decode = |aggregate, event_type, version, payload| {
        MarketEvent::decode(aggregate, event_type, version, payload)
    };
    assert!(decode("alarm", "Alerted", "1", good).is_ok());
    let newer = decode("alarm", "Alerted", "2", r#"{"Alerted":{"since":"?"}}"#);
    assert!(matches!(newer, Err(DecodeError::Newer { version: 2, known: 1, .. })));
    let unknown = decode("alarm", "Yelled", "1", r#"{"Yelled":{"itemNo":1}}"#);
    assert!(matches!(unknown, Err(DecodeError::UnknownType(name)) if name == "Yelled"));
    let elsewhere = decode("item", "Alerted", "1", good);
    assert!(matches!(elsewhere, Err(DecodeError::UnknownType(_))));
    let aggregate = decode("cart", "Alerted", "1", good);
    assert!(matches!(aggregate, Err(DecodeError::UnknownAggregate(name)) if name == "cart"));
    for (event_type, version, payload) in [
        ("Alerted", "one", good),
        ("Alerted", "1", r#"{"Alerted":{"itemNo":0}}"#),
        ("Alerted", "1", r#"{"Alerted":{}}"#),
        ("Alerted", "1", r#"{"Alerted":{"itemNo":1}"#),
        ("DeleteAlerted", "1", good),
    ] {
        let broken = decode("alarm", event_type, version, payload);
        assert!(matches!(broken, Err(DecodeError::Malformed { .. })), "{payload}: {broken:?}");
    }
}
