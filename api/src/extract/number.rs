//! Whole numbers as callers write them: JSON integers, or strings of digits as HTTPie sends them. No number is rounded,
//! and a string may have no sign, exponent or blank.

use crate::problem::field_fault::{Fault, shape::WHOLE_NUMBER};

/// The number in this JSON text, if it lies between `least` and `most`.
pub(crate) fn whole_number(json: &str, least: i64, most: i64) -> Result<i64, Fault> {
    let json = json.trim();
    let digits = match json.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').unwrap_or_default(),
        None => json,
    };
    let unsigned = digits.strip_prefix('-').unwrap_or(digits);
    if unsigned.is_empty() || !unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Fault::WrongType(WHOLE_NUMBER));
    }
    digits
        .parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or(Fault::OutOfRange(least, most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_strings_of_digits_are_accepted() {
        for (json, number) in [("100", 100), ("\"100\"", 100), ("\"007\"", 7)] {
            assert_eq!(whole_number(json, 1, 1000), Ok(number), "{json}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for json in ["1.0", "1e2", "\"1 \"", "\"\"", "\"+1\"", "true", "[]", "{}", "\"１\"", "\""]
        {
            assert_eq!(whole_number(json, 1, 1000), Err(Fault::WrongType(WHOLE_NUMBER)), "{json}");
        }
        for json in ["0", "-1", "1001", "\"-5\"", "99999999999999999999999"] {
            assert_eq!(whole_number(json, 1, 1000), Err(Fault::OutOfRange(1, 1000)), "{json}");
        }
    }
}
