//! The breaker's mechanism: two circuits of `tower-resilience`, one for failures, one for slowness.
//!
//! Two, because the library measures slowness by its own stopwatch (which would count our database
//! too) and closes on a probe that succeeds slowly. Its windows are by time: the count-based one
//! never forgets while closed. A half-open circuit whose probes were forgotten by the window would
//! let nothing through for ever; [`Circuit::admit`] sends such a one back to open.
//!
//! The library counts its whole window anew after every call, so while all is well only the first
//! verdicts of a stretch are taken ([`Sample`]), whatever they are: a busy market doesn't pay for each
//! call with a walk over the ten thousands before it. A probe's verdict is always taken.

use super::sample::Sample;
use super::{Breaker, BreakerOptions, BreakerState, Open, Permit, Slot};
use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;
use tower::{Layer, Service, ServiceExt};
use tower_resilience::circuitbreaker::{
    CircuitBreaker, CircuitBreakerHandle, CircuitBreakerLayer, CircuitState, DefaultClassifier,
    SlidingWindowType,
};

/// While probes are under way another look is worth it soon.
const PROBING: Duration = Duration::from_secs(1);

/// The breaker's settings make no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the breaker of {name}: {reason}")]
pub struct BreakerOptionsError {
    name: &'static str,
    reason: String,
}

/// A [`Breaker`] over `tower-resilience`; its state is the gauge `gdmarket_breaker_state`
/// (0 closed, 1 half-open, 2 open).
pub struct ResilienceBreaker {
    failures: Circuit,
    slowness: Circuit,
    sample: Arc<Sample>,
}

impl ResilienceBreaker {
    /// A closed breaker for the dependency `name`.
    pub fn new(name: &'static str, options: &BreakerOptions) -> Result<Self, BreakerOptionsError> {
        if options.probes == 0 {
            return Err(BreakerOptionsError { name, reason: "at least one probe".to_owned() });
        }
        let failures = Circuit::new(name, "failures", options.failure_rate, options)?;
        let slowness = Circuit::new(name, "slowness", options.slow_rate, options)?;
        let sample = Arc::new(Sample::for_at_least(options.minimum_calls));
        Ok(Self { failures, slowness, sample })
    }
}

#[async_trait]
impl Breaker for ResilienceBreaker {
    async fn admit(&self) -> Result<Permit, Open> {
        let failures = self.failures.admit().await?;
        let slowness = self.slowness.admit().await?;
        let is_probe = self.state() != BreakerState::Closed;
        let sample = (!is_probe).then(|| Arc::clone(&self.sample));
        Ok(Permit { failures, slowness, sample })
    }

    fn state(&self) -> BreakerState {
        self.failures.state().max(self.slowness.state())
    }
}

/// One circuit of the library, asked for a place instead of being given a call.
struct Circuit {
    service: CircuitBreaker<Judged, DefaultClassifier>,
    handle: CircuitBreakerHandle,
    open_for: Duration,
    window: Duration,
}

impl Circuit {
    fn new(
        name: &'static str,
        watching: &'static str,
        rate: f64,
        options: &BreakerOptions,
    ) -> Result<Self, BreakerOptionsError> {
        show(name, watching, CircuitState::Closed);
        let (layer, handle) = CircuitBreakerLayer::builder()
            .name(format!("{name} {watching}"))
            .sliding_window_type(SlidingWindowType::TimeBased)
            .sliding_window_duration(options.window)
            .minimum_number_of_calls(options.minimum_calls.max(1))
            .failure_rate_threshold(rate)
            .wait_duration_in_open(options.open_for)
            .permitted_calls_in_half_open(options.probes)
            .on_state_transition(move |from, to| {
                tracing::warn!(dependency = name, watching, ?from, ?to, "breaker");
                show(name, watching, to);
            })
            .build_with_handle()
            .map_err(|error| BreakerOptionsError { name, reason: error.to_string() })?;
        let service = layer.layer(Judged);
        Ok(Self { service, handle, open_for: options.open_for, window: options.window })
    }

    fn state(&self) -> BreakerState {
        match self.handle.state() {
            CircuitState::Closed => BreakerState::Closed,
            CircuitState::HalfOpen => BreakerState::HalfOpen,
            CircuitState::Open => BreakerState::Open,
        }
    }

    async fn admit(&self) -> Result<Slot, Open> {
        let (admitted, mut is_admitted) = oneshot::channel();
        let (bad, verdict) = oneshot::channel();
        let mut call = self.service.clone().oneshot((admitted, verdict)).map(drop).boxed();
        tokio::select! {
            biased;
            Ok(()) = &mut is_admitted => Ok(Slot { bad, call }),
            () = &mut call => Err(self.refusal().await),
        }
    }

    async fn refusal(&self) -> Open {
        let metrics = self.handle.metrics().await;
        let since = metrics.time_since_state_change;
        match metrics.state {
            CircuitState::Open => Open { retry_after: self.open_for.saturating_sub(since) },
            CircuitState::HalfOpen => {
                if since > self.window.max(self.open_for) {
                    self.handle.force_open().await;
                }
                Open { retry_after: PROBING }
            }
            CircuitState::Closed => Open { retry_after: Duration::ZERO },
        }
    }
}

fn show(name: &'static str, watching: &'static str, state: CircuitState) {
    let level = match state {
        CircuitState::Closed => 0.0,
        CircuitState::HalfOpen => 1.0,
        CircuitState::Open => 2.0,
    };
    metrics::gauge!("gdmarket_breaker_state", "dependency" => name, "watching" => watching)
        .set(level);
}

/// The call as the circuit sees it: admitted, then good or bad when its verdict is in.
#[derive(Clone, Copy)]
struct Judged;

/// The call went badly.
struct Bad;

impl Service<(oneshot::Sender<()>, oneshot::Receiver<bool>)> for Judged {
    type Response = ();
    type Error = Bad;
    type Future = BoxFuture<'static, Result<(), Bad>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Bad>> {
        Poll::Ready(Ok(()))
    }

    fn call(
        &mut self,
        (admitted, verdict): (oneshot::Sender<()>, oneshot::Receiver<bool>),
    ) -> Self::Future {
        async move {
            // Nobody waits any more: neither good nor bad, the circuit's future is being dropped.
            if admitted.send(()).is_err() {
                return std::future::pending::<Result<(), Bad>>().await;
            }
            match verdict.await {
                Ok(false) => Ok(()),
                Ok(true) => Err(Bad),
                Err(_) => std::future::pending::<Result<(), Bad>>().await,
            }
        }
        .boxed()
    }
}
