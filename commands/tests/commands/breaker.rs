//! The breaker: what opens it, what it lets through then, and how it closes again.

use gdmarket_commands::{
    Breaker, BreakerOptions, BreakerState, Open, Permit, ResilienceBreaker, Verdict,
};
use gdmarket_testkit::eventually;
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

fn breaker(options: &BreakerOptions) -> ResilienceBreaker {
    ResilienceBreaker::new("test", options).unwrap()
}

async fn calls(breaker: &ResilienceBreaker, verdicts: &[Verdict]) {
    for verdict in verdicts {
        breaker.admit().await.unwrap().judge(*verdict).await;
    }
}

async fn opened(options: &BreakerOptions) -> ResilienceBreaker {
    let breaker = breaker(options);
    calls(&breaker, &[Verdict::Failed; 4]).await;
    assert_eq!(breaker.state(), BreakerState::Open);
    breaker
}

/// The first probe after the breaker was open long enough.
async fn probe(breaker: &ResilienceBreaker) -> Permit {
    eventually(LONG, || breaker.admit()).await
}

#[tokio::test]
async fn failures_above_the_rate_open_it_and_say_when_to_come_back() {
    let options = BreakerOptions { open_for: Duration::from_secs(30), ..options() };
    let breaker = breaker(&options);
    calls(&breaker, &[Verdict::Answered, Verdict::Failed, Verdict::Answered]).await;
    assert_eq!(breaker.state(), BreakerState::Closed);
    calls(&breaker, &[Verdict::Failed]).await;
    let Open { retry_after } = breaker.admit().await.err().unwrap();
    assert!(retry_after > Duration::from_secs(20) && retry_after <= options.open_for);
}

#[tokio::test]
async fn slow_calls_open_it_at_a_rate_of_their_own() {
    let breaker = breaker(&options());
    calls(&breaker, &[Verdict::Answered, Verdict::Answered, Verdict::Slow, Verdict::Slow]).await;
    assert_eq!(breaker.state(), BreakerState::Closed);
    calls(&breaker, &[Verdict::Slow; 4]).await;
    assert_eq!(breaker.state(), BreakerState::Open);
}

#[tokio::test]
async fn answers_never_open_it() {
    let breaker = breaker(&options());
    calls(&breaker, &[Verdict::Answered; 100]).await;
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[tokio::test]
async fn a_long_good_time_doesn_t_hide_an_outage() {
    let options = BreakerOptions { window: Duration::from_millis(100), ..options() };
    let breaker = breaker(&options);
    calls(&breaker, &[Verdict::Answered; 5_000]).await;
    // The good calls leave the window one after the other; then four failures are all there is.
    eventually(LONG, || async {
        match breaker.admit().await {
            Ok(permit) => {
                permit.judge(Verdict::Failed).await;
                Err(breaker.state())
            }
            Err(Open { .. }) => Ok(()),
        }
    })
    .await;
}

/// Questions and refunds ask for leave only: how they go says nothing of charges.
#[tokio::test]
async fn permits_without_a_verdict_hide_no_outage() {
    let breaker = breaker(&options());
    for _ in 0..1_000 {
        drop(breaker.admit().await.unwrap());
    }
    calls(&breaker, &[Verdict::Failed; 4]).await;
    assert_eq!(breaker.state(), BreakerState::Open);
}

#[tokio::test]
async fn twenty_at_once_on_a_half_open_one_are_two_probes() {
    let breaker = opened(&options()).await;
    let first = probe(&breaker).await;
    let mut probes = vec![first];
    for _ in 0..19 {
        probes.extend(breaker.admit().await.ok());
    }
    assert_eq!(probes.len(), 2);
    for probe in probes {
        probe.judge(Verdict::Answered).await;
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
    calls(&breaker, &[Verdict::Answered; 20]).await;
}

#[tokio::test]
async fn a_failed_probe_opens_it_again() {
    let breaker = opened(&options()).await;
    probe(&breaker).await.judge(Verdict::Failed).await;
    assert_eq!(breaker.state(), BreakerState::Open);
}

#[tokio::test]
async fn a_slow_probe_opens_it_again() {
    let breaker = breaker(&options());
    calls(&breaker, &[Verdict::Slow; 4]).await;
    probe(&breaker).await.judge(Verdict::Slow).await;
    assert_eq!(breaker.state(), BreakerState::Open);
}

#[tokio::test]
async fn a_dropped_permit_counts_for_nothing_and_gives_its_place_back() {
    let breaker = opened(&options()).await;
    drop(probe(&breaker).await);
    for _ in 0..10 {
        drop(breaker.admit().await.unwrap());
    }
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
}

#[tokio::test]
async fn probes_that_the_window_forgot_don_t_shut_it_for_ever() {
    let options = BreakerOptions { window: Duration::from_millis(60), ..options() };
    let breaker = opened(&options).await;
    // Each probe alone is forgotten before the next one; two together close it.
    probe(&breaker).await.judge(Verdict::Answered).await;
    tokio::time::sleep(options.window * 2).await;
    eventually(LONG, || async {
        if let Ok(permit) = breaker.admit().await {
            permit.judge(Verdict::Answered).await;
        }
        if breaker.state() == BreakerState::Closed { Ok(()) } else { Err(breaker.state()) }
    })
    .await;
}

#[test]
fn senseless_settings_are_refused() {
    for senseless in [
        BreakerOptions { probes: 0, ..options() },
        BreakerOptions { failure_rate: 0.0, ..options() },
        BreakerOptions { slow_rate: 1.5, ..options() },
    ] {
        assert!(ResilienceBreaker::new("test", &senseless).is_err(), "{senseless:?}");
    }
}
