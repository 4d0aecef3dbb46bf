//! What the in-process gateway has done: one line per charge or refund, appended before it answers.
//!
//! With a file, charges outlive the process as a real gateway's do, and a test that kills the
//! program can count them. Without one they die with it: then the money was never taken anywhere,
//! and settling rightly finds nothing. Never a second charge or refund under one key.

use gdmarket_domain::{Money, PaymentNo};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
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
    entries(&text)
}

/// Charges and refunds by key.
#[derive(Default)]
pub(super) struct Ledger {
    charges: HashMap<Uuid, Charged>,
    book: Option<Book>,
}

/// The file, with how much of it is known here. Whoever reads or writes it holds its lock, so several
/// servers on one machine may share it.
struct Book {
    file: File,
    known: u64,
}

struct Charged {
    payment_no: PaymentNo,
    amount: Money,
    is_refunded: bool,
}

impl Ledger {
    /// The ledger in this file, which is made if it isn't there.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        let mut ledger = Self { charges: HashMap::new(), book: Some(Book { file, known: 0 }) };
        ledger.alone(|_| Ok(()))?;
        Ok(ledger)
    }

    /// For which attempt what was taken under this key, refunded or not.
    pub(super) fn charged(&mut self, key: Uuid) -> io::Result<Option<(PaymentNo, Money)>> {
        let standing = |charged: &Charged| (charged.payment_no, charged.amount);
        self.alone(|ledger| Ok(ledger.charges.get(&key).map(standing)))
    }

    /// Takes the money, unless this key was charged before; gives for which attempt what was taken.
    pub(super) fn charge(
        &mut self,
        key: Uuid,
        payment_no: PaymentNo,
        amount: Money,
    ) -> io::Result<(PaymentNo, Money)> {
        self.alone(|ledger| match ledger.charges.get(&key) {
            Some(taken) => Ok((taken.payment_no, taken.amount)),
            None => ledger
                .append(&LedgerEntry::Charge { key, payment_no, amount })
                .map(|()| (payment_no, amount)),
        })
    }

    /// Gives the money back, once; false if none was taken under this key.
    pub(super) fn refund(&mut self, key: Uuid) -> io::Result<bool> {
        self.alone(|ledger| match ledger.charges.get(&key) {
            None => Ok(false),
            Some(charged) if charged.is_refunded => Ok(true),
            Some(_) => ledger.append(&LedgerEntry::Refund { key }).map(|()| true),
        })
    }

    /// Does something while no other server touches the file, knowing all that is in it.
    fn alone<T>(&mut self, work: impl FnOnce(&mut Self) -> io::Result<T>) -> io::Result<T> {
        if let Some(book) = &self.book {
            book.file.lock()?;
        }
        let done = self.catch_up().and_then(|()| work(self));
        if let Some(book) = &self.book {
            book.file.unlock()?;
        }
        done
    }

    /// Takes in what others have written. A line cut off by a kill goes, so that the next one starts
    /// on a line of its own.
    fn catch_up(&mut self) -> io::Result<()> {
        let Some(book) = &mut self.book else { return Ok(()) };
        match book.file.metadata()?.len() {
            same if same == book.known => return Ok(()),
            shorter if shorter < book.known => {
                return Err(io::Error::other("somebody cut the ledger short"));
            }
            _ => {}
        }
        let mut text = String::new();
        book.file.seek(SeekFrom::Start(book.known))?;
        book.file.read_to_string(&mut text)?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let entries = entries(&text)?;
        book.known += u64::try_from(whole).map_err(io::Error::other)?;
        book.file.set_len(book.known)?;
        for entry in &entries {
            self.note(entry);
        }
        Ok(())
    }

    /// The file first: what isn't written down, and whole, hasn't happened.
    fn append(&mut self, entry: &LedgerEntry) -> io::Result<()> {
        if let Some(book) = &mut self.book {
            let line = serde_json::to_string(entry)? + "\n";
            if let Err(error) = book.file.write_all(line.as_bytes()) {
                book.file.set_len(book.known)?;
                return Err(error);
            }
            book.known += u64::try_from(line.len()).map_err(io::Error::other)?;
        }
        self.note(entry);
        Ok(())
    }

    fn note(&mut self, entry: &LedgerEntry) {
        match entry {
            LedgerEntry::Charge { key, payment_no, amount } => {
                let (payment_no, amount) = (*payment_no, *amount);
                self.charges.insert(*key, Charged { payment_no, amount, is_refunded: false });
            }
            LedgerEntry::Refund { key } => {
                if let Some(charged) = self.charges.get_mut(key) {
                    charged.is_refunded = true;
                }
            }
        }
    }
}

/// The whole lines of a text.
fn entries(text: &str) -> io::Result<Vec<LedgerEntry>> {
    text.split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(|line| serde_json::from_str(line).map_err(io::Error::from))
        .collect()
}
