//! Which commands of a batch conflict with stored events, given their receipts and the heads of their streams.

use crate::log::append::{Append, AppendError};
use crate::log::receipt::Receipt;
use std::cmp::Ordering;
use std::collections::HashMap;
use uuid::Uuid;

/// Why this command may not be appended, if it may not.
pub(super) fn conflict(
    append: &Append,
    receipts: &HashMap<Uuid, Receipt>,
    head: i64,
) -> Option<AppendError> {
    if let Some(receipt) = receipts.get(&append.command_id) {
        return Some(AppendError::Duplicate(receipt.clone()));
    }
    // A receipt without events records a decision at a version; the stream may have got events since.
    if append.events.is_empty() {
        return None;
    }
    match head.cmp(&append.expected) {
        Ordering::Equal => None,
        Ordering::Greater => Some(AppendError::Conflict),
        Ordering::Less => Some(AppendError::Gap),
    }
}

/// After a lost connection: whether this receipt is the one that the command would have left.
pub(super) fn is_own(append: &Append, receipt: &Receipt) -> bool {
    *receipt == append.receipt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::event::{NewEvent, StreamId};
    use crate::log::receipt::ReceiptKind;

    fn append(expected: i64, events: usize) -> Append {
        let event = NewEvent {
            event_type: "Counted".to_owned(),
            event_version: "1".to_owned(),
            payload: "{}".to_owned(),
        };
        Append {
            command_id: Uuid::nil(),
            fingerprint: vec![1],
            stream: StreamId::new("counter", 1),
            expected,
            events: vec![event; events],
            metadata: "{}".to_owned(),
            kind: ReceiptKind::Done,
            personal: None,
        }
    }

    #[test]
    fn receipt_decides_before_the_head() {
        let none = HashMap::new();
        assert_eq!(conflict(&append(3, 1), &none, 3), None);
        assert_eq!(conflict(&append(3, 1), &none, 4), Some(AppendError::Conflict));
        assert_eq!(conflict(&append(3, 1), &none, 2), Some(AppendError::Gap));
        assert_eq!(conflict(&append(3, 0), &none, 9), None);
        let receipt = append(3, 1).receipt();
        let one = HashMap::from([(Uuid::nil(), receipt.clone())]);
        let duplicate = AppendError::Duplicate(receipt.clone());
        assert_eq!(conflict(&append(3, 1), &one, 3), Some(duplicate));
        assert!(is_own(&append(3, 1), &receipt));
        assert!(!is_own(&append(4, 1), &receipt));
    }
}
