//! A market whose payments go to the stand-in for a payment provider, and what both sides show.

use crate::stored_state::whole_log;
use gdmarket_testkit::{
    MarketClient, ProviderEntry, ProviderProcess, Server, ServerOptions, TestDb,
    assert_detects_wrong_charges, attempts, charge_errors, closed, eventually,
};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::process::Command;
use std::time::Duration;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_gdmarket");
pub(crate) const PROVIDER: &str = env!("CARGO_BIN_EXE_gdmarket-payment-provider");
pub(crate) const PRICE: i64 = 300;
/// An unknown outcome is asked for 15 seconds after the limit of the call; retries take a few more.
pub(crate) const SETTLED_WITHIN: Duration = Duration::from_mins(3);

/// A market on a provider. A call takes at most two seconds, which the renter waits for.
pub(crate) struct ProviderMarket {
    pub(crate) db: TestDb,
    pub(crate) provider: ProviderProcess,
    pub(crate) server: Server,
    pub(crate) client: MarketClient,
}

impl ProviderMarket {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[("ANSWER_WITHIN_MS", "5000"), ("TIMEOUT_MS", "2000")]).await
    }

    pub(crate) async fn start_with(payment: &[(&str, &str)]) -> Self {
        let (db, provider) = (TestDb::sqlite(), ProviderProcess::start(PROVIDER, &[]).await);
        let mut options = provider.used_by(ServerOptions::new(PROGRAM).on(&db));
        for (name, value) in payment {
            options = options.variable(&format!("GDMARKET__PAYMENT__{name}"), value);
        }
        let server = options.start().await;
        let client = MarketClient::at(&server.url(""));
        Self { db, provider, server, client }
    }

    /// A reservation of an item of its own.
    pub(crate) async fn reserve(&self) -> i64 {
        let item = self.client.register(PRICE).await;
        self.client.reserve(item, 1).await.expect(201).number("reservationNo")
    }

    /// Reserves and pays without a fault. Such payments keep the breaker closed.
    pub(crate) async fn reserve_and_pay(&self) -> i64 {
        let reservation = self.reserve().await;
        self.client.pay(reservation).await.expect(200);
        reservation
    }

    /// Lets the next call of this operation meet the fault.
    pub(crate) async fn plan(&self, operation: &str, fault: &str) {
        let operations = [operation];
        let behaviour =
            json!({"fault": fault, "operations": operations, "times": 1, "lateMs": 4_000});
        self.provider.behave(behaviour).await;
    }

    /// Waits until the planned call has come.
    pub(crate) async fn await_planned(&self) {
        eventually(SETTLED_WITHIN, || async {
            let behaviour = self.provider.shown("/behaviour").await;
            let is_met = behaviour["fault"] == "none" || behaviour["times"] == 0;
            if is_met { Ok(()) } else { Err(behaviour) }
        })
        .await;
    }

    pub(crate) async fn payment(&self, reservation: i64) -> Value {
        let item = self.client.reservation(reservation).await["itemNo"].as_i64().unwrap();
        self.client.payments(item, reservation).await.pop().unwrap_or_default()
    }

    pub(crate) async fn await_payment(&self, reservation: i64, statuses: &[&str]) -> String {
        eventually(SETTLED_WITHIN, || async {
            let payment = self.payment(reservation).await;
            let status = payment["status"].as_str().unwrap_or_default().to_owned();
            if statuses.contains(&status.as_str()) { Ok(status) } else { Err(payment) }
        })
        .await
    }

    pub(crate) async fn await_paid(&self, reservation: i64) {
        eventually(SETTLED_WITHIN, || async {
            let shown = self.client.reservation(reservation).await;
            if shown["paymentStatus"] == "Paid" { Ok(()) } else { Err(shown) }
        })
        .await;
    }

    /// Waits until the reservation can be paid.
    pub(crate) async fn await_unpaid(&self, reservation: i64) {
        eventually(SETTLED_WITHIN, || async {
            let shown = self.client.reservation(reservation).await;
            if shown["payBy"].is_string() { Ok(()) } else { Err(shown) }
        })
        .await;
    }

    /// The keys of parked reactions and deadlines.
    pub(crate) fn parked(&self) -> Vec<String> {
        let listed = self.tool(&["parked", "list", "--json"]);
        let rows = listed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        rows.filter(|row| row["state"] == "parked")
            .map(|row| row["key"].as_str().unwrap().to_owned())
            .collect()
    }

    pub(crate) fn tool(&self, arguments: &[&str]) -> String {
        let output = Command::new(PROGRAM)
            .args(arguments)
            .arg("--data-dir")
            .arg(self.db.folder().unwrap())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Every reservation with an attempt is charged its price once, or nothing if it is closed.
    pub(crate) async fn assert_charges_are_right(&self) -> Vec<ProviderEntry> {
        let ledger = self.provider.ledger().await;
        let log = whole_log(&self.db).await;
        assert_eq!(charge_errors(&ledger, &attempts(&log), &closed(&log)), [""; 0]);
        assert_detects_wrong_charges(&ledger, &attempts(&log), &closed(&log));
        assert_no_key_twice(&ledger);
        ledger
    }
}

fn assert_no_key_twice(ledger: &[ProviderEntry]) {
    let (mut charged, mut refunded) = (HashSet::new(), HashSet::new());
    for entry in ledger {
        let is_new = match entry {
            ProviderEntry::Charge { key, .. } => charged.insert(*key),
            ProviderEntry::Refund { key } => refunded.insert(*key),
        };
        assert!(is_new, "twice: {entry:?}");
    }
}

/// How many charges a payment has.
pub(crate) fn count_charges(ledger: &[ProviderEntry], number: i64) -> usize {
    keys_of(ledger, number).count()
}

/// How many refunds a payment has.
pub(crate) fn count_refunds(ledger: &[ProviderEntry], number: i64) -> usize {
    let keys: Vec<_> = keys_of(ledger, number).collect();
    let is_of = |entry: &&ProviderEntry| matches!(entry, ProviderEntry::Refund { key } if keys.contains(key));
    ledger.iter().filter(is_of).count()
}

fn keys_of(ledger: &[ProviderEntry], number: i64) -> impl Iterator<Item = uuid::Uuid> {
    ledger.iter().filter_map(move |entry| match entry {
        ProviderEntry::Charge { key, payment_no, .. } if *payment_no == number => Some(*key),
        ProviderEntry::Charge { .. } | ProviderEntry::Refund { .. } => None,
    })
}
