//! Receipts: whether a command was done before, and what it was answered then.

use super::{CommandMeta, Executed, Executor};
use crate::error::CommandError;
use gdmarket_store::{Receipt, ReceiptKind};

/// Bytes of one fingerprint.
const FINGERPRINT: usize = 32;

impl Executor {
    /// The receipt of a client's earlier, equal request; without a key there is none.
    pub(crate) async fn done_before(
        &self,
        meta: &CommandMeta,
    ) -> Result<Option<Receipt>, CommandError> {
        if !meta.keyed {
            return Ok(None);
        }
        match self.receipt(meta).await? {
            Some(receipt) if !is_same_request(&receipt, meta) => Err(CommandError::KeyReused),
            receipt => Ok(receipt),
        }
    }

    /// The receipt of this command id.
    pub(crate) async fn receipt(
        &self,
        meta: &CommandMeta,
    ) -> Result<Option<Receipt>, CommandError> {
        let receipt = self.store.receipts().find(meta.command_id).await;
        receipt.map_err(|error| self.store_error(&error))
    }

    /// The answer that a receipt remembers.
    pub(crate) async fn replay(
        &self,
        receipt: Receipt,
        meta: &CommandMeta,
    ) -> Result<Executed, CommandError> {
        if !is_same_request(&receipt, meta) {
            return Err(CommandError::KeyReused);
        }
        let Receipt { stream, first_sequence, count, kind, .. } = receipt;
        match kind {
            ReceiptKind::Refused(code) => Err(CommandError::refused(code, true)),
            ReceiptKind::Done if count == 0 => Ok(Executed {
                number: stream.number,
                version: first_sequence,
                first_sequence: 0,
                count,
                position: 0,
                replayed: true,
            }),
            ReceiptKind::Done => {
                let version = first_sequence + count - 1;
                let position = self.position(&stream, version).await?;
                let number = stream.number;
                Ok(Executed { number, version, first_sequence, count, position, replayed: true })
            }
        }
    }
}

/// Whether a receipt is of this very request. A fingerprint may be followed by one as older programs made
/// it, which their receipts hold alone.
fn is_same_request(receipt: &Receipt, meta: &CommandMeta) -> bool {
    let (kept, sent) = (&receipt.fingerprint, &meta.fingerprint);
    let first = kept.get(..FINGERPRINT).unwrap_or(kept);
    kept == sent || sent.chunks(FINGERPRINT).any(|sent| sent == first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::Precondition;
    use gdmarket_store::StreamId;
    use uuid::Uuid;

    #[test]
    fn receipt_of_an_older_program_is_recognised() {
        let (new, old, other) = (vec![1; 32], vec![2; 32], vec![3; 32]);
        let is_same = |kept: &[u8], sent: &[u8]| {
            let receipt = Receipt {
                command_id: Uuid::nil(),
                fingerprint: kept.to_vec(),
                stream: StreamId::new("item", 1),
                first_sequence: 1,
                count: 1,
                kind: ReceiptKind::Done,
            };
            let meta = CommandMeta { fingerprint: sent.to_vec(), ..meta() };
            is_same_request(&receipt, &meta)
        };
        let both = [new.clone(), old.clone()].concat();
        for (kept, sent) in
            [(&new, &new), (&new, &both), (&both, &new), (&old, &both), (&both, &both)]
        {
            assert!(is_same(kept, sent), "{kept:?} {sent:?}");
        }
        let foreign = [other.clone(), old.clone()].concat();
        for (kept, sent) in [(&other, &both), (&both, &other), (&both, &foreign), (&both, &old)] {
            assert!(!is_same(kept, sent), "{kept:?} {sent:?}");
        }
        assert!(is_same(&[], &[]) && !is_same(&[], &new) && !is_same(&new, &[]));
    }

    fn meta() -> CommandMeta {
        CommandMeta {
            command_id: Uuid::nil(),
            correlation_id: Uuid::nil(),
            causation: None,
            actor: gdmarket_domain::Actor::Process("test"),
            traceparent: None,
            fingerprint: Vec::new(),
            precondition: Precondition::default(),
            keyed: true,
        }
    }
}
