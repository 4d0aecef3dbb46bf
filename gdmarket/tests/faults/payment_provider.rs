//! Payments and refunds through a payment provider that is another process and fails in every way: per reservation
//! charges minus refunds is the price or zero, no key is charged twice, and the renter sees the final state.

use crate::durable_commits::{count_unsynced, now};
use crate::provider_market::{
    PRICE, PROGRAM, PROVIDER, ProviderMarket, SETTLED_WITHIN, count_charges, count_refunds,
};
use gdmarket_testkit::{
    Answer, MarketClient, ProviderProcess, Server, ServerOptions, Syncs, TestDb, eventually, run,
    times,
};
use serde_json::json;
use std::path::Path;
use std::process::Command;

/// A fault of a charge, the status that the renter gets at once, and whether the money was taken.
const PAY_FAULTS: [(&str, u16, bool); 17] = [
    ("none", 200, true),
    ("drop-before", 202, false),
    ("drop-after", 202, true),
    ("reset-before", 202, false),
    ("reset-after", 202, true),
    ("error-before", 202, false),
    ("error-after", 202, true),
    ("late", 202, true),
    ("hang", 202, false),
    ("wrong-amount", 202, true),
    ("wrong-order", 202, true),
    ("wrong-payment", 202, true),
    ("not-json", 202, true),
    ("truncated", 202, true),
    ("huge", 202, true),
    ("decline", 402, false),
    ("refuse", 402, false),
];

/// A fault of a refund, and the state of the payment that it leads to by itself. `Refunding` is parked for an operator:
/// the provider confirms something else than what was requested.
const REFUND_FAULTS: [(&str, &str); 17] = [
    ("none", "Cancelled"),
    ("drop-before", "Cancelled"),
    ("drop-after", "Cancelled"),
    ("reset-before", "Cancelled"),
    ("reset-after", "Cancelled"),
    ("error-before", "Cancelled"),
    ("error-after", "Cancelled"),
    ("late", "Cancelled"),
    ("hang", "Cancelled"),
    ("wrong-amount", "Refunding"),
    ("wrong-order", "Refunding"),
    ("wrong-payment", "Refunding"),
    ("not-json", "Cancelled"),
    ("truncated", "Cancelled"),
    ("huge", "Cancelled"),
    ("decline", "RefundRefused"),
    ("refuse", "RefundRefused"),
];

#[test]
fn payment_under_every_fault_ends_paid_or_can_be_paid_again() {
    run(async {
        let market = ProviderMarket::start().await;
        let mut faulty = vec![];
        for (fault, status, is_charged) in PAY_FAULTS {
            let reservation = market.reserve().await;
            market.plan("confirm", fault).await;
            let paid = market.client.pay(reservation).await;
            assert_eq!(paid.status, status, "{fault}: {}", paid.body);
            if status == 202 {
                assert_eq!(market.payment(reservation).await["status"], "Pending", "{fault}");
            }
            market.await_planned().await;
            market.provider.behave(json!({})).await;
            market.reserve_and_pay().await;
            market.reserve_and_pay().await;
            faulty.push((fault, reservation, is_charged));
        }
        for (fault, reservation, is_charged) in faulty {
            let status = if is_charged { "Approved" } else { "Declined" };
            println!("{fault}: {}", market.await_payment(reservation, &[status]).await);
            let number = market.payment(reservation).await["paymentNo"].as_i64().unwrap();
            let charges = count_charges(&market.provider.ledger().await, number);
            assert_eq!(charges, usize::from(is_charged), "{fault}");
            if !is_charged {
                market.await_unpaid(reservation).await;
                market.client.pay(reservation).await.expect(200);
            }
            market.await_paid(reservation).await;
        }
        let ledger = market.assert_charges_are_right().await;
        assert_eq!(ledger.len(), 3 * PAY_FAULTS.len());
        let uncharged = PAY_FAULTS.iter().filter(|(_, _, is_charged)| !is_charged).count();
        let attempts = u64::try_from(3 * PAY_FAULTS.len() + uncharged).unwrap();
        assert_eq!(market.provider.calls("confirm").await, attempts, "one call for each attempt");
        assert!(market.server.stderr().contains("gives no usable answer"));
    });
}

#[test]
fn refund_under_every_fault_ends_refunded_once_or_before_an_operator() {
    run(async {
        let market = ProviderMarket::start().await;
        for (fault, status) in REFUND_FAULTS {
            let reservation = market.reserve_and_pay().await;
            market.plan("cancel", fault).await;
            let cancelled = market.client.cancel(reservation).await;
            assert!(matches!(cancelled.status, 200 | 202), "{fault}: {cancelled:?}");
            market.await_planned().await;
            let is_mismatch = status == "Refunding";
            market.await_payment(reservation, &[status]).await;
            let payment = market.payment(reservation).await;
            if is_mismatch || status == "RefundRefused" {
                let key = format!("payment/{}", payment["paymentNo"]);
                eventually(SETTLED_WITHIN, || async {
                    let parked = market.parked();
                    if parked.contains(&key) { Ok(()) } else { Err(parked) }
                })
                .await;
                // The fault is over: the same request is answered rightly.
                market.tool(&["parked", "retry", "payment_process", &key]);
                market.await_payment(reservation, &["Cancelled"]).await;
            }
            let number = payment["paymentNo"].as_i64().unwrap();
            let ledger = market.provider.ledger().await;
            assert_eq!(count_refunds(&ledger, number), 1, "{fault}: {ledger:?}");
        }
        let ledger = market.assert_charges_are_right().await;
        assert_eq!(ledger.len(), 2 * REFUND_FAULTS.len());
    });
}

/// The faults of a query that leave the outcome unknown.
const FIND_FAULTS: [&str; 6] =
    ["drop-before", "error-after", "late", "not-json", "truncated", "refuse"];

/// Five seconds after each of them the market asks again.
#[test]
fn unknown_outcome_is_asked_for_until_the_provider_answers() {
    run(async {
        let market = ProviderMarket::start().await;
        let mut reservations = vec![];
        for fault in ["drop-after", "drop-before"] {
            let reservation = market.reserve().await;
            market.plan("confirm", fault).await;
            market.client.pay(reservation).await.expect(202);
            reservations.push(reservation);
        }
        for fault in FIND_FAULTS {
            market.plan("find", fault).await;
            market.await_planned().await;
        }
        market.provider.behave(json!({})).await;
        let (charged, uncharged) = (reservations[0], reservations[1]);
        market.await_paid(charged).await;
        market.await_unpaid(uncharged).await;
        assert!(market.provider.calls("find").await > 6);
        market.client.pay(uncharged).await.expect(200);
        assert_eq!(market.assert_charges_are_right().await.len(), 2);
    });
}

/// The latency of the seed's callee, against the renter's limit of 610 ms.
#[test]
fn slow_provider_is_waited_for_or_its_answer_is_recorded_later() {
    run(async {
        let market = ProviderMarket::start_with(&[]).await;
        market.provider.behave(json!({"delayMs": 400, "jitterMs": 500})).await;
        let mut pending = 0;
        let mut reservations = vec![];
        while reservations.len() < 20 || pending == 0 {
            let reservation = market.reserve().await;
            let paid = market.client.pay(reservation).await;
            if !is_refused_for_now(&paid) {
                assert!(matches!(paid.status, 200 | 202), "{paid:?}");
                pending += usize::from(paid.status == 202);
                reservations.push(reservation);
            }
        }
        println!("{pending} of {} payments were answered 202", reservations.len());
        for reservation in &reservations {
            market.await_paid(*reservation).await;
        }
        let ledger = market.assert_charges_are_right().await;
        assert_eq!(ledger.len(), reservations.len());
    });
}

fn is_refused_for_now(answer: &Answer) -> bool {
    answer.status == 503 && answer.code() == "payment-unavailable" && answer.retry_after
}

#[test]
fn provider_that_is_killed_and_restarted_has_its_ledger_and_settles_what_was_open() {
    run(async {
        let mut market = ProviderMarket::start().await;
        let paid = market.reserve_and_pay().await;
        // One is charged and its answer is on its way, one isn't charged yet when the process dies.
        let [charged, uncharged, refused] =
            [market.reserve().await, market.reserve().await, market.reserve().await];
        market.plan("confirm", "late").await;
        let paying = tokio::spawn(pay(market.client.clone(), charged));
        eventually(SETTLED_WITHIN, || async {
            let ledger = market.provider.ledger().await;
            if ledger.len() == 2 { Ok(()) } else { Err(ledger) }
        })
        .await;
        market.provider.behave(json!({"delayMs": 20_000})).await;
        let waiting = tokio::spawn(pay(market.client.clone(), uncharged));
        eventually(SETTLED_WITHIN, || async {
            let calls = market.provider.calls("confirm").await;
            if calls == 3 { Ok(()) } else { Err(calls) }
        })
        .await;
        market.provider.kill().await;
        for answer in [paying.await.unwrap(), waiting.await.unwrap()] {
            answer.expect(202);
        }
        let answer = market.client.pay(refused).await;
        assert!(is_refused_for_now(&answer), "{answer:?}");
        market.await_unpaid(refused).await;

        market.provider.restart().await;
        assert_eq!(market.provider.ledger().await.len(), 2);
        market.await_payment(charged, &["Approved"]).await;
        market.await_paid(charged).await;
        market.await_payment(uncharged, &["Declined"]).await;
        for reservation in [uncharged, refused] {
            market.await_unpaid(reservation).await;
            market.client.pay(reservation).await.expect(200);
        }
        market.client.cancel(paid).await;
        market.await_payment(paid, &["Cancelled"]).await;
        assert_eq!(market.assert_charges_are_right().await.len(), 5);
    });
}

async fn pay(client: MarketClient, reservation: i64) -> Answer {
    client.pay(reservation).await
}

#[test]
fn market_without_the_providers_key_charges_nothing_until_it_has_the_key() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        std::fs::write(&key, "sk-CANARY77\n").unwrap();
        let key = key.display().to_string();
        let db = TestDb::sqlite();
        let provider = ProviderProcess::start(PROVIDER, &["--key-file", &key]).await;
        let options = provider
            .used_by(ServerOptions::new(PROGRAM).on(&db))
            .variable("GDMARKET__PAYMENT__TIMEOUT_MS", "2000");
        let server = options.clone().start().await;
        let client = MarketClient::at(&server.url(""));
        let item = client.register(PRICE).await;
        let reservation = client.reserve(item, 1).await.expect(201).number("reservationNo");
        client.pay(reservation).await.expect(202);
        assert!(server.stderr().contains("correct payment.provider_key"), "{}", server.stderr());
        drop(server);

        let options = options.variable("GDMARKET__PAYMENT__PROVIDER_KEY_FILE", &key);
        let server = options.start().await;
        let client = MarketClient::at(&server.url(""));
        eventually(SETTLED_WITHIN, || async {
            let shown = client.reservation(reservation).await;
            if shown["payBy"].is_string() { Ok(()) } else { Err(shown) }
        })
        .await;
        eventually(SETTLED_WITHIN, || async {
            let answer = client.pay(reservation).await;
            if matches!(answer.status, 200 | 202) { Ok(()) } else { Err(answer) }
        })
        .await;
        assert!(!server.stderr().contains("CANARY77"), "{}", server.stderr());
        let shown = std::fs::read_to_string(provider.file()).unwrap();
        assert_eq!(shown.lines().count(), 1, "{shown}");
    });
}

/// Charges and refunds one after the other, so that no two share a sync.
#[test]
fn every_charge_and_refund_is_on_the_disk_before_it_is_answered() {
    run(async {
        let syncs = Syncs::new();
        let program = syncs.watching(Path::new(PROVIDER));
        let provider = ProviderProcess::start(&program, &[]).await;
        let client = reqwest::Client::new();
        let mut acknowledged = vec![];
        for number in 1..=times(100) {
            let payment = format!("payment-{number}");
            let order = json!({"orderId": payment, "totalAmount": 300, "currency": "KRW"});
            for (operation, body) in [("confirm", order), ("cancel", json!({"reason": "no"}))] {
                let url = format!("{}/payments/{payment}/{operation}", provider.url());
                let request = client.post(url).header("Idempotency-Key", &payment).json(&body);
                let sent = now();
                let answer = request.send().await.unwrap();
                acknowledged.push((sent, now()));
                assert_eq!(answer.status(), 200);
            }
        }
        let syncs = syncs.ended("/ledger.ndjson");
        assert!(syncs.len() >= acknowledged.len(), "{} syncs", syncs.len());
        assert_eq!(count_unsynced(&acknowledged, &syncs), 0);
    });
}

/// The copy doesn't know the payment, the provider does: its number, and with it its key, must not be used again.
#[test]
fn restored_market_never_pays_with_the_key_of_a_payment_that_was_lost() {
    run(async {
        let (db, provider) = (TestDb::sqlite(), ProviderProcess::start(PROVIDER, &[]).await);
        let (folder, copy) = (db.folder().unwrap(), tempfile::tempdir().unwrap());
        let options = provider.used_by(ServerOptions::new(PROGRAM).on(&db));
        let options = options.variable("GDMARKET__PAYMENT__ANSWER_WITHIN_MS", "5000");
        let server = options.clone().start().await;
        let client = MarketClient::at(&server.url(""));
        let item = client.register(PRICE).await;
        let reservation = client.reserve(item, 1).await.expect(201).number("reservationNo");
        end(server).await;
        copy_files(folder, copy.path());

        let server = options.clone().start().await;
        MarketClient::at(&server.url("")).pay(reservation).await.expect(200);
        end(server).await;
        copy_files(copy.path(), folder);
        let restored = Command::new(PROGRAM)
            .args(["migrate", "--restored", "--data-dir"])
            .arg(folder)
            .output()
            .unwrap();
        assert!(restored.status.success(), "{restored:?}");

        let server = options.start().await;
        let client = MarketClient::at(&server.url(""));
        client.pay(reservation).await.expect(200);
        let ledger = provider.ledger().await;
        assert_eq!(ledger.len(), 2, "the payment that was lost, and the one after it: {ledger:?}");
        let payments = client.payments(item, reservation).await;
        assert_eq!(payments.len(), 1);
        assert_eq!(payments[0]["paymentNo"], 1_000_000_001);
        client.cancel(reservation).await;
        eventually(SETTLED_WITHIN, || async {
            let ledger = provider.ledger().await;
            if ledger.len() == 3 { Ok(()) } else { Err(ledger) }
        })
        .await;
        assert_eq!(count_refunds(&provider.ledger().await, 1_000_000_001), 1);
    });
}

async fn end(mut server: Server) {
    server.terminate().await;
    assert!(server.wait(SETTLED_WITHIN).await.success(), "{}", server.stderr());
}

/// The files of a stopped market in the place of those of another time.
fn copy_files(from: &Path, to: &Path) {
    for old in std::fs::read_dir(to).unwrap().flatten() {
        std::fs::remove_file(old.path()).unwrap();
    }
    for file in std::fs::read_dir(from).unwrap().flatten() {
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}
