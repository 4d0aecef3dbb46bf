//! The hash chain over an archive's lines: a changed, lost or added line changes all that follows.

use sha2::{Digest, Sha256};

/// Starts as 32 zero bytes; each line makes it SHA-256(chain before, the line without its end).
#[derive(Debug, Clone, Default)]
pub(super) struct Chain([u8; 32]);

impl Chain {
    /// Takes the next line in, without its line feed.
    pub(super) fn add(&mut self, line: &[u8]) {
        self.0 = Sha256::new().chain_update(self.0).chain_update(line).finalize().into();
    }

    /// In hexadecimal.
    pub(super) fn hex(&self) -> String {
        hex::encode(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_is_computed_as_documented() {
        let mut chain = Chain::default();
        chain.add(b"a");
        // (head -c 32 /dev/zero; printf a) | sha256sum
        assert_eq!(chain.hex(), "41a0370c3d9f42773a59e8e01651911cf43b1e3f66944cbb690029debc4eb647");
        let once = chain.clone();
        chain.add(b"");
        assert_ne!(chain.hex(), once.hex(), "an empty line counts too");
    }
}
