//! A write side for tests. It decides with the real aggregates, appends to the real log, and has a fake payment gateway.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use cqrs_es::DomainEvent;
use gdmarket_domain::payment::StartedPayment;
use gdmarket_domain::{
    Alarm, Decider, Hold, Item, MarketCommand, MarketEvent, Payment, PaymentCommand, PaymentNo,
    Refusal, Reservation, ReservationEvent,
};
use gdmarket_projections::{
    Cause, CommandContext, CommandPort, Handled, OutgoingCommand, PortError,
};
use gdmarket_store::{Append, AppendError, NewEvent, ReceiptKind, RecordedEvent, Store, StreamId};
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::Barrier;
use uuid::Uuid;

type Fault = Box<dyn Fn(&OutgoingCommand) -> Option<PortError> + Send>;

/// How a command ended. A test also sees whether it wrote something, which a manager doesn't.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Its events are in the log, since now or since an earlier call.
    Written,
    /// The aggregate is already in the requested state; nothing was written.
    Unchanged,
    /// The aggregate refused it with this code.
    Refused(String),
}

impl From<Sent> for Handled {
    fn from(sent: Sent) -> Self {
        match sent {
            Sent::Written | Sent::Unchanged => Self::Done,
            Sent::Refused(code) => Self::Refused(code),
        }
    }
}

/// The store of another service.
struct OtherStore {
    store: Store,
    /// Whether a stream is in it.
    is_there: fn(&StreamId) -> bool,
}

/// A port whose faults, gateway and clock a test controls.
pub(crate) struct TestPort {
    store: Store,
    /// The streams that another service has.
    other: Option<OtherStore>,
    /// The payments that the gateway has charged.
    pub(crate) charged: Mutex<BTreeSet<PaymentNo>>,
    /// Every refund request to the gateway.
    pub(crate) refunds: Mutex<Vec<PaymentNo>>,
    /// Every command that was sent.
    pub(crate) sent: Mutex<Vec<OutgoingCommand>>,
    fault: Mutex<Fault>,
    /// The gate at which the next command waits.
    gate: Mutex<Option<Arc<Barrier>>>,
    /// The difference of the server's clock.
    pub(crate) clock_off: Mutex<TimeDelta>,
    /// Whether every reaction gets a new id, as if it had never been sent.
    pub(crate) fresh_ids: AtomicBool,
}

impl TestPort {
    pub(crate) fn new(store: Store) -> Self {
        Self {
            store,
            other: None,
            charged: Mutex::default(),
            refunds: Mutex::default(),
            sent: Mutex::default(),
            fault: Mutex::new(Box::new(|_| None)),
            gate: Mutex::default(),
            clock_off: Mutex::default(),
            fresh_ids: AtomicBool::new(false),
        }
    }

    /// Sends the commands of some streams to the store of another service.
    pub(crate) fn with_other(self, store: Store, is_there: fn(&StreamId) -> bool) -> Self {
        Self { other: Some(OtherStore { store, is_there }), ..self }
    }

    fn store_of(&self, stream: &StreamId) -> &Store {
        let other = self.other.as_ref().filter(|other| (other.is_there)(stream));
        other.map_or(&self.store, |other| &other.store)
    }

    /// Makes the commands fail for which this function returns an error.
    pub(crate) fn fail(
        &self,
        fault: impl Fn(&OutgoingCommand) -> Option<PortError> + Send + 'static,
    ) {
        *self.fault.lock().unwrap() = Box::new(fault);
    }

    /// Stops the next command at a barrier: it waits once when it arrives, and once until it may continue. It must not
    /// block a thread, because the runtime has two, and one of them listens to the database.
    pub(crate) fn stop_next(&self) -> Arc<Barrier> {
        let gate = Arc::new(Barrier::new(2));
        *self.gate.lock().unwrap() = Some(Arc::clone(&gate));
        gate
    }

    /// Decides and appends; repeats both after a conflict.
    pub(crate) async fn run<A>(
        &self,
        number: i64,
        command: &A::Command,
        command_id: Uuid,
        correlation_id: Uuid,
    ) -> Result<Sent, PortError>
    where
        A: Decider,
        A::Event: Serialize,
    {
        let later = |error: &dyn std::fmt::Display| PortError::Retry(error.to_string());
        let stream = StreamId::new(A::TYPE, number);
        let store = self.store_of(&stream);
        loop {
            let past = store.log().stream(&stream, 0).await.map_err(|e| later(&e))?;
            let mut state = A::default();
            let version = past.last().map_or(0, |event| event.sequence);
            for event in &past {
                if event.event_version != "1" {
                    return Err(PortError::Newer);
                }
                state.apply(serde_json::from_str(&event.payload).map_err(|e| later(&e))?);
            }
            let events = match state.decide(command) {
                Ok(events) => events,
                Err(refusal) => {
                    let before = store.receipts().find(command_id).await;
                    return Ok(match before.map_err(|e| later(&e))? {
                        Some(_) => Sent::Written,
                        None => Sent::Refused(refusal.code().to_owned()),
                    });
                }
            };
            if events.is_empty() {
                return Ok(Sent::Unchanged);
            }
            let metadata = serde_json::json!({
                "commandId": command_id.to_string(), "correlationId": correlation_id.to_string(),
                "actor": "operator:local", "schemaVersion": "1",
            });
            let append = Append {
                command_id,
                fingerprint: vec![],
                stream: stream.clone(),
                expected: version,
                events: events.iter().map(new_event).collect(),
                metadata: metadata.to_string(),
                kind: ReceiptKind::Done,
                personal: None,
            };
            match store.appender().append(append).await {
                Ok(_) | Err(AppendError::Duplicate(_)) => return Ok(Sent::Written),
                Err(AppendError::Conflict) => {}
                Err(
                    error @ (AppendError::Gap
                    | AppendError::Rejected(_)
                    | AppendError::Damaged(_)
                    | AppendError::Unknown(_)
                    | AppendError::Unavailable(_)),
                ) => return Err(PortError::Retry(format!("{error:?}"))),
            }
        }
    }

    pub(crate) async fn send(
        &self,
        command: &MarketCommand,
        id: Uuid,
        correlation: Uuid,
    ) -> Result<Sent, PortError> {
        match command {
            MarketCommand::Item(no, c) => self.run::<Item>(no.get(), c, id, correlation).await,
            MarketCommand::Hold(no, c) => self.run::<Hold>(no.get(), c, id, correlation).await,
            MarketCommand::Reservation(no, c) => {
                self.run::<Reservation>(no.get(), c, id, correlation).await
            }
            MarketCommand::Payment(no, c) => {
                self.run::<Payment>(no.get(), c, id, correlation).await
            }
            MarketCommand::Alarm(no, c) => self.run::<Alarm>(no.get(), c, id, correlation).await,
        }
    }

    async fn payment(
        &self,
        number: PaymentNo,
        command: PaymentCommand,
        context: &CommandContext,
        step: &str,
    ) -> Result<Handled, PortError> {
        let id = Uuid::new_v5(&context.command_id, step.as_bytes());
        let correlation = context.cause.correlation_id;
        Ok(self.send(&MarketCommand::Payment(number, command), id, correlation).await?.into())
    }

    #[expect(clippy::disallowed_methods, reason = "the test needs new ids")]
    fn id_of(&self, context: &mut CommandContext) {
        if self.fresh_ids.load(Ordering::Relaxed) {
            context.command_id = Uuid::new_v4();
        }
    }

    async fn event_of(&self, cause: &Cause) -> Option<RecordedEvent> {
        let (source, position) = (&cause.source, cause.position);
        let other = self.other.as_ref().map(|other| &other.store);
        let other = other.filter(|store| store.identity().to_string() == *source);
        let store = other.unwrap_or(&self.store);
        store.log().read_after(position - 1, 1).await.unwrap().pop()
    }
}

fn new_event<E: DomainEvent>(event: &E) -> NewEvent {
    NewEvent {
        event_type: event.event_type(),
        event_version: event.event_version(),
        payload: serde_json::to_string(event).unwrap(),
    }
}

/// The decoded event of a recorded one.
pub(crate) fn decoded(event: &RecordedEvent) -> MarketEvent {
    let (name, version) = (&event.event_type, &event.event_version);
    MarketEvent::decode(&event.stream.kind, name, version, &event.payload).unwrap()
}

#[async_trait]
impl CommandPort for TestPort {
    async fn execute(&self, mut outgoing: OutgoingCommand) -> Result<Handled, PortError> {
        self.id_of(&mut outgoing.context);
        let gate = self.gate.lock().unwrap().take();
        if let Some(gate) = gate {
            gate.wait().await;
            gate.wait().await;
        }
        let fault = (self.fault.lock().unwrap())(&outgoing);
        if let Some(error) = fault {
            return Err(error);
        }
        self.sent.lock().unwrap().push(outgoing.clone());
        let CommandContext { command_id, cause, .. } = &outgoing.context;
        Ok(self.send(&outgoing.command, *command_id, cause.correlation_id).await?.into())
    }

    async fn settle_payment(
        &self,
        number: PaymentNo,
        _requested: Option<StartedPayment>,
        mut context: CommandContext,
    ) -> Result<Handled, PortError> {
        self.id_of(&mut context);
        let request = self.event_of(&context.cause).await.map(|event| decoded(&event));
        let Some(MarketEvent::Reservation(ReservationEvent::PaymentRequested {
            reservation_no,
            item_no,
            payment_no,
            amount,
        })) = request
        else {
            panic!("settling comes from a request to pay, not from {request:?}")
        };
        let start = PaymentCommand::Start { payment_no, reservation_no, item_no, amount };
        self.payment(number, start, &context, "start").await?;
        let found = self.charged.lock().unwrap().contains(&number);
        let outcome = if found {
            PaymentCommand::RecordApproved
        } else {
            PaymentCommand::RecordDeclined { reason: "not-found".to_owned() }
        };
        self.payment(number, outcome, &context, "outcome").await
    }

    async fn refund_payment(
        &self,
        number: PaymentNo,
        mut context: CommandContext,
    ) -> Result<Handled, PortError> {
        self.id_of(&mut context);
        if let refused @ Handled::Refused(_) =
            self.payment(number, PaymentCommand::Cancel, &context, "cancel").await?
        {
            return Ok(refused);
        }
        self.refunds.lock().unwrap().push(number);
        self.payment(number, PaymentCommand::RecordCancelled, &context, "cancelled").await
    }

    fn now(&self) -> DateTime<Utc> {
        #[expect(clippy::disallowed_methods, reason = "the test's clock is the machine's")]
        let now = Utc::now();
        let now = now + *self.clock_off.lock().unwrap();
        DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap()
    }
}
