//! What comes with a command, and what is known once it is done.

use crate::command_id::step_command_id;
use gdmarket_domain::Actor;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Which shape the metadata of events has.
const SCHEMA_VERSION: &str = "1";

/// Who asks, why, and how a repeat of the same request is told from a new one.
#[derive(Debug, Clone)]
pub struct CommandMeta {
    /// The same request has the same id ([`crate::http_command_id`]); a request without a key has a
    /// fresh one.
    pub command_id: Uuid,
    /// What all commands and events that follow from one request have in common.
    pub correlation_id: Uuid,
    /// The event that caused the command: the source's name and the event's position there.
    pub causation: Option<(String, i64)>,
    /// On whose behalf.
    pub actor: Actor,
    /// The W3C trace context.
    pub traceparent: Option<String>,
    /// What the request says; the same id with another fingerprint is refused.
    pub fingerprint: Vec<u8>,
    /// `If-Match` and `If-None-Match`: which versions the command may change.
    pub precondition: Precondition,
    /// Whether a client's key stands behind the id: then refusals and no-ops are remembered too.
    pub keyed: bool,
    /// Whether nothing is under way that a refusal could pass by: then it is remembered as any other.
    pub is_last_word: bool,
}

impl CommandMeta {
    /// The meta of step `step` of the same request; only step 0 is held against `If-Match`.
    #[must_use]
    pub fn step(&self, step: u32) -> Self {
        let precondition =
            if step == 0 { self.precondition.clone() } else { Precondition::default() };
        Self { command_id: step_command_id(self.command_id, step), precondition, ..self.clone() }
    }

    /// The meta of a fact that the process `name` records because of this command.
    pub(crate) fn process(&self, name: &'static str, command_id: Uuid) -> Self {
        Self {
            command_id,
            actor: Actor::Process(name),
            fingerprint: Vec::new(),
            precondition: Precondition::default(),
            keyed: false,
            is_last_word: false,
            ..self.clone()
        }
    }

    /// The metadata of the events: a flat JSON map of strings, as cqrs-es reads it. `note` is why somebody
    /// asked for it.
    pub(crate) fn to_json(&self, note: Option<&str>) -> Result<String, serde_json::Error> {
        let mut map = BTreeMap::from([
            ("commandId", self.command_id.to_string()),
            ("correlationId", self.correlation_id.to_string()),
            ("actor", self.actor.to_string()),
            ("schemaVersion", SCHEMA_VERSION.to_owned()),
        ]);
        if let Some((source, position)) = &self.causation {
            map.insert("causationSource", source.clone());
            map.insert("causationPosition", position.to_string());
        }
        if let Some(note) = note {
            map.insert("reason", note.to_owned());
        }
        if let Some(traceparent) = &self.traceparent {
            map.insert("traceparent", traceparent.clone());
        }
        serde_json::to_string(&map)
    }
}

/// Which versions of an aggregate a command may change. The default allows every version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Precondition {
    /// `If-Match`: the version must be one of these.
    pub one_of: Option<Vec<i64>>,
    /// `If-None-Match`: the version must be none of these.
    pub none_of: Vec<i64>,
    /// `If-None-Match: *`: the aggregate must not exist.
    pub must_be_new: bool,
}

impl Precondition {
    /// The precondition that the version is exactly this one.
    pub fn version(version: i64) -> Self {
        Self { one_of: Some(vec![version]), ..Self::default() }
    }

    /// Whether `If-Match` allows this version.
    pub(crate) fn is_matched_by(&self, version: i64) -> bool {
        self.one_of.as_ref().is_none_or(|allowed| allowed.contains(&version))
    }

    /// Whether `If-None-Match` excludes this version.
    pub(crate) fn excludes(&self, version: i64) -> bool {
        self.none_of.contains(&version) || (self.must_be_new && version > 0)
    }
}

/// What a command did, or had done when it came the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executed {
    /// The number of the aggregate.
    pub number: i64,
    /// The version the stream stood at after the command.
    pub version: i64,
    /// The sequence of the first event; 0 without events.
    pub first_sequence: i64,
    /// How many events; 0 when all was so already.
    pub count: i64,
    /// The position of the last event in the log; 0 without events.
    pub position: i64,
    /// Whether this is the answer of an earlier, equal request.
    pub replayed: bool,
}
