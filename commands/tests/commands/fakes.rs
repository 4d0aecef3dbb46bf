//! A gateway and an alarm that do as they are told and remember what they were asked.

use async_trait::async_trait;
use gdmarket_commands::{
    AlarmDown, AlarmSender, Charge, Confirmation, GatewayError, PaymentGateway,
};
use gdmarket_domain::{ItemNo, Money};
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
    /// It does as asked, and its answer is lost.
    LoseAfter,
    /// It waits until the test lets it go on, then does as asked.
    Wait,
    /// It waits until the test lets it go on, then declines.
    WaitAndDecline,
}

/// One key's money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) amount: Money,
    pub(crate) refunds: u32,
}

pub(crate) struct Gateway {
    does: Mutex<Does>,
    go_on: Semaphore,
    confirms: AtomicUsize,
    accounts: Mutex<HashMap<Uuid, Account>>,
}

impl Gateway {
    pub(crate) fn new(does: Does) -> Self {
        Self {
            does: Mutex::new(does),
            go_on: Semaphore::new(0),
            confirms: AtomicUsize::new(0),
            accounts: Mutex::default(),
        }
    }

    pub(crate) fn set(&self, does: Does) {
        *self.does.lock().unwrap() = does;
    }

    /// Lets one waiting call go on.
    pub(crate) fn go_on(&self) {
        self.go_on.add_permits(1);
    }

    /// How many calls of `confirm` arrived.
    pub(crate) fn confirms(&self) -> usize {
        self.confirms.load(Ordering::SeqCst)
    }

    /// The accounts of all keys that were ever charged.
    pub(crate) fn accounts(&self) -> Vec<Account> {
        self.accounts.lock().unwrap().values().cloned().collect()
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
            Does::Wait => self.go_on.acquire().await.unwrap().forget(),
            Does::WaitAndDecline => {
                self.go_on.acquire().await.unwrap().forget();
                return Err(GatewayError::Declined("card-declined".to_owned()));
            }
            Does::Well | Does::LoseAfter => {}
        }
        let done = effect(&mut self.accounts.lock().unwrap());
        if does == Does::LoseAfter { Err(lost()) } else { done }
    }
}

#[async_trait]
impl PaymentGateway for Gateway {
    async fn confirm(&self, key: Uuid, charge: &Charge) -> Result<Confirmation, GatewayError> {
        self.confirms.fetch_add(1, Ordering::SeqCst);
        let amount = charge.amount;
        self.call(|accounts| {
            let again = accounts.insert(key, Account { amount, refunds: 0 });
            assert_eq!(again, None, "one attempt, one confirm");
            Ok(Confirmation { amount })
        })
        .await
    }

    async fn cancel(&self, key: Uuid) -> Result<(), GatewayError> {
        self.call(|accounts| match accounts.get_mut(&key) {
            Some(account) => {
                account.refunds = 1;
                Ok(())
            }
            None => Err(GatewayError::Declined("not-charged".to_owned())),
        })
        .await
    }

    async fn find(&self, key: Uuid) -> Result<Option<Confirmation>, GatewayError> {
        // Told to wait, it lets only `confirm` wait: a look doesn't queue behind a charge.
        let accounts = self.accounts.lock().unwrap();
        Ok(accounts.get(&key).map(|account| Confirmation { amount: account.amount }))
    }
}

pub(crate) struct Bell {
    does: Mutex<Does>,
    rung: Mutex<Vec<i64>>,
}

impl Bell {
    pub(crate) fn new(does: Does) -> Self {
        Self { does: Mutex::new(does), rung: Mutex::default() }
    }

    pub(crate) fn set(&self, does: Does) {
        *self.does.lock().unwrap() = does;
    }

    /// The items it rang for.
    pub(crate) fn rung(&self) -> Vec<i64> {
        self.rung.lock().unwrap().clone()
    }
}

#[async_trait]
impl AlarmSender for Bell {
    async fn alert(&self, item_no: ItemNo) -> Result<(), AlarmDown> {
        let does = *self.does.lock().unwrap();
        match does {
            Does::Well => {
                self.rung.lock().unwrap().push(item_no.get());
                Ok(())
            }
            Does::Wait => std::future::pending().await,
            _ => Err(AlarmDown("down".to_owned())),
        }
    }
}
