//! The circuit breaker: what opens it, which calls it admits while half open, and how it closes again.

use gdmarket_commands::{BreakerOptions, BreakerState, CallOutcome, CircuitBreaker, Open, Permit};
use gdmarket_testkit::eventually;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(10);

fn options() -> BreakerOptions {
    BreakerOptions {
        window: Duration::from_mins(1),
        minimum_calls: 4,
        failure_rate: 0.5,
        slow_rate: 0.75,
        open_for: Duration::from_millis(50),
        probes: 2,
    }
}

fn breaker(options: &BreakerOptions) -> CircuitBreaker {
    CircuitBreaker::new("test", options.clone()).unwrap()
}

fn calls(breaker: &CircuitBreaker, outcomes: &[CallOutcome]) {
    for outcome in outcomes {
        breaker.admit().unwrap().record(*outcome);
    }
}

fn opened(options: &BreakerOptions) -> CircuitBreaker {
    let breaker = breaker(options);
    calls(&breaker, &[CallOutcome::Failed; 4]);
    assert_eq!(breaker.state(), BreakerState::Open);
    breaker
}

/// The first probe, once the breaker has been open for `open_for`.
async fn probe(breaker: &CircuitBreaker) -> Permit {
    eventually(LONG, || async { breaker.admit() }).await
}

#[tokio::test]
async fn failures_above_the_rate_open_the_breaker_with_a_retry_delay() {
    let options = BreakerOptions { open_for: Duration::from_secs(30), ..options() };
    let breaker = breaker(&options);
    calls(&breaker, &[CallOutcome::Answered, CallOutcome::Failed, CallOutcome::Answered]);
    assert_eq!(breaker.state(), BreakerState::Closed);
    calls(&breaker, &[CallOutcome::Failed]);
    let Open { retry_after } = breaker.admit().err().unwrap();
    assert!(retry_after > Duration::from_secs(20) && retry_after <= options.open_for);
}

#[tokio::test]
async fn slow_calls_open_the_breaker_at_a_rate_of_their_own() {
    let breaker = breaker(&options());
    calls(
        &breaker,
        &[CallOutcome::Answered, CallOutcome::Answered, CallOutcome::Slow, CallOutcome::Slow],
    );
    assert_eq!(breaker.state(), BreakerState::Closed);
    calls(&breaker, &[CallOutcome::Slow; 4]);
    assert_eq!(breaker.state(), BreakerState::Open);
}

#[tokio::test]
async fn answered_calls_never_open_the_breaker() {
    let breaker = breaker(&options());
    calls(&breaker, &[CallOutcome::Answered; 100]);
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[tokio::test]
async fn outage_opens_the_breaker_after_a_long_healthy_period() {
    let options = BreakerOptions { window: Duration::from_millis(100), ..options() };
    let breaker = breaker(&options);
    calls(&breaker, &[CallOutcome::Answered; 5_000]);
    // The good calls leave the window one after the other, until four failures are all that it holds.
    eventually(LONG, || async {
        match breaker.admit() {
            Ok(permit) => {
                permit.record(CallOutcome::Failed);
                Err(breaker.state())
            }
            Err(Open { .. }) => Ok(()),
        }
    })
    .await;
}

/// Queries and refunds take a permit and record no outcome, because it says nothing about charges.
#[tokio::test]
async fn permits_without_an_outcome_do_not_hide_an_outage() {
    let breaker = breaker(&options());
    for _ in 0..1_000 {
        drop(breaker.admit().unwrap());
    }
    calls(&breaker, &[CallOutcome::Failed; 4]);
    assert_eq!(breaker.state(), BreakerState::Open);
}

#[tokio::test]
async fn half_open_breaker_admits_two_of_twenty_calls_as_probes() {
    let breaker = opened(&options());
    let first = probe(&breaker).await;
    let mut probes = vec![first];
    for _ in 0..19 {
        probes.extend(breaker.admit().ok());
    }
    assert_eq!(probes.len(), 2);
    for probe in probes {
        probe.record(CallOutcome::Answered);
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
    calls(&breaker, &[CallOutcome::Answered; 20]);
}

#[tokio::test]
async fn failed_probe_opens_the_breaker_again() {
    let breaker = opened(&options());
    probe(&breaker).await.record(CallOutcome::Failed);
    assert_eq!(breaker.state(), BreakerState::Open);
}

#[tokio::test]
async fn slow_probe_opens_the_breaker_again_after_slow_calls() {
    let breaker = breaker(&options());
    calls(&breaker, &[CallOutcome::Slow; 4]);
    probe(&breaker).await.record(CallOutcome::Slow);
    assert_eq!(breaker.state(), BreakerState::Open);
}

#[tokio::test]
async fn slow_probe_opens_the_breaker_again_after_failures() {
    let breaker = opened(&options());
    probe(&breaker).await.record(CallOutcome::Slow);
    assert_eq!(breaker.state(), BreakerState::Open);
}

#[tokio::test]
async fn call_admitted_before_opening_is_not_a_probe() {
    let breaker = breaker(&options());
    let [late, later] = [breaker.admit().unwrap(), breaker.admit().unwrap()];
    calls(&breaker, &[CallOutcome::Failed; 4]);
    let probe = probe(&breaker).await;
    late.record(CallOutcome::Failed);
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    later.record(CallOutcome::Answered);
    probe.record(CallOutcome::Answered);
    assert_eq!(breaker.state(), BreakerState::HalfOpen, "one probe succeeded, not two");
}

/// Operators watch this gauge; docs/runbook.md explains it.
#[test]
fn breaker_state_is_a_gauge_by_dependency_and_watched_rate() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    // Each snapshot resets the metrics that it returns.
    let levels = || {
        let metrics = snapshotter.snapshot().into_vec().into_iter();
        let gauges = metrics.filter_map(|(key, _, _, value)| {
            let labels: Vec<_> = key.key().labels().map(|l| (l.key(), l.value())).collect();
            let is_it = key.key().name() == "gdmarket_breaker_state"
                && labels.contains(&("dependency", "test"));
            let watching = key.key().labels().find(|label| label.key() == "watching")?.value();
            match value {
                DebugValue::Gauge(level) if is_it => {
                    Some(format!("{watching} {}", level.into_inner()))
                }
                _ => None,
            }
        });
        let mut levels: Vec<_> = gauges.collect();
        levels.sort();
        levels
    };
    metrics::with_local_recorder(&recorder, || {
        let options = BreakerOptions { open_for: Duration::ZERO, ..options() };
        let breaker = breaker(&options);
        assert_eq!(levels(), ["failures 0", "slowness 0"]);
        calls(&breaker, &[CallOutcome::Slow; 4]);
        assert_eq!(levels(), ["failures 0", "slowness 2"]);
        let probe = breaker.admit().unwrap();
        assert_eq!(levels(), ["failures 0", "slowness 1"]);
        probe.record(CallOutcome::Failed);
        assert_eq!(levels(), ["failures 2", "slowness 0"]);
        calls(&breaker, &[CallOutcome::Answered; 2]);
        assert_eq!(levels(), ["failures 0", "slowness 0"]);
    });
}

#[tokio::test]
async fn dropped_permit_counts_for_nothing_and_frees_its_place() {
    let breaker = opened(&options());
    drop(probe(&breaker).await);
    for _ in 0..10 {
        drop(breaker.admit().unwrap());
    }
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
}

#[tokio::test]
async fn probes_outside_the_window_do_not_keep_the_breaker_open() {
    let options = BreakerOptions { window: Duration::from_millis(60), ..options() };
    let breaker = opened(&options);
    // The first probe leaves the window before the second; two within one window close the breaker.
    probe(&breaker).await.record(CallOutcome::Answered);
    tokio::time::sleep(options.window * 2).await;
    eventually(LONG, || async {
        if let Ok(permit) = breaker.admit() {
            permit.record(CallOutcome::Answered);
        }
        if breaker.state() == BreakerState::Closed { Ok(()) } else { Err(breaker.state()) }
    })
    .await;
}

#[test]
fn invalid_settings_are_refused() {
    for invalid in [
        BreakerOptions { probes: 0, ..options() },
        BreakerOptions { failure_rate: 0.0, ..options() },
        BreakerOptions { slow_rate: 1.5, ..options() },
    ] {
        assert!(CircuitBreaker::new("test", invalid.clone()).is_err(), "{invalid:?}");
    }
}
