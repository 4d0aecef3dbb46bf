//! Two people send contradicting requests at the same moment; the outcome is one of the two, never both.

use crate::final_state::{FinalState, final_state};
use crate::stored_state::{provider_entries, whole_log};
use gdmarket_testkit::{
    Answer, MarketClient, Server, ServerOptions, TestDb, assert_detects_wrong_charges, attempts,
    charge_errors, closed, eventually, on_each_engine, times,
};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

/// Rounds of each race, and the number of them in flight at once.
const ROUNDS: usize = 500;
const AT_ONCE: usize = 25;

async fn server(db: &TestDb, variables: &[(&str, &str)]) -> Server {
    let mut options = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket")).on(db);
    for (name, value) in variables {
        options = options.variable(name, value);
    }
    options.start().await
}

/// A gateway that takes a moment, so that the other request meets an open attempt.
const SLOW_GATEWAY: &[(&str, &str)] =
    &[("GDMARKET__PAYMENT__DELAY_MS", "1"), ("GDMARKET__PAYMENT__JITTER_MS", "4")];

on_each_engine! {
    async fn cancelling_against_lending_never_refunds_a_lent_reservation(db: &TestDb) {
        let server = server(db, &[]).await;
        let market = MarketClient::at(&server.url(""));
        let ends = rounds(|round| {
            let market = &market;
            async move {
            let (item, reservation) = reserve(market).await;
            pay(market, reservation).await;
            let lend = delayed(round % 40, market.lend(item));
            let (cancelled, lent) = tokio::join!(market.cancel(reservation), lend);
            // 202: the item decides about the cancellation; 200: it is done.
            let allowed: &[&str] = match (cancelled.status, lent.status) {
                (200 | 202, 409) => &["Cancelled"],
                (202 | 409, 200) => &["Renting"],
                _ => panic!("{cancelled:?} {lent:?}"),
            };
            final_state(market, item, reservation, allowed).await
            }
        })
        .await;
        assert_charges_are_right(db).await;
        assert_both_outcomes_occur("cancel against lend", &ends, ["Cancelled", "Renting"]);
    }

    async fn cancelling_against_paying_leaves_no_charge_on_a_cancelled_reservation(db: &TestDb) {
        let server = server(db, SLOW_GATEWAY).await;
        let market = MarketClient::at(&server.url(""));
        let ends = rounds(|round| {
            let market = &market;
            async move {
            let (item, reservation) = reserve(market).await;
            let cancel = delayed(round % 20, market.cancel(reservation));
            let (cancelled, paid) = tokio::join!(cancel, market.pay(reservation));
            assert!(accepted(&cancelled) || accepted(&paid), "{cancelled:?} {paid:?}");
            // A payment before the cancellation is refunded: the reservation stays paid only if cancelling is refused.
            let end = if accepted(&cancelled) { "Cancelled" } else { "Reserved" };
            let state = final_state(market, item, reservation, &[end]).await;
            FinalState { status: if accepted(&paid) { "pay first" } else { "cancel first" }.into(), ..state }
            }
        })
        .await;
        assert_charges_are_right(db).await;
        assert_both_outcomes_occur("cancel against pay", &ends, ["cancel first", "pay first"]);
    }

    async fn paying_twice_charges_once(db: &TestDb) {
        let server = server(db, SLOW_GATEWAY).await;
        let market = MarketClient::at(&server.url(""));
        let ends = rounds(|_| async {
            let (item, reservation) = reserve(&market).await;
            let (one, other) = tokio::join!(market.pay(reservation), market.pay(reservation));
            assert!(accepted(&one) || accepted(&other), "{one:?} {other:?}");
            wait_until_paid(&market, reservation).await;
            let end = final_state(&market, item, reservation, &["Reserved"]).await;
            assert_eq!(end.approved, 1);
            assert_eq!(market.payments(item, reservation).await.len(), 1, "one attempt");
            end
        })
        .await;
        assert_eq!(assert_charges_are_right(db).await, ends.len(), "all of them were compared");
        println!("pay twice, {} rounds", ends.len());
    }

    async fn expiring_against_paying_ends_expired_or_paid(db: &TestDb) {
        let variables = [SLOW_GATEWAY, &[("GDMARKET__RESERVATION__PAY_WITHIN_S", "1")]].concat();
        let server = server(db, &variables).await;
        let market = MarketClient::at(&server.url(""));
        let ends = rounds(|round| {
            let market = &market;
            async move {
                let (item, reservation) = reserve(market).await;
                // The race is around the end of the time to pay; this is no condition to wait for.
                let wait_ms = 960 + 4 * u64::try_from(round % 20).unwrap();
                tokio::time::sleep(Duration::from_millis(wait_ms)).await;
                let paid = market.pay(reservation).await;
                let end = match (paid.status, paid.code()) {
                    (200 | 202, _) => "Reserved",
                    (409, "reservation-closed") => "Expired",
                    _ => panic!("{paid:?}"),
                };
                final_state(market, item, reservation, &[end]).await
            }
        })
        .await;
        assert_charges_are_right(db).await;
        assert_both_outcomes_occur("expire against pay", &ends, ["Expired", "Reserved"]);
    }
}

/// Compares the gateway's ledger with the log, and returns the number of reservations with attempts.
async fn assert_charges_are_right(db: &TestDb) -> usize {
    let (ledger, log) = (provider_entries(db).await, whole_log(db).await);
    let (attempts, closed) = (attempts(&log), closed(&log));
    assert_eq!(charge_errors(&ledger, &attempts, &closed), [""; 0]);
    assert_detects_wrong_charges(&ledger, &attempts, &closed);
    attempts.values().map(|attempt| attempt.reservation).collect::<BTreeSet<_>>().len()
}

/// 200: done; 202: accepted, and not decided yet.
fn accepted(answer: &Answer) -> bool {
    matches!(answer.status, 200..=202)
}

async fn reserve(market: &MarketClient) -> (i64, i64) {
    let item = market.register(100).await;
    let answer = market.reserve(item, 7).await.expect(201);
    (item, answer.number("reservationNo"))
}

/// Pays, and waits until the payment is done: a busy server may answer 202 first.
async fn pay(market: &MarketClient, reservation: i64) {
    let answer = market.pay(reservation).await;
    assert!(accepted(&answer), "{answer:?}");
    wait_until_paid(market, reservation).await;
}

async fn wait_until_paid(market: &MarketClient, reservation: i64) {
    eventually(Duration::from_secs(20), || async {
        let row = market.reservation(reservation).await;
        if row["paymentStatus"] == "Paid" { Ok(()) } else { Err(row) }
    })
    .await;
}

async fn rounds<F, Fut>(race: F) -> Vec<FinalState>
where
    F: Fn(usize) -> Fut,
    Fut: Future<Output = FinalState>,
{
    use futures::StreamExt;
    futures::stream::iter((0..times(ROUNDS)).map(race)).buffer_unordered(AT_ONCE).collect().await
}

/// Delays a request, so that each of the two is first in some rounds.
async fn delayed<T>(delay_ms: usize, request: impl Future<Output = T>) -> T {
    tokio::time::sleep(Duration::from_millis(u64::try_from(delay_ms).unwrap())).await;
    request.await
}

/// Both outcomes must occur over the rounds: without that the requests didn't race.
fn assert_both_outcomes_occur(name: &str, ends: &[FinalState], expected: [&str; 2]) {
    let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
    for end in ends {
        *counted.entry(end.status.as_str()).or_default() += 1;
    }
    println!("{name}, {} rounds: {counted:?}", ends.len());
    assert_eq!(counted.into_keys().collect::<Vec<_>>(), expected);
}
