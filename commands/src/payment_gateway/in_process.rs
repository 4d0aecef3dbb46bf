//! A payment gateway inside the program, for the market's own use and for tests: as slow and as
//! unreliable as its options say, and honest about its ledger.
//!
//! A call's effect lies in the middle of its delay, so a caller that gives up may be charged.

use super::ledger::Ledger;
use super::{Charge, Confirmation, GatewayError, PaymentGateway};
use crate::latency::drawn;
use async_trait::async_trait;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::spawn_blocking;
use uuid::Uuid;

/// How the in-process gateway behaves.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InProcessGatewayOptions {
    /// How long a call takes, in milliseconds.
    pub delay_ms: u64,
    /// Up to how much longer, at random, in milliseconds.
    pub jitter_ms: u64,
    /// The share of calls that fail, 0 to 1: unreachable, or the answer lost before or after the
    /// effect, each as likely.
    pub fail_rate: f64,
    /// The share of charges that are declined, 0 to 1.
    pub decline_rate: f64,
    /// Where charges and refunds are written down; in memory if absent.
    pub ledger: Option<PathBuf>,
}

/// The gateway of a market that runs by itself.
pub struct InProcessGateway {
    options: InProcessGatewayOptions,
    ledger: Arc<Mutex<Ledger>>,
}

/// What goes wrong with one call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Refused,
    LostBefore,
    LostAfter,
}

impl InProcessGateway {
    /// A gateway with the charges and refunds of its ledger's file.
    pub fn open(options: InProcessGatewayOptions) -> io::Result<Self> {
        let ledger =
            options.ledger.as_deref().map_or_else(|| Ok(Ledger::default()), Ledger::open)?;
        Ok(Self { options, ledger: Arc::new(Mutex::new(ledger)) })
    }

    /// One call: half of the delay, the effect, the other half, and what goes wrong on the way.
    async fn call<T>(
        &self,
        effect: impl FnOnce(&mut Ledger) -> Result<T, GatewayError> + Send + 'static,
    ) -> Result<T, GatewayError>
    where
        T: Send + 'static,
    {
        let fault = self.fault();
        if fault == Fault::Refused {
            return Err(GatewayError::Unreachable("connection refused".to_owned()));
        }
        let half = drawn(self.options.delay_ms, self.options.jitter_ms) / 2;
        tokio::time::sleep(half).await;
        if fault == Fault::LostBefore {
            return Err(GatewayError::Unknown("connection lost".to_owned()));
        }
        // Another server may have the file for a moment.
        let ledger = Arc::clone(&self.ledger);
        let work = move || effect(&mut ledger.lock().unwrap_or_else(PoisonError::into_inner));
        let done = spawn_blocking(work).await;
        let done = done.unwrap_or_else(|error| Err(GatewayError::Unknown(error.to_string())));
        tokio::time::sleep(half).await;
        if fault == Fault::LostAfter {
            return Err(GatewayError::Unknown("connection lost".to_owned()));
        }
        done
    }

    fn fault(&self) -> Fault {
        if !happens(self.options.fail_rate) {
            return Fault::None;
        }
        match rand::random_range(0..3) {
            0 => Fault::Refused,
            1 => Fault::LostBefore,
            _ => Fault::LostAfter,
        }
    }
}

fn happens(rate: f64) -> bool {
    rand::random::<f64>() < rate
}

fn unwritten(error: &io::Error) -> GatewayError {
    GatewayError::Unknown(error.to_string())
}

#[async_trait]
impl PaymentGateway for InProcessGateway {
    async fn confirm(&self, key: Uuid, charge: &Charge) -> Result<Confirmation, GatewayError> {
        let Charge { payment_no, amount, .. } = *charge;
        let declines = happens(self.options.decline_rate);
        self.call(move |ledger| {
            if declines && ledger.charged(key).map_err(|e| unwritten(&e))?.is_none() {
                return Err(GatewayError::Declined("card-declined".to_owned()));
            }
            let (payment_no, amount) =
                ledger.charge(key, payment_no, amount).map_err(|e| unwritten(&e))?;
            Ok(Confirmation { key, payment_no, amount })
        })
        .await
    }

    async fn cancel(&self, key: Uuid) -> Result<Confirmation, GatewayError> {
        self.call(move |ledger| {
            ledger.refund(key).map_err(|error| unwritten(&error))?;
            match ledger.charged(key).map_err(|error| unwritten(&error))? {
                Some((payment_no, amount)) => Ok(Confirmation { key, payment_no, amount }),
                None => Err(GatewayError::Declined("not-charged".to_owned())),
            }
        })
        .await
    }

    async fn find(&self, key: Uuid) -> Result<Option<Confirmation>, GatewayError> {
        let confirmation = |(payment_no, amount)| Confirmation { key, payment_no, amount };
        let find = move |ledger: &mut Ledger| ledger.charged(key).map_err(|e| unwritten(&e));
        Ok(self.call(find).await?.map(confirmation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment_gateway::{LedgerEntry, read_ledger};
    use gdmarket_domain::{Money, PaymentNo, ReservationNo};

    fn charge() -> Charge {
        Charge {
            payment_no: PaymentNo::new(1).unwrap(),
            reservation_no: ReservationNo::new(1).unwrap(),
            amount: Money::price(300).unwrap(),
        }
    }

    #[tokio::test]
    async fn one_key_is_charged_and_refunded_once_also_across_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        let options = InProcessGatewayOptions { ledger: Some(path.clone()), ..Default::default() };
        let key = Uuid::from_u128(1);
        for _ in 0..2 {
            let gateway = InProcessGateway::open(options.clone()).unwrap();
            for _ in 0..2 {
                gateway.confirm(key, &charge()).await.unwrap();
                gateway.cancel(key).await.unwrap();
                assert!(gateway.find(key).await.unwrap().is_some());
            }
            // As a kill in the middle of a line leaves it.
            let mut torn = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
            io::Write::write_all(&mut torn, b"{\"kind\":").unwrap();
        }
        let entries = read_ledger(&path).unwrap();
        let payment_no = PaymentNo::new(1).unwrap();
        let amount = Money::price(300).unwrap();
        assert_eq!(
            entries,
            [LedgerEntry::Charge { key, payment_no, amount }, LedgerEntry::Refund { key }]
        );
    }

    #[tokio::test]
    async fn two_servers_with_one_ledger_know_of_each_others_charges() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        let options = InProcessGatewayOptions { ledger: Some(path.clone()), ..Default::default() };
        let (one, other) = (
            InProcessGateway::open(options.clone()).unwrap(),
            InProcessGateway::open(options).unwrap(),
        );
        let key = Uuid::from_u128(1);
        one.confirm(key, &charge()).await.unwrap();
        assert!(other.find(key).await.unwrap().is_some());
        other.confirm(key, &charge()).await.unwrap();
        other.cancel(key).await.unwrap();
        one.cancel(key).await.unwrap();
        assert_eq!(read_ledger(&path).unwrap().len(), 2, "one charge, one refund");
    }

    #[tokio::test]
    async fn what_was_never_charged_is_neither_found_nor_refunded() {
        let gateway = InProcessGateway::open(InProcessGatewayOptions::default()).unwrap();
        let key = Uuid::from_u128(1);
        assert_eq!(gateway.find(key).await.unwrap(), None);
        assert!(matches!(gateway.cancel(key).await, Err(GatewayError::Declined(_))));
    }
}
