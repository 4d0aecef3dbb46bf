//! Accepts the entries of an archive whose names and actors the interface accepts, by the same rules. Earlier versions
//! accepted more names; the operator may allow these, too.

use gdmarket_domain::{Actor, NameError, check_name_of_earlier_versions, checked_name};
use gdmarket_store::{EntryFault, RecordedEvent, WrittenEntry};
use serde_json::{Map, Value};

/// The field of an event that holds a name.
const ITEM_NAME: &str = "itemName";
/// The next step for a name that earlier versions accepted.
const NAME_OF_EARLIER_VERSIONS: &str = "nothing was imported; if the archive is of a market of an earlier \
     version, import its names as they are with --accept-names-of-earlier-versions";
/// The next step for a name or actor that no version accepted.
const NEVER_ACCEPTED: &str = "nothing was imported; no version accepts this from a caller, so another program \
     wrote it: export again from a copy of the log without it, or repair that log first";

/// Which names are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum NameRule {
    /// Those that the interface accepts.
    Today,
    /// Those that the interface of any version accepted.
    EarlierVersions,
}

/// Refuses an entry that no caller could have sent, and names its faulty field.
pub(in super::super) fn accept(entry: &WrittenEntry<'_>, rule: NameRule) -> Result<(), EntryFault> {
    match entry {
        WrittenEntry::Name { of, name } => {
            check_name(name, rule).map_err(|refusal| refusal.of(&format!("the name of {of}")))
        }
        WrittenEntry::Event(event) => {
            check_actor(event)?;
            check_item_names(event, rule)
        }
    }
}

/// Why a name isn't accepted.
struct NameRefusal {
    error: NameError,
    next: &'static str,
}

impl NameRefusal {
    fn of(&self, field: &str) -> EntryFault {
        EntryFault { fault: format!("{field}: {}", self.error), next: self.next }
    }
}

fn check_name(name: &str, rule: NameRule) -> Result<(), NameRefusal> {
    let Err(today) = checked_name(name) else { return Ok(()) };
    match (check_name_of_earlier_versions(name), rule) {
        (Ok(()), NameRule::EarlierVersions) => Ok(()),
        (Ok(()), NameRule::Today) => {
            Err(NameRefusal { error: today, next: NAME_OF_EARLIER_VERSIONS })
        }
        (Err(error), _) => Err(NameRefusal { error, next: NEVER_ACCEPTED }),
    }
}

/// Checks the actor by the rule of all versions. Metadata that can't be read has no actor; the tools show it as it is.
fn check_actor(event: &RecordedEvent) -> Result<(), EntryFault> {
    let metadata = serde_json::from_str::<Map<String, Value>>(&event.metadata).unwrap_or_default();
    let Some(actor) = metadata.get("actor").and_then(Value::as_str) else { return Ok(()) };
    let is_process = actor.strip_prefix("process:").is_some_and(|name| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    });
    match actor.parse::<Actor>() {
        Err(error) if !is_process => {
            let fault = format!("{}, metadata.actor: {error}", place(event));
            Err(EntryFault { fault, next: NEVER_ACCEPTED })
        }
        _ => Ok(()),
    }
}

fn check_item_names(event: &RecordedEvent, rule: NameRule) -> Result<(), EntryFault> {
    if !event.payload.contains(ITEM_NAME) {
        return Ok(());
    }
    let payload = serde_json::from_str::<Map<String, Value>>(&event.payload).unwrap_or_default();
    let mut names = payload.iter().filter_map(|(kind, data)| Some((kind, data.get(ITEM_NAME)?)));
    names.try_for_each(|(kind, name)| match name.as_str() {
        Some(name) if !name.is_empty() => check_name(name, rule).map_err(|refusal| {
            refusal.of(&format!("{}, payload.{kind}.{ITEM_NAME}", place(event)))
        }),
        _ => Ok(()),
    })
}

fn place(event: &RecordedEvent) -> String {
    format!("event {} ({})", event.position, event.stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gdmarket_store::StreamId;

    fn event(payload: &str, metadata: &str) -> RecordedEvent {
        RecordedEvent {
            position: 1,
            stream: StreamId::new("item", 1),
            sequence: 1,
            event_type: "ItemRegistered".to_owned(),
            event_version: "1".to_owned(),
            payload: payload.to_owned(),
            metadata: metadata.to_owned(),
            recorded_at: 0,
            damage: None,
        }
    }

    fn named(name: &str) -> String {
        format!("{{\"ItemRegistered\":{{\"itemName\":\"{name}\"}}}}")
    }

    fn next_step(payload: &str, metadata: &str, rule: NameRule) -> Option<&'static str> {
        let refused = accept(&WrittenEntry::Event(&event(payload, metadata)), rule).err()?;
        let field = if payload.contains("Camera") {
            "event 1 (item/1), metadata.actor: "
        } else {
            "event 1 (item/1), payload.ItemRegistered.itemName: "
        };
        assert!(refused.fault.starts_with(field), "{refused:?}");
        Some(refused.next)
    }

    #[test]
    fn entries_that_no_version_accepted_are_refused_by_either_rule() {
        for (payload, metadata) in [
            (named("a\\u001b[31m"), "{}"),
            (named(&"a".repeat(101)), "{}"),
            (named("Camera"), "{\"actor\":\"operator:\\u001b\"}"),
            (named("Camera"), "{\"actor\":\"process:\\u001b\"}"),
            (named("Camera"), "{\"actor\":\"root\"}"),
        ] {
            for rule in [NameRule::Today, NameRule::EarlierVersions] {
                let next = next_step(&payload, metadata, rule);
                assert_eq!(next, Some(NEVER_ACCEPTED), "{payload} {metadata} {rule:?}");
            }
        }
    }

    #[test]
    fn names_of_earlier_versions_are_accepted_only_on_request() {
        for name in ["a\\u202eb", "a\\u200bb", "\\u3164"] {
            let next = next_step(&named(name), "{}", NameRule::Today);
            assert_eq!(next, Some(NAME_OF_EARLIER_VERSIONS), "{name}");
            assert_eq!(next_step(&named(name), "{}", NameRule::EarlierVersions), None, "{name}");
        }
    }

    #[test]
    fn entries_that_the_interface_accepts_are_accepted_by_either_rule() {
        for (payload, metadata) in [
            (named("Camera"), "{\"actor\":\"owner:7\"}"),
            (named("Camera"), "{\"actor\":\"process:alarm_saga\"}"),
            (named("Camera"), "{}"),
            ("not JSON".to_owned(), "not JSON"),
            ("{\"ItemChanged\":{\"itemName\":null}}".to_owned(), "{}"),
        ] {
            for rule in [NameRule::Today, NameRule::EarlierVersions] {
                assert_eq!(next_step(&payload, metadata, rule), None, "{payload} {metadata}");
            }
        }
    }

    #[test]
    fn names_of_persons_follow_the_same_rules() {
        let check =
            |name, rule| accept(&WrittenEntry::Name { of: format_args!("person 3"), name }, rule);
        assert_eq!(check("김", NameRule::Today), Ok(()));
        let fault = check("a\nb", NameRule::EarlierVersions).unwrap_err();
        assert_eq!(fault.fault, "the name of person 3: a name has no control characters");
        assert_eq!(fault.next, NEVER_ACCEPTED);
        let fault = check("a\u{200b}", NameRule::Today).unwrap_err();
        assert_eq!(fault.next, NAME_OF_EARLIER_VERSIONS);
        assert_eq!(check("a\u{200b}", NameRule::EarlierVersions), Ok(()));
    }
}
