//! A gateway and an alarm that behave as a test sets them and remember the calls.

use async_trait::async_trait;
use gdmarket_commands::{
    AlarmDown, AlarmSender, Charge, Confirmation, GatewayError, PaymentGateway,
};
use gdmarket_domain::{ItemNo, Money, PaymentNo};
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Semaphore;
use uuid::Uuid;

/// How an outside party answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Does {
    Well,
    Decline,
    /// It can't be reached: nothing was sent.
    Refuse,
    /// It does nothing, and its answer is lost.
    LoseBefore,
    /// It does as requested, and its answer is lost.
    LoseAfter,
    /// It does as requested, and answers about another amount, order or payment.
    OtherAmount,
    OtherOrder,
    OtherPayment,
    /// It waits until the test releases it, then does as requested.
    Wait,
    /// It waits until the test releases it, then declines.
    WaitAndDecline,
}

/// One key's money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) amount: Money,
    pub(crate) refunds: u32,
    pub(crate) payment_no: PaymentNo,
}

pub(crate) struct Gateway {
    does: Mutex<Does>,
    release: Semaphore,
    confirms: AtomicUsize,
    accounts: Mutex<HashMap<Uuid, Account>>,
}

impl Gateway {
    pub(crate) fn new(does: Does) -> Self {
        Self {
            does: Mutex::new(does),
            release: Semaphore::new(0),
            confirms: AtomicUsize::new(0),
            accounts: Mutex::default(),
        }
    }

    pub(crate) fn set(&self, does: Does) {
        *self.does.lock().unwrap() = does;
    }

    /// Releases one waiting call.
    pub(crate) fn release(&self) {
        self.release.add_permits(1);
    }

    /// How many calls of `confirm` arrived.
    pub(crate) fn confirms(&self) -> usize {
        self.confirms.load(Ordering::SeqCst)
    }

    /// The accounts of all keys that were ever charged.
    pub(crate) fn accounts(&self) -> Vec<Account> {
        self.accounts.lock().unwrap().values().cloned().collect()
    }

    /// The answer, right or wrong, as the test has set it.
    fn answer(&self, right: Confirmation) -> Confirmation {
        let does = *self.does.lock().unwrap();
        match does {
            Does::OtherAmount => Confirmation { amount: Money::price(1).unwrap(), ..right },
            Does::OtherOrder => Confirmation { payment_no: PaymentNo::new(999).unwrap(), ..right },
            Does::OtherPayment => Confirmation { key: Uuid::from_u128(999), ..right },
            _ => right,
        }
    }

    async fn call<T>(
        &self,
        effect: impl FnOnce(&mut HashMap<Uuid, Account>) -> Result<T, GatewayError> + Send,
    ) -> Result<T, GatewayError> {
        let does = *self.does.lock().unwrap();
        let lost = || GatewayError::Unknown("lost".to_owned());
        match does {
            Does::Decline => return Err(GatewayError::Declined("card-declined".to_owned())),
            Does::Refuse => return Err(GatewayError::Unreachable("refused".to_owned())),
            Does::LoseBefore => return Err(lost()),
            Does::Wait => self.release.acquire().await.unwrap().forget(),
            Does::WaitAndDecline => {
                self.release.acquire().await.unwrap().forget();
                return Err(GatewayError::Declined("card-declined".to_owned()));
            }
            Does::Well
            | Does::LoseAfter
            | Does::OtherAmount
            | Does::OtherOrder
            | Does::OtherPayment => {}
        }
        let done = effect(&mut self.accounts.lock().unwrap());
        if does == Does::LoseAfter { Err(lost()) } else { done }
    }
}

#[async_trait]
impl PaymentGateway for Gateway {
    async fn confirm(&self, key: Uuid, charge: &Charge) -> Result<Confirmation, GatewayError> {
        self.confirms.fetch_add(1, Ordering::SeqCst);
        let Charge { payment_no, amount, .. } = *charge;
        self.call(|accounts| {
            let again = accounts.insert(key, Account { amount, refunds: 0, payment_no });
            assert_eq!(again, None, "one attempt, one confirm");
            Ok(Confirmation { key, payment_no, amount })
        })
        .await
        .map(|answer| self.answer(answer))
    }

    async fn cancel(&self, key: Uuid) -> Result<Confirmation, GatewayError> {
        self.call(|accounts| match accounts.get_mut(&key) {
            Some(account) => {
                account.refunds = 1;
                let Account { payment_no, amount, .. } = *account;
                Ok(Confirmation { key, payment_no, amount })
            }
            None => Err(GatewayError::Declined("not-charged".to_owned())),
        })
        .await
        .map(|answer| self.answer(answer))
    }

    async fn find(&self, key: Uuid) -> Result<Option<Confirmation>, GatewayError> {
        // Only `confirm` waits: a query doesn't queue behind a charge.
        let accounts = self.accounts.lock().unwrap();
        let found = accounts.get(&key).map(|account| {
            let Account { payment_no, amount, .. } = *account;
            Confirmation { key, payment_no, amount }
        });
        drop(accounts);
        Ok(found.map(|answer| self.answer(answer)))
    }
}

pub(crate) struct Bell {
    does: Mutex<Does>,
    raised: Mutex<Vec<i64>>,
}

impl Bell {
    pub(crate) fn new(does: Does) -> Self {
        Self { does: Mutex::new(does), raised: Mutex::default() }
    }

    pub(crate) fn set(&self, does: Does) {
        *self.does.lock().unwrap() = does;
    }

    /// The items that it was raised for.
    pub(crate) fn raised(&self) -> Vec<i64> {
        self.raised.lock().unwrap().clone()
    }
}

#[async_trait]
impl AlarmSender for Bell {
    async fn alert(&self, item_no: ItemNo) -> Result<(), AlarmDown> {
        let does = *self.does.lock().unwrap();
        match does {
            Does::Well => {
                self.raised.lock().unwrap().push(item_no.get());
                Ok(())
            }
            Does::Wait => std::future::pending().await,
            _ => Err(AlarmDown("down".to_owned())),
        }
    }
}
