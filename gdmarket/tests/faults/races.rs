//! Two people want opposite things at the same moment; the outcome is one of theirs, never both.

use crate::charges::{assert_notices_what_is_charged_wrongly, attempts, closed, wrongly_charged};
use crate::kills::{gateway_book, whole_log};
use crate::market::{Answer, Market};
use crate::settled::{Settled, settled};
use gdmarket_testkit::{Server, ServerOptions, TestDb, eventually, on_each_engine, times};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

/// Rounds of each pair race, this many under way at once.
const ROUNDS: usize = 500;
const AT_ONCE: usize = 25;

async fn server(db: &TestDb, variables: &[(&str, &str)]) -> Server {
    let mut options = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket")).on(db);
    for (name, value) in variables {
        options = options.variable(name, value);
    }
    options.start().await
}

/// A gateway that takes a moment, so that the other person's request meets an open attempt.
const SLOW_GATEWAY: &[(&str, &str)] =
    &[("GDMARKET__PAYMENT__DELAY_MS", "1"), ("GDMARKET__PAYMENT__JITTER_MS", "4")];

on_each_engine! {
    async fn cancelling_against_lending_never_refunds_what_is_lent(db: &TestDb) {
        let server = server(db, &[]).await;
        let market = Market::at(&server.url(""));
        let ends = rounds(|round| {
            let market = &market;
            async move {
            let (item, reservation) = reserved(market).await;
            paid(market, reservation).await;
            let lend = after(round % 40, market.lend(item));
            let (cancelled, lent) = tokio::join!(market.cancel(reservation), lend);
            // A request to cancel (202) is answered by the item; what was done (200) stays done.
            let allowed: &[&str] = match (cancelled.status, lent.status) {
                (200 | 202, 409) => &["Cancelled"],
                (202 | 409, 200) => &["Renting"],
                _ => panic!("{cancelled:?} {lent:?}"),
            };
            settled(market, (item, reservation), allowed).await
            }
        })
        .await;
        judged_by_the_gateway(db).await;
        both_ends("cancel against lend", &ends, ["Cancelled", "Renting"]);
    }

    async fn cancelling_against_paying_keeps_no_money_for_nothing(db: &TestDb) {
        let server = server(db, SLOW_GATEWAY).await;
        let market = Market::at(&server.url(""));
        let ends = rounds(|round| {
            let market = &market;
            async move {
            let (item, reservation) = reserved(market).await;
            let cancel = after(round % 20, market.cancel(reservation));
            let (cancelled, paid) = tokio::join!(cancel, market.pay(reservation));
            assert!(accepted(&cancelled) || accepted(&paid), "{cancelled:?} {paid:?}");
            // Whoever pays first and cancels then is refunded: only a refusal leaves it paid.
            let end = if accepted(&cancelled) { "Cancelled" } else { "Reserved" };
            let settled = settled(market, (item, reservation), &[end]).await;
            Settled { status: if accepted(&paid) { "pay first" } else { "cancel first" }.into(), ..settled }
            }
        })
        .await;
        judged_by_the_gateway(db).await;
        both_ends("cancel against pay", &ends, ["cancel first", "pay first"]);
    }

    async fn paying_twice_charges_once(db: &TestDb) {
        let server = server(db, SLOW_GATEWAY).await;
        let market = Market::at(&server.url(""));
        let ends = rounds(|_| async {
            let (item, reservation) = reserved(&market).await;
            let (one, other) = tokio::join!(market.pay(reservation), market.pay(reservation));
            assert!(accepted(&one) || accepted(&other), "{one:?} {other:?}");
            paid_in_the_end(&market, reservation).await;
            let end = settled(&market, (item, reservation), &["Reserved"]).await;
            assert_eq!(end.approved, 1);
            assert_eq!(market.payments(item, reservation).await.len(), 1, "one attempt");
            end
        })
        .await;
        assert_eq!(judged_by_the_gateway(db).await, ends.len(), "all of them were judged");
        println!("pay twice, {} rounds", ends.len());
    }

    async fn expiring_against_paying_leaves_one_of_the_two(db: &TestDb) {
        let variables = [SLOW_GATEWAY, &[("GDMARKET__RESERVATION__PAY_WITHIN_S", "1")]].concat();
        let server = server(db, &variables).await;
        let market = Market::at(&server.url(""));
        let ends = rounds(|round| {
            let market = &market;
            async move {
                let (item, reservation) = reserved(market).await;
                // The race needs a moment, not a condition: around the end of the time to pay.
                let about = 960 + 4 * u64::try_from(round % 20).unwrap();
                tokio::time::sleep(Duration::from_millis(about)).await;
                let paid = market.pay(reservation).await;
                let end = match (paid.status, paid.code()) {
                    (200 | 202, _) => "Reserved",
                    (409, "reservation-closed") => "Expired",
                    _ => panic!("{paid:?}"),
                };
                settled(market, (item, reservation), &[end]).await
            }
        })
        .await;
        judged_by_the_gateway(db).await;
        both_ends("expire against pay", &ends, ["Expired", "Reserved"]);
    }
}

/// Holds the gateway's own books against the log; how many reservations had attempts.
async fn judged_by_the_gateway(db: &TestDb) -> usize {
    let (book, log) = (gateway_book(db).await, whole_log(db).await);
    let (attempts, closed) = (attempts(&log), closed(&log));
    assert_eq!(wrongly_charged(&book, &attempts, &closed), [""; 0]);
    assert_notices_what_is_charged_wrongly(&book, &attempts, &closed);
    attempts.values().map(|attempt| attempt.reservation).collect::<BTreeSet<_>>().len()
}

/// 200: done; 202: under way and kept.
fn accepted(answer: &Answer) -> bool {
    matches!(answer.status, 200..=202)
}

async fn reserved(market: &Market) -> (i64, i64) {
    let item = market.register(100).await;
    let answer = market.reserve(item, 7).await.expect(201);
    (item, answer.number("reservationNo"))
}

/// Pays, and waits until that is through: a busy server may answer 202 first.
async fn paid(market: &Market, reservation: i64) {
    let answer = market.pay(reservation).await;
    assert!(accepted(&answer), "{answer:?}");
    paid_in_the_end(market, reservation).await;
}

async fn paid_in_the_end(market: &Market, reservation: i64) {
    eventually(Duration::from_secs(20), || async {
        let row = market.reservation(reservation).await;
        if row["paymentStatus"] == "Paid" { Ok(()) } else { Err(row) }
    })
    .await;
}

async fn rounds<F, Fut>(race: F) -> Vec<Settled>
where
    F: Fn(usize) -> Fut,
    Fut: Future<Output = Settled>,
{
    use futures::StreamExt;
    futures::stream::iter((0..times(ROUNDS)).map(race)).buffer_unordered(AT_ONCE).collect().await
}

/// Begins a little later, so that over the rounds each of the two is first at times.
async fn after<T>(milliseconds: usize, request: impl Future<Output = T>) -> T {
    tokio::time::sleep(Duration::from_millis(u64::try_from(milliseconds).unwrap())).await;
    request.await
}

/// Both ends must be seen over the rounds: a race that always ends alike is no race.
fn both_ends(name: &str, ends: &[Settled], expected: [&str; 2]) {
    let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
    for end in ends {
        *counted.entry(end.status.as_str()).or_default() += 1;
    }
    println!("{name}, {} rounds: {counted:?}", ends.len());
    assert_eq!(counted.into_keys().collect::<Vec<_>>(), expected);
}
