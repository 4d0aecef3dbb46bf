//! What the in-process gateway has done: one line per charge or refund, appended before it answers.
//!
//! With a file, charges outlive the process as a real gateway's do, and a test that kills the
//! program can count them. Without one they die with it: then the money was never taken anywhere,
//! and settling rightly finds nothing. Never a second charge or refund under one key.

use gdmarket_domain::{Money, PaymentNo};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use uuid::Uuid;

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum LedgerEntry {
    /// Money was taken.
    Charge {
        /// The attempt's key.
        key: Uuid,
        /// The attempt.
        payment_no: PaymentNo,
        /// How much.
        amount: Money,
    },
    /// All of it was given back.
    Refund {
        /// The attempt's key.
        key: Uuid,
    },
}

/// Reads a ledger's file; a last line that was cut off while being written doesn't count.
pub fn read_ledger(path: &Path) -> io::Result<Vec<LedgerEntry>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    text.split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(|line| serde_json::from_str(line).map_err(io::Error::from))
        .collect()
}

/// Charges and refunds by key.
#[derive(Default)]
pub(super) struct Ledger {
    charges: HashMap<Uuid, Charged>,
    file: Option<File>,
}

struct Charged {
    amount: Money,
    is_refunded: bool,
}

impl Ledger {
    /// The ledger in this file, which is made if it isn't there.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let entries = read_ledger(path)?;
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        // A line cut off by a kill goes, so that the next one starts on a line of its own.
        let whole =
            entries.iter().map(|entry| Ok(line(entry)?.len())).sum::<io::Result<usize>>()?;
        file.set_len(u64::try_from(whole).map_err(io::Error::other)?)?;
        let mut ledger = Self { charges: HashMap::new(), file: Some(file) };
        for entry in &entries {
            ledger.note(entry);
        }
        Ok(ledger)
    }

    /// What was taken under this key, refunded or not.
    pub(super) fn charged(&self, key: Uuid) -> Option<Money> {
        self.charges.get(&key).map(|charged| charged.amount)
    }

    /// Takes the money, unless this key was charged before; gives the amount that was taken.
    pub(super) fn charge(
        &mut self,
        key: Uuid,
        payment_no: PaymentNo,
        amount: Money,
    ) -> io::Result<Money> {
        if let Some(taken) = self.charged(key) {
            return Ok(taken);
        }
        self.append(&LedgerEntry::Charge { key, payment_no, amount })?;
        Ok(amount)
    }

    /// Gives the money back, once; false if none was taken under this key.
    pub(super) fn refund(&mut self, key: Uuid) -> io::Result<bool> {
        match self.charges.get(&key) {
            None => Ok(false),
            Some(charged) if charged.is_refunded => Ok(true),
            Some(_) => self.append(&LedgerEntry::Refund { key }).map(|()| true),
        }
    }

    /// The file first: what isn't written down hasn't happened.
    fn append(&mut self, entry: &LedgerEntry) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            file.write_all(line(entry)?.as_bytes())?;
        }
        self.note(entry);
        Ok(())
    }

    fn note(&mut self, entry: &LedgerEntry) {
        match entry {
            LedgerEntry::Charge { key, amount, .. } => {
                self.charges.insert(*key, Charged { amount: *amount, is_refunded: false });
            }
            LedgerEntry::Refund { key } => {
                if let Some(charged) = self.charges.get_mut(key) {
                    charged.is_refunded = true;
                }
            }
        }
    }
}

fn line(entry: &LedgerEntry) -> io::Result<String> {
    Ok(serde_json::to_string(entry)? + "\n")
}
