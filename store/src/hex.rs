//! Bytes as hexadecimal text, in lower case.

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The text of these bytes.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| DIGITS.get(usize::from(half)).map_or('0', |digit| char::from(*digit));
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

/// The bytes of hexadecimal text, if it is that, in lower case.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
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
    fn hexadecimal_goes_there_and_back() {
        assert_eq!(unhex(&hex(&[0, 1, 0xab, 0xff])), Some(vec![0, 1, 0xab, 0xff]));
        for wrong in ["0", "0g", "AB", "ü"] {
            assert_eq!(unhex(wrong), None, "{wrong}");
        }
    }
}
