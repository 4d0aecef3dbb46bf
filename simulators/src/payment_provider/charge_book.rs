//! The provider's durable book: a line of JSON per charge, decline and refund in a file of its own, on the disk
//! before the provider answers. The file is the truth; what is in memory is read from it at the start.
//!
//! A key is charged at most once and refunded at most once, which the caller's lock on the key makes sure of.

use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, oneshot};

/// The name of the file in the provider's folder.
const FILE: &str = "ledger.ndjson";
/// The most entries that one sync of the disk covers.
const LARGEST_BATCH: usize = 256;

/// One line of the book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub(super) enum BookEntry {
    /// Money was taken.
    Charge { payment_id: String, order_id: String, amount: u64 },
    /// The payment was declined for good.
    Decline { payment_id: String, order_id: String, amount: u64, code: String },
    /// All of a charge was given back.
    Refund { payment_id: String, amount: u64 },
}

/// A payment as the book knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BookedPayment {
    pub(super) order_id: String,
    pub(super) amount: u64,
    pub(super) state: BookedState,
}

/// What became of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BookedState {
    Charged,
    Refunded,
    Declined { code: String },
}

/// The book can't be written any more: what was to be written may be in it or not.
#[derive(Debug, thiserror::Error)]
#[error("the provider's ledger can't be written")]
pub(super) struct BookClosed;

/// The book of one provider, which one process has open at a time.
pub(super) struct ChargeBook {
    content: Mutex<BookContent>,
    writer: mpsc::Sender<PendingEntry>,
}

#[derive(Default)]
struct BookContent {
    entries: Vec<BookEntry>,
    payments: HashMap<String, BookedPayment>,
}

/// A line that waits for the disk.
struct PendingEntry {
    line: Vec<u8>,
    written: oneshot::Sender<()>,
}

impl ChargeBook {
    /// Opens the book in this folder, which is created if it doesn't exist. A last line that a kill cut off was
    /// never answered, and is removed.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let file = File::options().read(true).append(true).create(true).open(folder.join(FILE))?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::other("another process has the ledger open"),
            TryLockError::Error(error) => error,
        })?;
        let content = Mutex::new(read(&file)?);
        // The name of a new file is durable only with its folder.
        File::open(folder)?.sync_all()?;
        let (writer, pending) = mpsc::channel(LARGEST_BATCH);
        std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || write_batches(&file, pending))?;
        Ok(Self { content, writer })
    }

    /// What the book knows of a payment.
    pub(super) fn payment(&self, payment_id: &str) -> Option<BookedPayment> {
        self.content().payments.get(payment_id).cloned()
    }

    /// All entries, oldest first.
    pub(super) fn entries(&self) -> Vec<BookEntry> {
        self.content().entries.clone()
    }

    /// Returns once the entry is on the disk.
    pub(super) async fn append(&self, entry: BookEntry) -> Result<(), BookClosed> {
        let mut line = serde_json::to_vec(&entry).map_err(|_| BookClosed)?;
        line.push(b'\n');
        let (written, is_written) = oneshot::channel();
        self.writer.send(PendingEntry { line, written }).await.map_err(|_| BookClosed)?;
        is_written.await.map_err(|_| BookClosed)?;
        self.content().add(entry);
        Ok(())
    }

    /// Returns when the book can't be written any more.
    pub(super) async fn closed(&self) {
        self.writer.closed().await;
    }

    /// No invariant spans two statements under the lock, so a poisoned one is as good.
    fn content(&self) -> MutexGuard<'_, BookContent> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BookContent {
    fn add(&mut self, entry: BookEntry) {
        match &entry {
            BookEntry::Charge { payment_id, order_id, amount } => {
                let (order_id, amount) = (order_id.clone(), *amount);
                let charged = BookedPayment { order_id, amount, state: BookedState::Charged };
                self.payments.insert(payment_id.clone(), charged);
            }
            BookEntry::Decline { payment_id, order_id, amount, code } => {
                let (order_id, amount) = (order_id.clone(), *amount);
                let state = BookedState::Declined { code: code.clone() };
                self.payments.insert(payment_id.clone(), BookedPayment { order_id, amount, state });
            }
            BookEntry::Refund { payment_id, .. } => {
                if let Some(payment) = self.payments.get_mut(payment_id) {
                    payment.state = BookedState::Refunded;
                }
            }
        }
        self.entries.push(entry);
    }
}

fn read(mut file: &File) -> io::Result<BookContent> {
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let complete = text.rfind('\n').map_or(0, |end| end + 1);
    if complete < text.len() {
        tracing::warn!(
            "the last line of the ledger was cut off before it was answered; it is removed"
        );
        file.set_len(u64::try_from(complete).map_err(io::Error::other)?)?;
    }
    let mut content = BookContent::default();
    for (line, number) in text.get(..complete).unwrap_or_default().lines().zip(1..) {
        let entry = serde_json::from_str(line)
            .map_err(|error| io::Error::other(format!("{FILE}: line {number}: {error}")))?;
        content.add(entry);
    }
    Ok(content)
}

/// Writes what waits, with one sync for each batch. After an error of the disk nothing more is written: the kernel
/// may have dropped what it couldn't write.
fn write_batches(mut file: &File, mut pending: mpsc::Receiver<PendingEntry>) {
    let mut batch = Vec::new();
    while pending.blocking_recv_many(&mut batch, LARGEST_BATCH) > 0 {
        let lines: Vec<u8> = batch.iter().flat_map(|entry| entry.line.iter().copied()).collect();
        if let Err(error) = file.write_all(&lines).and_then(|()| file.sync_data()) {
            tracing::error!(%error, "the provider's ledger can't be written");
            return;
        }
        for entry in batch.drain(..) {
            // A caller that went away finds the entry when it asks.
            entry.written.send(()).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charge(payment_id: &str) -> BookEntry {
        let (payment_id, order_id) = (payment_id.to_owned(), "order".to_owned());
        BookEntry::Charge { payment_id, order_id, amount: 300 }
    }

    fn refund(payment_id: &str) -> BookEntry {
        BookEntry::Refund { payment_id: payment_id.to_owned(), amount: 300 }
    }

    #[tokio::test]
    async fn book_is_read_again_without_a_line_that_was_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let book = ChargeBook::open(folder.path()).unwrap();
        for entry in [charge("a"), charge("b"), refund("a")] {
            book.append(entry).await.unwrap();
        }
        drop(book);
        let file = folder.path().join(FILE);
        let whole = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("{whole}{{\"kind\":\"char")).unwrap();
        let book = gdmarket_testkit::eventually(std::time::Duration::from_secs(5), || async {
            ChargeBook::open(folder.path())
        })
        .await;
        assert_eq!(book.entries(), [charge("a"), charge("b"), refund("a")]);
        assert_eq!(book.payment("a").map(|payment| payment.state), Some(BookedState::Refunded));
        assert_eq!(book.payment("b").map(|payment| payment.state), Some(BookedState::Charged));
        assert_eq!(book.payment("c"), None);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), whole);
        book.append(charge("c")).await.unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 4);
    }

    #[tokio::test]
    async fn second_process_and_damaged_book_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let _book = ChargeBook::open(folder.path()).unwrap();
        let error = ChargeBook::open(folder.path()).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("another process"), "{error}");
        let damaged = tempfile::tempdir().unwrap();
        std::fs::write(damaged.path().join(FILE), "{}\n").unwrap();
        let error = ChargeBook::open(damaged.path()).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("line 1"), "{error}");
    }
}
