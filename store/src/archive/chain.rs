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
        hex(&self.0)
    }
}

/// Bytes in lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

/// The bytes of hexadecimal text, if it is that, in lower case.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: &u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_is_what_the_documents_say() {
        let mut chain = Chain::default();
        chain.add(b"a");
        // (head -c 32 /dev/zero; printf a) | sha256sum
        assert_eq!(chain.hex(), "41a0370c3d9f42773a59e8e01651911cf43b1e3f66944cbb690029debc4eb647");
        let once = chain.clone();
        chain.add(b"");
        assert_ne!(chain.hex(), once.hex(), "an empty line counts too");
    }

    #[test]
    fn hexadecimal_goes_there_and_back() {
        assert_eq!(unhex(&hex(&[0, 1, 0xab, 0xff])), Some(vec![0, 1, 0xab, 0xff]));
        for wrong in ["0", "0g", "AB", "ü"] {
            assert_eq!(unhex(wrong), None, "{wrong}");
        }
    }
}
