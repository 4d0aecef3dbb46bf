//! The ledger of the in-process gateway: an entry per charge and per refund, written before the gateway answers,
//! in a table of the log's database. So charges outlive the process, every server on the log knows them, and a
//! copy of the log has them too.
//!
//! A key is charged or refunded once: only one entry can have the key, whichever server writes it.

use gdmarket_domain::{Money, PaymentNo};
use gdmarket_store::{StoreError, WriteOnceRecord, WriteOnceRecords};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// The name of the gateway's book.
const BOOK: &str = "payment-gateway";

/// One entry of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum LedgerEntry {
    /// A charge.
    Charge {
        /// The attempt's key.
        key: Uuid,
        /// The attempt.
        payment_no: PaymentNo,
        /// The charged amount.
        amount: Money,
    },
    /// A refund of the whole charge.
    Refund {
        /// The attempt's key.
        key: Uuid,
    },
}

impl LedgerEntry {
    fn encode(&self) -> Result<WriteOnceRecord, StoreError> {
        let key = match self {
            Self::Charge { key, .. } => charge_of(*key),
            Self::Refund { key } => format!("refund/{key}"),
        };
        let value =
            serde_json::to_string(self).map_err(|error| StoreError::Rejected(error.to_string()))?;
        Ok(WriteOnceRecord { key, value })
    }

    fn read(value: &str) -> Result<Self, StoreError> {
        let corrupt = |error| StoreError::Corrupt(format!("the payment gateway's books: {error}"));
        serde_json::from_str(value).map_err(corrupt)
    }
}

fn charge_of(key: Uuid) -> String {
    format!("charge/{key}")
}

/// All entries of the gateway, in order.
pub async fn read_ledger(records: &WriteOnceRecords) -> Result<Vec<LedgerEntry>, StoreError> {
    let entries = records.all(BOOK).await?;
    entries.iter().map(|entry| LedgerEntry::read(&entry.value)).collect()
}

/// Imports the entries that older programs kept in a file; returns the number of entries that were new.
///
/// Repeating an import changes nothing, so an interrupted one is repeated. A last line that was written
/// partially is ignored.
pub async fn take_over_ledger(records: &WriteOnceRecords, file: &Path) -> io::Result<u64> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let entries = text
        .split_inclusive('\n')
        .zip(1..)
        .filter(|(line, _)| line.ends_with('\n'))
        .map(|(line, number): (&str, u64)| {
            let entry = LedgerEntry::read(line).and_then(|entry| entry.encode());
            entry.map_err(|error| io::Error::other(format!("line {number}: {error}")))
        })
        .collect::<io::Result<Vec<_>>>()?;
    records.record_all(BOOK, &entries).await.map_err(io::Error::other)
}

/// The store of the entries; clones share it.
#[derive(Clone)]
pub(crate) enum Ledger {
    /// In memory: charges are lost when the process ends.
    Memory(Arc<Mutex<BTreeMap<String, String>>>),
    /// In a table of the log's database.
    Kept(WriteOnceRecords),
}

impl Ledger {
    /// The attempt that was charged under this key, and the amount, refunded or not.
    pub(crate) async fn charged(
        &self,
        key: Uuid,
    ) -> Result<Option<(PaymentNo, Money)>, StoreError> {
        let found = self.find(&charge_of(key)).await?;
        found.map_or(Ok(None), |value| charge_in(&value).map(Some))
    }

    /// Charges the amount unless this key was charged before; returns the attempt and amount of the charge.
    pub(crate) async fn charge(
        &self,
        key: Uuid,
        payment_no: PaymentNo,
        amount: Money,
    ) -> Result<(PaymentNo, Money), StoreError> {
        let stored = self.record(&LedgerEntry::Charge { key, payment_no, amount }).await?;
        charge_in(&stored)
    }

    /// Refunds the charge of this key, once; returns the charge, if there is one.
    pub(crate) async fn refund(&self, key: Uuid) -> Result<Option<(PaymentNo, Money)>, StoreError> {
        let charged = self.charged(key).await?;
        if charged.is_some() {
            self.record(&LedgerEntry::Refund { key }).await?;
        }
        Ok(charged)
    }

    async fn find(&self, key: &str) -> Result<Option<String>, StoreError> {
        match self {
            Self::Memory(entries) => {
                let entries = entries.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(entries.get(key).cloned())
            }
            Self::Kept(records) => records.find(BOOK, key).await,
        }
    }

    /// Stores the entry unless its key is taken; returns the stored value.
    async fn record(&self, entry: &LedgerEntry) -> Result<String, StoreError> {
        let entry = entry.encode()?;
        match self {
            Self::Memory(entries) => {
                let mut entries = entries.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(entries.entry(entry.key).or_insert(entry.value).clone())
            }
            Self::Kept(records) => records.record(BOOK, &entry).await,
        }
    }
}

fn charge_in(value: &str) -> Result<(PaymentNo, Money), StoreError> {
    match LedgerEntry::read(value)? {
        LedgerEntry::Charge { payment_no, amount, .. } => Ok((payment_no, amount)),
        LedgerEntry::Refund { key } => {
            Err(StoreError::Corrupt(format!("a refund is stored as the charge of {key}")))
        }
    }
}
