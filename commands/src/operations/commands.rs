//! [`Commands`]: the one handle of the write side, cheap to clone.

use super::alarm_service::{AbsentAlarms, AlarmService, LocalAlarms, RemoteAlarms};
use super::payment_service::{AbsentPayments, LocalPayments, PaymentService, RemotePayments};
use crate::detach_on_drop::DetachOnDrop;
use crate::error::CommandError;
use crate::executor::{CommandMeta, CommandRequest, Executed, Executor};
use crate::keyed_mutex::KeyedMutex;
use crate::options::CommandOptions;
use crate::outside::{AlarmSender, BreakerOptionsError, CircuitBreaker, PaymentGateway};
use crate::panic::panic_message;
use futures::FutureExt as _;
use gdmarket_domain::{Alarm, Decider, Hold, Item, MarketCommand, Payment, Service};
use gdmarket_store::Store;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;
use uuid::Uuid;

/// Executes commands. Every call that was started runs to completion even if its future is dropped; one
/// that is neither polled nor dropped keeps its aggregate locked for all others.
#[derive(Clone)]
pub struct Commands(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) executor: Executor,
    pub(crate) options: CommandOptions,
    /// Where alarms are raised: here, or at another service.
    pub(crate) alarms: Arc<dyn AlarmService>,
    /// The alarm service's own half.
    pub(crate) local_alarms: LocalAlarms,
    pub(crate) alarm_breaker: CircuitBreaker,
    /// Where attempts to pay are started: here, or at another service.
    pub(crate) payments: Arc<dyn PaymentService>,
    /// The payment service's own half.
    pub(crate) local_payments: LocalPayments,
    pub(crate) payment_breaker: CircuitBreaker,
    pub(crate) requests: KeyedMutex,
    pub(crate) tracker: TaskTracker,
}

impl Commands {
    /// Commands over this log; each of the gateway and the alarm gets a breaker.
    pub fn new(
        store: Store,
        gateway: Arc<dyn PaymentGateway>,
        alarm: Arc<dyn AlarmSender>,
        options: CommandOptions,
    ) -> Result<Self, BreakerOptionsError> {
        let payment_breaker = CircuitBreaker::new("payment", options.payment.breaker.clone())?;
        let alarm_breaker = CircuitBreaker::new("alarm", options.alarm.breaker.clone())?;
        let tracker = TaskTracker::new();
        let executor = Executor::new(store, options.retry.clone(), options.retry_after);
        let local_payments = LocalPayments {
            executor: executor.clone(),
            gateway,
            breaker: payment_breaker.clone(),
            options: options.payment.clone(),
            tracker: tracker.clone(),
        };
        let local_alarms = LocalAlarms {
            executor: executor.clone(),
            sender: alarm,
            breaker: alarm_breaker.clone(),
            options: options.alarm.clone(),
        };
        let payments = payment_service(&local_payments, &options);
        let alarms = alarm_service(&local_alarms, &options);
        Ok(Self(Arc::new(Inner {
            executor,
            options,
            alarms,
            local_alarms,
            alarm_breaker,
            payments,
            local_payments,
            payment_breaker,
            requests: KeyedMutex::default(),
            tracker,
        })))
    }

    /// Executes one command on the aggregate `number` of type `A`. Every command has a method of its own
    /// that calls this one, or comes from a process by [`Commands::send`].
    pub(super) async fn execute<A: Decider + 'static>(
        &self,
        number: i64,
        command: A::Command,
        meta: &CommandMeta,
    ) -> Result<Executed, CommandError> {
        let meta = meta.clone();
        self.run(move |inner| async move {
            let request = CommandRequest::<A>::new(number, &command, &meta);
            Ok(inner.executor.execute(request).await?.executed)
        })
        .await
    }

    /// Executes a command that one of the market's processes sends, on the aggregate that it is for.
    pub async fn send(
        &self,
        command: MarketCommand,
        meta: &CommandMeta,
    ) -> Result<Executed, CommandError> {
        match command {
            MarketCommand::Item(no, c) => self.execute::<Item>(no.get(), c, meta).await,
            MarketCommand::Hold(no, c) => self.execute::<Hold>(no.get(), c, meta).await,
            MarketCommand::Reservation(no, c) => self.on_reservation(no, c, meta).await,
            MarketCommand::Payment(no, c) => self.execute::<Payment>(no.get(), c, meta).await,
            MarketCommand::Alarm(no, c) => self.execute::<Alarm>(no.get(), c, meta).await,
        }
    }

    /// Whether a client's equal request was answered before: it was valid then, so a repeat isn't
    /// validated by today's calendar again. Always false without a key.
    pub async fn was_done(&self, meta: &CommandMeta) -> Result<bool, CommandError> {
        Ok(self.0.executor.done_before(meta).await?.is_some())
    }

    /// At which version of its aggregate a client's request was answered without any event; `None`
    /// without a key, or if it did something.
    pub async fn answered_at(&self, meta: &CommandMeta) -> Result<Option<i64>, CommandError> {
        if !meta.keyed {
            return Ok(None);
        }
        let receipt = self.0.executor.receipt(meta).await?;
        Ok(receipt.filter(|receipt| receipt.count == 0).map(|receipt| receipt.first_sequence))
    }

    /// A new id from the clock, for a request without a key.
    pub fn new_id(&self) -> Uuid {
        self.0.options.clock.new_id()
    }

    /// The time by the clock that commands go by.
    pub fn now(&self) -> chrono::DateTime<chrono::Utc> {
        self.0.options.clock.now()
    }

    /// Waits until everything that was started is complete: commands, and calls to the gateway, up to their
    /// call limit. A caller that has less time puts a time-out around this; settling finds the rest out.
    pub async fn close(&self) {
        self.0.tracker.close();
        self.0.tracker.wait().await;
    }

    /// Runs `work` and waits for it; dropping the future doesn't stop the work.
    pub(crate) async fn run<T, F, W>(&self, work: W) -> Result<T, CommandError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, CommandError>> + Send + 'static,
        W: FnOnce(Arc<Inner>) -> F,
    {
        let work = AssertUnwindSafe(work(Arc::clone(&self.0))).catch_unwind();
        DetachOnDrop::new(self.0.tracker.track_future(work.in_current_span()))
            .await
            .unwrap_or_else(|panic| Err(CommandError::Broken(panic_message(panic.as_ref()))))
    }
}

/// The payment service in this process, at its address, or nowhere.
fn payment_service(local: &LocalPayments, options: &CommandOptions) -> Arc<dyn PaymentService> {
    if options.services.contains(Service::Payment) {
        return Arc::new(local.clone());
    }
    match &options.other_services.payment {
        Some(service) => Arc::new(RemotePayments {
            service: Arc::clone(service),
            breaker: local.breaker.clone(),
            executor: local.executor.clone(),
            answer_within: options.payment.answer_within,
        }),
        None => Arc::new(AbsentPayments { retry_after: options.retry_after }),
    }
}

/// The alarm service in this process, at its address, or nowhere.
fn alarm_service(local: &LocalAlarms, options: &CommandOptions) -> Arc<dyn AlarmService> {
    if options.services.contains(Service::Alarm) {
        return Arc::new(local.clone());
    }
    match &options.other_services.alarm {
        Some(service) => Arc::new(RemoteAlarms {
            service: Arc::clone(service),
            breaker: local.breaker.clone(),
            answer_within: options.alarm.answer_within,
            retry_after: options.retry_after,
        }),
        None => Arc::new(AbsentAlarms { retry_after: options.retry_after }),
    }
}
