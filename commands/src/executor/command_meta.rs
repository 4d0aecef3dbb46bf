//! What comes with a command: its id, its actor, its cause.

use super::Precondition;
use crate::command_id::step_command_id;
use gdmarket_domain::Actor;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Which shape the metadata of events has.
const SCHEMA_VERSION: &str = "1";

/// The event that caused a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Causation {
    /// The log of the event: its id and epoch, as [`gdmarket_store::Identity`] writes them.
    pub source: String,
    /// The position of the event in that log.
    pub position: i64,
}

/// Who sends a command, why, and how a repeat of the same request differs from a new one.
#[derive(Debug, Clone)]
pub struct CommandMeta {
    /// The same request has the same id ([`crate::http_command_id`]); a request without a key has a
    /// fresh one.
    pub command_id: Uuid,
    /// What all commands and events that follow from one request have in common.
    pub correlation_id: Uuid,
    /// The event that caused the command, if one did.
    pub causation: Option<Causation>,
    /// On whose behalf.
    pub actor: Actor,
    /// The W3C trace context.
    pub traceparent: Option<String>,
    /// A digest of the request's content; the same id with another fingerprint is refused.
    pub fingerprint: Vec<u8>,
    /// `If-Match` and `If-None-Match`: which versions the command may change.
    pub precondition: Precondition,
    /// Whether the id was made from a client's key: then refusals and no-ops are remembered too.
    pub keyed: bool,
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
            ..self.clone()
        }
    }

    /// The metadata of the events: a flat JSON map of strings, as cqrs-es reads it. `note` is why the
    /// command was sent.
    pub(crate) fn to_json(&self, note: Option<&str>) -> Result<String, serde_json::Error> {
        let mut map = BTreeMap::from([
            ("commandId", self.command_id.to_string()),
            ("correlationId", self.correlation_id.to_string()),
            ("actor", self.actor.to_string()),
            ("schemaVersion", SCHEMA_VERSION.to_owned()),
        ]);
        if let Some(Causation { source, position }) = &self.causation {
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
