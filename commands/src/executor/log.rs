//! What the executor asks of the store beside appending: receipts, fresh states, events as they
//! stand in the log, new numbers.

use super::Executor;
use crate::error::{CommandError, Service};
use crate::meta::{CommandMeta, Executed};
use chrono::{DateTime, Utc};
use gdmarket_domain::{Decider, DecodeError, MarketEvent, StoredEvent};
use gdmarket_store::{
    Loaded, NumberKind, Raised, Receipt, ReceiptKind, RecordedEvent, StoreError, StreamId,
};
use std::borrow::Cow;
use std::sync::Arc;
use uuid::Uuid;

/// Bytes of one fingerprint.
const FINGERPRINT: usize = 32;

impl Executor {
    /// Which log this is.
    pub(crate) fn log_id(&self) -> Uuid {
        self.store.identity().log_id
    }

    /// The meta of a command that follows from what `executed` wrote.
    pub(crate) fn caused_by(&self, meta: CommandMeta, executed: &Executed) -> CommandMeta {
        let source = self.store.identity().to_string();
        CommandMeta { causation: Some((source, executed.position)), ..meta }
    }

    /// Draws the next number of this kind.
    pub(crate) async fn draw(&self, of: NumberKind<'_>) -> Result<i64, CommandError> {
        self.store.numbers().draw(of.kind).await.map_err(|error| self.store_error(&error))
    }

    /// A number turned out to be in use: numbers of this kind continue after the log's highest.
    pub(crate) async fn raise_numbers(&self, of: NumberKind<'_>) -> Result<(), CommandError> {
        let raised = self.store.numbers().raise(of).await;
        let raised = raised.map_err(|error| self.store_error(&error))?;
        if let Some(Raised { from, to }) = raised {
            let kind = of.kind;
            tracing::warn!(kind, from, to, "numbers were behind the log, and continue after it");
        }
        Ok(())
    }

    /// Whether the log uses this number already.
    pub(crate) async fn is_in_use(
        &self,
        of: NumberKind<'_>,
        number: i64,
    ) -> Result<bool, CommandError> {
        let is_in_use = self.store.numbers().is_in_use(of, number).await;
        is_in_use.map_err(|error| self.store_error(&error))
    }

    /// The receipt of a client's earlier, equal request; without a key there is none.
    pub(crate) async fn done_before(
        &self,
        meta: &CommandMeta,
    ) -> Result<Option<Receipt>, CommandError> {
        match self.receipt_if(meta.keyed, meta).await? {
            Some(receipt) if !is_same_request(&receipt, meta) => Err(CommandError::KeyReused),
            receipt => Ok(receipt),
        }
    }

    async fn receipt_if(
        &self,
        wanted: bool,
        meta: &CommandMeta,
    ) -> Result<Option<Receipt>, CommandError> {
        if wanted { self.receipt(meta).await } else { Ok(None) }
    }

    /// The receipt of this command id.
    pub(crate) async fn receipt(
        &self,
        meta: &CommandMeta,
    ) -> Result<Option<Receipt>, CommandError> {
        let receipt = self.store.receipts().find(meta.command_id).await;
        receipt.map_err(|error| self.store_error(&error))
    }

    /// The answer that a receipt stands for.
    pub(crate) async fn replay(
        &self,
        receipt: Receipt,
        meta: &CommandMeta,
    ) -> Result<Executed, CommandError> {
        if !is_same_request(&receipt, meta) {
            return Err(CommandError::KeyReused);
        }
        let Receipt { stream, first_sequence, count, kind, .. } = receipt;
        match kind {
            ReceiptKind::Refused(code) => Err(CommandError::refused(code, true)),
            ReceiptKind::Done if count == 0 => Ok(Executed {
                number: stream.number,
                version: first_sequence,
                first_sequence: 0,
                count,
                position: 0,
                replayed: true,
            }),
            ReceiptKind::Done => {
                let version = first_sequence + count - 1;
                let position = self.position(&stream, version).await?;
                let number = stream.number;
                Ok(Executed { number, version, first_sequence, count, position, replayed: true })
            }
        }
    }

    async fn position(&self, stream: &StreamId, sequence: i64) -> Result<i64, CommandError> {
        let events = self.recorded(stream, sequence).await?;
        events
            .first()
            .map(|event| event.position)
            .ok_or_else(|| CommandError::Broken(format!("a receipt without event {sequence}")))
    }

    async fn recorded(
        &self,
        stream: &StreamId,
        from_sequence: i64,
    ) -> Result<Vec<RecordedEvent>, CommandError> {
        let events = self.store.log().stream(stream, from_sequence - 1).await;
        events.map_err(|error| self.store_error(&error))
    }

    /// The events of a stream from this sequence on.
    pub(crate) async fn events_from<A: Decider>(
        &self,
        number: i64,
        from_sequence: i64,
    ) -> Result<Vec<MarketEvent>, CommandError> {
        let stream = StreamId { kind: Cow::Borrowed(A::TYPE), number };
        let events = self.recorded(&stream, from_sequence).await?;
        let events: Result<_, StoreError> = events.iter().map(decode).collect();
        events.map_err(|error| self.store_error(&error))
    }

    /// The event at this position.
    pub(crate) async fn event_at(
        &self,
        position: i64,
    ) -> Result<Option<MarketEvent>, CommandError> {
        let event =
            self.store.log().at(position).await.map_err(|error| self.store_error(&error))?;
        event.as_ref().map(decode).transpose().map_err(|error| self.store_error(&error))
    }

    /// When the event at this position was recorded, by the database's clock.
    pub(crate) async fn recorded_at(&self, position: i64) -> Result<DateTime<Utc>, CommandError> {
        let event =
            self.store.log().at(position).await.map_err(|error| self.store_error(&error))?;
        event
            .and_then(|event| DateTime::from_timestamp_micros(event.recorded_at))
            .ok_or_else(|| CommandError::Broken(format!("no event at position {position}")))
    }

    /// The state as the log has it now.
    pub(crate) async fn fresh<A: Decider + 'static>(
        &self,
        number: i64,
    ) -> Result<Arc<A>, CommandError> {
        let mut loaded = self.lock::<A>(number).await?;
        if !loaded.is_current() {
            loaded.refresh().await.map_err(|error| self.store_error(&error))?;
        }
        Ok(Arc::clone(loaded.state()))
    }

    /// The stream's turn in this process, with its state.
    pub(super) async fn lock<A: Decider + 'static>(
        &self,
        number: i64,
    ) -> Result<Loaded<A>, CommandError> {
        let loaded = self.store.aggregates_with(read_event::<A>).lock(number).await;
        loaded.map_err(|error| self.store_error(&error))
    }

    /// As [`Executor::lock`]; a stream that isn't in memory is taken for new.
    pub(super) async fn lock_unread<A: Decider + 'static>(&self, number: i64) -> Loaded<A> {
        self.store.aggregates_with(read_event::<A>).lock_unread(number).await
    }

    /// What the store's trouble means to whoever sent a command.
    pub(super) fn store_error(&self, error: &StoreError) -> CommandError {
        match error {
            StoreError::Unavailable(_)
            | StoreError::Closed
            | StoreError::Conflict(_)
            | StoreError::OtherLog(_)
            | StoreError::Storage { .. }
            | StoreError::Server { .. } => self.unavailable(error.to_string()),
            StoreError::Newer => CommandError::NewerEvent,
            StoreError::Rejected(why) => CommandError::Rejected(why.clone()),
            StoreError::Damaged(_) | StoreError::Corrupt(_) => {
                CommandError::Damaged(error.to_string())
            }
            error => CommandError::Broken(error.to_string()),
        }
    }

    pub(super) fn unavailable(&self, cause: String) -> CommandError {
        CommandError::Unavailable { what: Service::Store, retry_after: self.retry_after, cause }
    }
}

/// Whether a receipt is of this very request. A fingerprint may be followed by one as older programs made
/// it, which their receipts hold alone.
fn is_same_request(receipt: &Receipt, meta: &CommandMeta) -> bool {
    let (kept, sent) = (&receipt.fingerprint, &meta.fingerprint);
    let first = kept.get(..FINGERPRINT).unwrap_or(kept);
    kept == sent || sent.chunks(FINGERPRINT).any(|sent| sent == first)
}

/// An event of a stream of `A`, brought up to what this program knows.
fn read_event<A: Decider>(event: &RecordedEvent) -> Result<A::Event, StoreError> {
    refuse_damaged(event)?;
    stored(event).decode_as::<A>().map_err(|error| unread(event, &error))
}

fn decode(event: &RecordedEvent) -> Result<MarketEvent, StoreError> {
    refuse_damaged(event)?;
    stored(event).decode().map_err(|error| unread(event, &error))
}

fn stored(event: &RecordedEvent) -> StoredEvent<'_> {
    StoredEvent {
        aggregate_type: &event.stream.kind,
        number: event.stream.number,
        event_type: &event.event_type,
        version: &event.event_version,
        payload: &event.payload,
    }
}

fn refuse_damaged(event: &RecordedEvent) -> Result<(), StoreError> {
    let damaged = |reason| Err(StoreError::Corrupt(format!("{event}: {reason}")));
    event.damage_reason().map_or(Ok(()), damaged)
}

fn unread(event: &RecordedEvent, error: &DecodeError) -> StoreError {
    match error {
        DecodeError::Newer { .. } => StoreError::Newer,
        error => StoreError::Corrupt(format!("{}/{}: {error}", event.stream, event.sequence)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta::Precondition;

    #[test]
    fn a_receipt_of_an_older_program_is_known() {
        let (new, old, other) = (vec![1; 32], vec![2; 32], vec![3; 32]);
        let is_same = |kept: &[u8], sent: &[u8]| {
            let receipt = Receipt {
                command_id: Uuid::nil(),
                fingerprint: kept.to_vec(),
                stream: StreamId::new("item", 1),
                first_sequence: 1,
                count: 1,
                kind: ReceiptKind::Done,
            };
            let meta = CommandMeta { fingerprint: sent.to_vec(), ..meta() };
            is_same_request(&receipt, &meta)
        };
        let both = [new.clone(), old.clone()].concat();
        for (kept, sent) in
            [(&new, &new), (&new, &both), (&both, &new), (&old, &both), (&both, &both)]
        {
            assert!(is_same(kept, sent), "{kept:?} {sent:?}");
        }
        let foreign = [other.clone(), old.clone()].concat();
        for (kept, sent) in [(&other, &both), (&both, &other), (&both, &foreign), (&both, &old)] {
            assert!(!is_same(kept, sent), "{kept:?} {sent:?}");
        }
        assert!(is_same(&[], &[]) && !is_same(&[], &new) && !is_same(&new, &[]));
    }

    fn meta() -> CommandMeta {
        CommandMeta {
            command_id: Uuid::nil(),
            correlation_id: Uuid::nil(),
            causation: None,
            actor: gdmarket_domain::Actor::Process("test"),
            traceparent: None,
            fingerprint: Vec::new(),
            precondition: Precondition::default(),
            keyed: true,
            is_last_word: false,
        }
    }
}
