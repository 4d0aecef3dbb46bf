//! The state machine of a breaker: closed, open, half-open.

use super::call_window::{CallCounts, CallWindow};
use super::{BreakerOptions, BreakerOptionsError, BreakerState, BreakerStatus, CallOutcome, Open};
use crate::error::Dependency;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// While probes are in flight another try may succeed soon.
const RETRY_WHILE_PROBING: Duration = Duration::from_secs(1);

/// Decides whether a dependency is called at all; clones are the same breaker.
///
/// Its state is the gauge `gdmarket_breaker_state` (0 closed, 1 half-open, 2 open), by dependency and by
/// what the breaker watches: failures and slowness. One of the two is above 0 while it isn't closed.
#[derive(Clone)]
pub struct CircuitBreaker(Arc<Inner>);

struct Inner {
    dependency: &'static str,
    options: BreakerOptions,
    circuit: Mutex<Circuit>,
}

struct Circuit {
    phase: CircuitPhase,
    /// How many phases there were before: the outcome of a call counts in the phase that admitted it.
    phase_number: u64,
}

enum CircuitPhase {
    Closed { calls: CallWindow },
    Open { cause: OpenCause, until: Instant },
    HalfOpen { cause: OpenCause, in_flight: usize, succeeded: usize },
}

/// What a breaker opened for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OpenCause {
    Failures,
    Slowness,
}

impl CircuitBreaker {
    /// A closed breaker for this dependency.
    pub fn new(
        dependency: &'static str,
        options: BreakerOptions,
    ) -> Result<Self, BreakerOptionsError> {
        options.validate(dependency)?;
        let phase = CircuitPhase::Closed { calls: CallWindow::new(options.window) };
        show(dependency, &phase);
        let circuit = Mutex::new(Circuit { phase, phase_number: 0 });
        Ok(Self(Arc::new(Inner { dependency, options, circuit })))
    }

    /// A permit for one call. Dropped without an outcome it counts for nothing and gives its place back.
    pub fn admit(&self) -> Result<Permit, Open> {
        let mut circuit = self.0.lock();
        if let CircuitPhase::Open { cause, until } = circuit.phase {
            let retry_after = until.saturating_duration_since(Instant::now());
            if !retry_after.is_zero() {
                return Err(Open { retry_after });
            }
            let half_open = CircuitPhase::HalfOpen { cause, in_flight: 0, succeeded: 0 };
            self.0.enter(&mut circuit, half_open);
        }
        if let CircuitPhase::HalfOpen { in_flight, succeeded, .. } = &mut circuit.phase {
            if *in_flight + *succeeded >= self.0.options.probes {
                return Err(Open { retry_after: RETRY_WHILE_PROBING });
            }
            *in_flight += 1;
        }
        let phase_number = circuit.phase_number;
        drop(circuit);
        Ok(Permit { breaker: Arc::clone(&self.0), phase_number, outcome: None })
    }

    /// What it admits now.
    pub fn state(&self) -> BreakerState {
        self.0.lock().phase.state()
    }

    /// What it admits now, and when it may admit more.
    pub(crate) fn status(&self, dependency: Dependency) -> BreakerStatus {
        let circuit = self.0.lock();
        let retry_after = match circuit.phase {
            CircuitPhase::Closed { .. } => None,
            CircuitPhase::Open { until, .. } => {
                Some(until.saturating_duration_since(Instant::now()))
            }
            CircuitPhase::HalfOpen { .. } => Some(RETRY_WHILE_PROBING),
        };
        BreakerStatus { dependency, state: circuit.phase.state(), retry_after }
    }
}

/// The right to one call.
#[must_use = "a permit without an outcome counts for nothing"]
pub struct Permit {
    breaker: Arc<Inner>,
    phase_number: u64,
    outcome: Option<CallOutcome>,
}

impl Permit {
    /// Records how the call went.
    pub fn record(mut self, outcome: CallOutcome) {
        self.outcome = Some(outcome);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.breaker.finish(self.phase_number, self.outcome);
    }
}

impl Inner {
    /// No invariant spans two statements under the lock, so a poisoned one is as good.
    fn lock(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call ended; without an outcome it only gives its place back.
    fn finish(&self, phase_number: u64, outcome: Option<CallOutcome>) {
        let mut circuit = self.lock();
        if circuit.phase_number != phase_number {
            return;
        }
        let next = match (&mut circuit.phase, outcome) {
            (CircuitPhase::Closed { calls }, Some(outcome)) => {
                self.cause_to_open(calls.record(outcome)).map(|cause| self.open(cause))
            }
            (CircuitPhase::HalfOpen { in_flight, succeeded, .. }, outcome) => {
                *in_flight = in_flight.saturating_sub(1);
                match outcome {
                    Some(CallOutcome::Answered) => {
                        *succeeded += 1;
                        let calls = || CallWindow::new(self.options.window);
                        let is_well = *succeeded >= self.options.probes;
                        is_well.then(|| CircuitPhase::Closed { calls: calls() })
                    }
                    Some(CallOutcome::Failed) => Some(self.open(OpenCause::Failures)),
                    Some(CallOutcome::Slow) => Some(self.open(OpenCause::Slowness)),
                    None => None,
                }
            }
            (CircuitPhase::Closed { .. }, None) | (CircuitPhase::Open { .. }, _) => None,
        };
        if let Some(next) = next {
            self.enter(&mut circuit, next);
        }
    }

    fn cause_to_open(&self, counts: CallCounts) -> Option<OpenCause> {
        let CallCounts { calls, failed, slow } = counts;
        let is_enough = usize::try_from(calls).is_ok_and(|n| n >= self.options.minimum_calls);
        let reaches = |bad: u32, rate: f64| f64::from(bad) / f64::from(calls) >= rate;
        if !is_enough {
            None
        } else if reaches(failed, self.options.failure_rate) {
            Some(OpenCause::Failures)
        } else {
            reaches(slow, self.options.slow_rate).then_some(OpenCause::Slowness)
        }
    }

    fn open(&self, cause: OpenCause) -> CircuitPhase {
        CircuitPhase::Open { cause, until: Instant::now() + self.options.open_for }
    }

    fn enter(&self, circuit: &mut Circuit, next: CircuitPhase) {
        let (from, to) = (circuit.phase.state(), next.state());
        let cause = next.cause().or_else(|| circuit.phase.cause());
        let watching = cause.map(OpenCause::name);
        tracing::warn!(dependency = self.dependency, watching, ?from, ?to, "breaker");
        show(self.dependency, &next);
        circuit.phase = next;
        circuit.phase_number += 1;
    }
}

impl CircuitPhase {
    const fn state(&self) -> BreakerState {
        match self {
            Self::Closed { .. } => BreakerState::Closed,
            Self::Open { .. } => BreakerState::Open,
            Self::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    const fn cause(&self) -> Option<OpenCause> {
        match self {
            Self::Closed { .. } => None,
            Self::Open { cause, .. } | Self::HalfOpen { cause, .. } => Some(*cause),
        }
    }
}

impl OpenCause {
    const fn name(self) -> &'static str {
        match self {
            Self::Failures => "failures",
            Self::Slowness => "slowness",
        }
    }
}

fn show(dependency: &'static str, phase: &CircuitPhase) {
    let level = match phase.state() {
        BreakerState::Closed => 0.0,
        BreakerState::HalfOpen => 1.0,
        BreakerState::Open => 2.0,
    };
    for cause in [OpenCause::Failures, OpenCause::Slowness] {
        let level = if phase.cause() == Some(cause) { level } else { 0.0 };
        let labels = [("dependency", dependency), ("watching", cause.name())];
        metrics::gauge!("gdmarket_breaker_state", &labels).set(level);
    }
}
