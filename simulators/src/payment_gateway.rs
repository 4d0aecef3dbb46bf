//! A payment gateway inside the program, for demos and tests: as slow and unreliable as its options say,
//! with an exact ledger.
//!
//! A call takes effect in the middle of its delay, so a caller that stops waiting may be charged.

use crate::latency::random_latency;
use crate::ledger::Ledger;
use async_trait::async_trait;
use gdmarket_commands::{Charge, Confirmation, GatewayError, PaymentGateway};
use gdmarket_store::{StoreError, WriteOnceRecords};
use std::sync::Arc;
use uuid::Uuid;

/// How the in-process gateway behaves.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct InProcessGatewayOptions {
    /// The delay of a call in milliseconds.
    pub delay_ms: u64,
    /// The maximum of the random additional delay in milliseconds.
    pub jitter_ms: u64,
    /// The share of calls that fail, 0 to 1: the gateway is unreachable, or the connection is lost before or
    /// after the effect, with equal probability.
    pub fail_rate: f64,
    /// The share of charges that are declined, 0 to 1.
    pub decline_rate: f64,
}

/// The gateway of a market without external services.
pub struct InProcessGateway {
    options: InProcessGatewayOptions,
    ledger: Ledger,
}

/// The fault of one call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PlannedFault {
    None,
    Unreachable,
    LostBefore,
    LostAfter,
}

impl InProcessGateway {
    /// A gateway whose charges and refunds are stored in these records.
    pub const fn with_records(options: InProcessGatewayOptions, records: WriteOnceRecords) -> Self {
        Self { options, ledger: Ledger::Kept(records) }
    }

    /// A gateway whose charges end with the process.
    pub fn in_memory(options: InProcessGatewayOptions) -> Self {
        Self { options, ledger: Ledger::Memory(Arc::default()) }
    }

    /// One call: half of the delay, the effect, the other half, and the fault in between.
    async fn call<T, F>(&self, effect: impl FnOnce(Ledger) -> F + Send) -> Result<T, GatewayError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, GatewayError>> + Send + 'static,
    {
        let fault = self.fault();
        if fault == PlannedFault::Unreachable {
            return Err(GatewayError::Unreachable("connection refused".to_owned()));
        }
        let half = random_latency(self.options.delay_ms, self.options.jitter_ms) / 2;
        tokio::time::sleep(half).await;
        if fault == PlannedFault::LostBefore {
            return Err(GatewayError::Unknown("connection lost".to_owned()));
        }
        // A started call takes effect whether or not its caller still waits, so it is a task of its own.
        let done = tokio::spawn(effect(self.ledger.clone())).await;
        let done = done.unwrap_or_else(|error| Err(GatewayError::Unknown(error.to_string())));
        tokio::time::sleep(half).await;
        if fault == PlannedFault::LostAfter {
            return Err(GatewayError::Unknown("connection lost".to_owned()));
        }
        done
    }

    fn fault(&self) -> PlannedFault {
        if !happens(self.options.fail_rate) {
            return PlannedFault::None;
        }
        match rand::random_range(0..3) {
            0 => PlannedFault::Unreachable,
            1 => PlannedFault::LostBefore,
            _ => PlannedFault::LostAfter,
        }
    }
}

fn happens(rate: f64) -> bool {
    rand::random::<f64>() < rate
}

/// The error after a failed write: the entry may be stored or not, and repeating the call shows which.
fn unwritten(error: &StoreError) -> GatewayError {
    GatewayError::Unknown(error.to_string())
}

#[async_trait]
impl PaymentGateway for InProcessGateway {
    async fn confirm(&self, key: Uuid, charge: &Charge) -> Result<Confirmation, GatewayError> {
        let Charge { payment_no, amount, .. } = *charge;
        let declines = happens(self.options.decline_rate);
        self.call(move |ledger| async move {
            if declines && ledger.charged(key).await.map_err(|error| unwritten(&error))?.is_none() {
                return Err(GatewayError::Declined("card-declined".to_owned()));
            }
            let charged = ledger.charge(key, payment_no, amount).await;
            let (payment_no, amount) = charged.map_err(|error| unwritten(&error))?;
            Ok(Confirmation { key, payment_no, amount })
        })
        .await
    }

    async fn cancel(&self, key: Uuid) -> Result<Confirmation, GatewayError> {
        self.call(move |ledger| async move {
            match ledger.refund(key).await.map_err(|error| unwritten(&error))? {
                Some((payment_no, amount)) => Ok(Confirmation { key, payment_no, amount }),
                None => Err(GatewayError::Declined("not-charged".to_owned())),
            }
        })
        .await
    }

    async fn find(&self, key: Uuid) -> Result<Option<Confirmation>, GatewayError> {
        let confirmation = |(payment_no, amount)| Confirmation { key, payment_no, amount };
        let charged = move |ledger: Ledger| async move {
            ledger.charged(key).await.map_err(|error| unwritten(&error))
        };
        Ok(self.call(charged).await?.map(confirmation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{LedgerEntry, read_ledger, take_over_ledger};
    use gdmarket_domain::{Money, PaymentNo, ReservationNo};
    use gdmarket_store::{Store, StoreOptions};
    use gdmarket_testkit::{TestDb, on_each_engine};

    fn charge() -> Charge {
        Charge {
            payment_no: PaymentNo::new(1).unwrap(),
            reservation_no: ReservationNo::new(1).unwrap(),
            amount: Money::price(300).unwrap(),
        }
    }

    async fn opened(db: &TestDb) -> Store {
        let options = StoreOptions { url: db.url().to_owned(), ..StoreOptions::default() };
        Store::migrate(&options).await.unwrap();
        Store::open(&options).await.unwrap()
    }

    fn gateway(store: &Store) -> InProcessGateway {
        InProcessGateway::with_records(
            InProcessGatewayOptions::default(),
            store.write_once_records().clone(),
        )
    }

    fn once(key: Uuid) -> [LedgerEntry; 2] {
        let Charge { payment_no, amount, .. } = charge();
        [LedgerEntry::Charge { key, payment_no, amount }, LedgerEntry::Refund { key }]
    }

    on_each_engine! {
        async fn one_key_is_charged_and_refunded_once_across_a_restart(db: &TestDb) {
            let key = Uuid::from_u128(1);
            for _ in 0..2 {
                let store = opened(db).await;
                let gateway = gateway(&store);
                for _ in 0..2 {
                    gateway.confirm(key, &charge()).await.unwrap();
                    gateway.cancel(key).await.unwrap();
                    assert!(gateway.find(key).await.unwrap().is_some());
                }
                assert_eq!(read_ledger(store.write_once_records()).await.unwrap(), once(key));
                store.close().await;
            }
        }

        async fn servers_on_one_log_share_their_charges(db: &TestDb) {
            let stores = [opened(db).await, opened(db).await];
            let [one, other] = stores.each_ref().map(gateway);
            let key = Uuid::from_u128(1);
            one.confirm(key, &charge()).await.unwrap();
            assert!(other.find(key).await.unwrap().is_some());
            let dearer = Charge { amount: Money::price(500).unwrap(), ..charge() };
            let confirmed = other.confirm(key, &dearer).await.unwrap();
            assert_eq!(confirmed.amount, charge().amount, "the amount of the first charge");
            other.cancel(key).await.unwrap();
            one.cancel(key).await.unwrap();
            assert_eq!(read_ledger(stores[0].write_once_records()).await.unwrap(), once(key));
            for store in stores {
                store.close().await;
            }
        }

        /// The file is as older programs wrote it, with a last line cut off by a kill.
        async fn ledger_file_is_imported_once(db: &TestDb) {
            let store = opened(db).await;
            let (records, folder) = (store.write_once_records(), tempfile::tempdir().unwrap());
            let path = folder.path().join("payments.ledger");
            assert_eq!(take_over_ledger(records, &path).await.unwrap(), 0, "there is no file");
            let [first, second] = [1, 2].map(|key| once(Uuid::from_u128(key)));
            let lines = [&first[0], &second[0], &first[1]];
            let lines: Vec<String> =
                lines.map(|entry| serde_json::to_string(entry).unwrap() + "\n").into();
            std::fs::write(&path, lines.concat() + "{\"kind\":").unwrap();
            gateway(&store).confirm(Uuid::from_u128(1), &charge()).await.unwrap();
            assert_eq!(take_over_ledger(records, &path).await.unwrap(), 2, "one entry was known");
            assert_eq!(take_over_ledger(records, &path).await.unwrap(), 0, "once");
            let all = read_ledger(records).await.unwrap();
            assert_eq!(all, [first[0].clone(), second[0].clone(), first[1].clone()]);
            gateway(&store).cancel(Uuid::from_u128(2)).await.unwrap();
            std::fs::write(&path, format!("{}broken\n", lines[0])).unwrap();
            let error = take_over_ledger(records, &path).await.unwrap_err();
            assert!(error.to_string().contains("line 2"), "{error}");
            store.close().await;
        }
    }

    #[tokio::test]
    async fn unknown_key_is_neither_found_nor_refunded() {
        let gateway = InProcessGateway::in_memory(InProcessGatewayOptions::default());
        let key = Uuid::from_u128(1);
        assert_eq!(gateway.find(key).await.unwrap(), None);
        assert!(matches!(gateway.cancel(key).await, Err(GatewayError::Declined(_))));
        for _ in 0..2 {
            gateway.confirm(key, &charge()).await.unwrap();
            gateway.cancel(key).await.unwrap();
        }
        assert!(gateway.find(key).await.unwrap().is_some());
    }
}
