//! A fake payment gateway and a fake alarm: a test sets their behaviour, and they record the calls.

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

/// How a fake answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Succeed,
    Decline,
    /// It can't be reached: nothing is sent.
    Unreachable,
    /// The request is lost: it has no effect and no answer.
    LoseRequest,
    /// The request takes effect, and its answer is lost.
    LoseAnswer,
    /// The request takes effect, and the answer names another amount, order or payment.
    OtherAmount,
    OtherOrder,
    OtherPayment,
    /// It waits until the test releases it, then carries out the request.
    Wait,
    /// It waits until the test releases it, then declines.
    WaitAndDecline,
}

/// What was charged under one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) amount: Money,
    pub(crate) refunds: u32,
    pub(crate) payment_no: PaymentNo,
}

pub(crate) struct FakeGateway {
    behaviour: Mutex<Behaviour>,
    release: Semaphore,
    confirms: AtomicUsize,
    accounts: Mutex<HashMap<Uuid, Account>>,
}

impl FakeGateway {
    pub(crate) fn new(behaviour: Behaviour) -> Self {
        Self {
            behaviour: Mutex::new(behaviour),
            release: Semaphore::new(0),
            confirms: AtomicUsize::new(0),
            accounts: Mutex::default(),
        }
    }

    pub(crate) fn set(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    /// Releases one waiting call.
    pub(crate) fn release(&self) {
        self.release.add_permits(1);
    }

    /// The number of calls of `confirm`.
    pub(crate) fn confirms(&self) -> usize {
        self.confirms.load(Ordering::SeqCst)
    }

    /// The accounts of all keys that were ever charged.
    pub(crate) fn accounts(&self) -> Vec<Account> {
        self.accounts.lock().unwrap().values().cloned().collect()
    }

    /// The answer as the test has set it, correct or not.
    fn answer(&self, right: Confirmation) -> Confirmation {
        let behaviour = *self.behaviour.lock().unwrap();
        match behaviour {
            Behaviour::OtherAmount => Confirmation { amount: Money::price(1).unwrap(), ..right },
            Behaviour::OtherOrder => {
                Confirmation { payment_no: PaymentNo::new(999).unwrap(), ..right }
            }
            Behaviour::OtherPayment => Confirmation { key: Uuid::from_u128(999), ..right },
            _ => right,
        }
    }

    async fn call<T>(
        &self,
        effect: impl FnOnce(&mut HashMap<Uuid, Account>) -> Result<T, GatewayError> + Send,
    ) -> Result<T, GatewayError> {
        let behaviour = *self.behaviour.lock().unwrap();
        let lost = || GatewayError::Unknown("lost".to_owned());
        match behaviour {
            Behaviour::Decline => return Err(GatewayError::Declined("card-declined".to_owned())),
            Behaviour::Unreachable => return Err(GatewayError::Unreachable("refused".to_owned())),
            Behaviour::LoseRequest => return Err(lost()),
            Behaviour::Wait => self.release.acquire().await.unwrap().forget(),
            Behaviour::WaitAndDecline => {
                self.release.acquire().await.unwrap().forget();
                return Err(GatewayError::Declined("card-declined".to_owned()));
            }
            Behaviour::Succeed
            | Behaviour::LoseAnswer
            | Behaviour::OtherAmount
            | Behaviour::OtherOrder
            | Behaviour::OtherPayment => {}
        }
        let done = effect(&mut self.accounts.lock().unwrap());
        if behaviour == Behaviour::LoseAnswer { Err(lost()) } else { done }
    }
}

#[async_trait]
impl PaymentGateway for FakeGateway {
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

pub(crate) struct FakeAlarm {
    behaviour: Mutex<Behaviour>,
    raised: Mutex<Vec<i64>>,
}

impl FakeAlarm {
    pub(crate) fn new(behaviour: Behaviour) -> Self {
        Self { behaviour: Mutex::new(behaviour), raised: Mutex::default() }
    }

    pub(crate) fn set(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    /// The items that the alarm was raised for.
    pub(crate) fn raised(&self) -> Vec<i64> {
        self.raised.lock().unwrap().clone()
    }
}

#[async_trait]
impl AlarmSender for FakeAlarm {
    async fn alert(&self, item_no: ItemNo) -> Result<(), AlarmDown> {
        let behaviour = *self.behaviour.lock().unwrap();
        match behaviour {
            Behaviour::Succeed => {
                self.raised.lock().unwrap().push(item_no.get());
                Ok(())
            }
            Behaviour::Wait => std::future::pending().await,
            _ => Err(AlarmDown("down".to_owned())),
        }
    }
}
