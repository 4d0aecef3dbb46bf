//! Reads a range of a stream, for a process that can't reach the owner of the log.
//!
//! Streams are read by sequence and not by position. Since the relay writes in the order of the log, the first message
//! after a position is found by halving; what is read must continue the log without a gap, so that a stream in another
//! order gives nothing wrong.

use super::connection::NatsConnection;
use super::event_message::MessageStamp;
use super::event_window::EventWindow;
use super::expected_event::ExpectedEvent;
use super::stream_subjects::subjects_of;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{Info, LastRawMessageErrorKind, Stream};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use gdmarket_domain::Service;
use gdmarket_projections::Delivery;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The most messages of a read.
const MAX_MESSAGES: u64 = 256;
/// The messages that are asked for at once.
const AT_ONCE: usize = 16;

/// Reads a range of a stream.
#[derive(Debug)]
pub(super) struct StreamReader {
    nats: NatsConnection,
    /// A service whose events are in it.
    service: Service,
    /// Where the last read ended.
    next: Mutex<Option<StreamPlace>>,
}

/// The sequence of the first message that may be after a position.
#[derive(Debug, Clone, Copy)]
struct StreamPlace {
    after: i64,
    sequence: u64,
}

impl StreamReader {
    pub(super) const fn new(nats: NatsConnection, service: Service) -> Self {
        Self { nats, service, next: Mutex::new(None) }
    }

    /// The stream that has the events of a service.
    pub(super) async fn stream(&self) -> Result<Stream, String> {
        let context = self.nats.jet_stream();
        let name = context.stream_by_subject(subjects_of(self.service)).await;
        let name = name.map_err(|error| format!("no stream of {}: {error}", self.service))?;
        context.get_stream(name).await.map_err(|error| error.to_string())
    }

    /// The events that continue the log after a position, as far as the stream has them.
    pub(super) async fn read_after(
        &self,
        expected: ExpectedEvent,
        position: i64,
        limit: u32,
    ) -> Result<Vec<Delivery>, String> {
        let stream = self.stream().await?;
        let info = stream.cached_info();
        let known = *self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.filter(|place| place.after == position);
        let first = match known.filter(|place| holds(info, place.sequence)) {
            Some(place) => place.sequence,
            None => first_after(&stream, expected, position).await?,
        };
        let end = first.saturating_add(u64::from(limit).min(MAX_MESSAGES));
        let end = end.min(info.state.last_sequence.saturating_add(1));
        let mut messages =
            stream::iter(first..end).map(|sequence| message(&stream, sequence)).buffered(AT_ONCE);
        let (mut window, mut sequences) = (EventWindow::default(), BTreeMap::new());
        while let Some(message) = messages.try_next().await? {
            let Some(message) = message else { continue };
            if let Ok(delivery) = expected.read(&message.headers, &message.payload) {
                sequences.insert(delivery.event.position, message.sequence);
                window.insert(delivery);
            }
        }
        let found = window.after(position, usize::try_from(limit).unwrap_or(usize::MAX));
        let place = found.last().and_then(|last| {
            let after = last.event.position;
            let sequence = sequences.get(&after)?.saturating_add(1);
            Some(StreamPlace { after, sequence })
        });
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = place;
        Ok(found)
    }
}

/// Whether a stream has this sequence, or will have it next.
fn holds(info: &Info, sequence: u64) -> bool {
    let state = &info.state;
    (state.first_sequence..=state.last_sequence.saturating_add(1)).contains(&sequence)
}

/// The sequence of the first message after a position.
async fn first_after(
    stream: &Stream,
    expected: ExpectedEvent,
    position: i64,
) -> Result<u64, String> {
    let state = &stream.cached_info().state;
    let (mut low, mut high) = (state.first_sequence, state.last_sequence.saturating_add(1));
    while low < high {
        let middle = low.midpoint(high);
        let place =
            message(stream, middle).await?.and_then(|found| MessageStamp::of(&found.headers));
        let is_after =
            place.is_some_and(|place| place.log == expected.source && place.position > position);
        if is_after {
            high = middle;
        } else {
            low = middle.saturating_add(1);
        }
    }
    Ok(low)
}

/// A message; `None` if it was deleted.
async fn message(stream: &Stream, sequence: u64) -> Result<Option<StreamMessage>, String> {
    match stream.get_raw_message(sequence).await {
        Ok(message) => Ok(Some(message)),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}
