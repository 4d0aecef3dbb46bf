//! What a body means, as bytes: two requests under one idempotency key must agree in it.

use super::fields::Fields;
use super::number::whole_number;
use gdmarket_domain::checked_name;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

impl Fields {
    /// The fingerprint of what the body means: blanks, the order of fields, numbers as strings of digits and
    /// the spelling of names make no difference. Where older programs read the body in another way, their
    /// fingerprint follows, so that keys that they remember still match.
    pub(crate) fn fingerprint(&self, method: &str, path: &str) -> Vec<u8> {
        let meanings: BTreeMap<&str, String> = self
            .0
            .iter()
            .filter_map(|(name, json)| Some((name.as_str(), meaning(name, json)?)))
            .collect();
        let older: BTreeMap<&str, String> =
            self.0.iter().map(|(name, json)| (name.as_str(), canonical(json))).collect();
        let mut fingerprint = hash([method, path, &serde_json::json!(meanings).to_string()]);
        if older != meanings {
            fingerprint.extend(hash([method, path, &serde_json::json!(older).to_string()]));
        }
        fingerprint
    }
}

fn hash(parts: [&str; 3]) -> Vec<u8> {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.finalize().to_vec()
}

/// The meaning of a field; `null` means the same as an absent field.
fn meaning(name: &str, json: &RawValue) -> Option<String> {
    const NUMBERS: [&str; 6] =
        ["itemNo", "reservationNo", "paymentNo", "customerId", "ownerId", "itemPrice"];
    const NAMES: [&str; 2] = ["itemName", "customerName"];
    if json.get() == "null" {
        return None;
    }
    if NUMBERS.contains(&name)
        && let Ok(number) = whole_number(json.get(), i64::MIN, i64::MAX)
    {
        return Some(number.to_string());
    }
    if NAMES.contains(&name)
        && let Ok(text) = serde_json::from_str::<String>(json.get())
        && let Ok(name) = checked_name(&text)
    {
        return Some(serde_json::json!(name).to_string());
    }
    Some(canonical(json))
}

fn canonical(json: &RawValue) -> String {
    serde_json::from_str::<serde_json::Value>(json.get())
        .map_or_else(|_| json.get().to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::json_object::parse;

    #[test]
    fn fingerprint_depends_on_meaning_not_on_spelling() {
        let of = |text: &str| parse(text.as_bytes()).unwrap().fingerprint("POST", "/items");
        assert_eq!(of(r#"{"a":1,"b":[1, 2]}"#), of(r#" {"b" : [1,2], "a": 1} "#));
        assert_ne!(of(r#"{"a":1}"#), of(r#"{"a":2}"#));
        assert_ne!(of(r#"{"a":1}"#), of(r#"{"a":"1"}"#));
        let period = |text: &str| of(&format!(r#"{{"period": {text}}}"#));
        assert_eq!(period(r#"{"from": "x", "to": "y"}"#), period(r#"{"to":"y","from":"x"}"#));
    }

    /// The first part is compared; the second is the fingerprint of older programs, where it differs.
    #[test]
    fn numbers_and_names_are_compared_by_meaning() {
        let of = |text: &str| parse(text.as_bytes()).unwrap().fingerprint("POST", "/items");
        let plain = of(r#"{"itemNo": 5, "customerName": "Kim"}"#);
        assert_eq!(plain.len(), 32);
        for (same, parts) in [
            (r#"{"itemNo": "5", "customerName": "Kim"}"#, 2),
            (r#"{"itemNo": "005", "customerName": "Kim"}"#, 2),
            (r#"{"customerName": " Kim\t", "itemNo": 5}"#, 2),
            (r#"{"itemNo": 5, "customerName": "Kim", "period": null}"#, 2),
            (r#"{"itemNo": 5, "customerName": "K\u0069m"}"#, 1),
        ] {
            let sent = of(same);
            assert_eq!((&sent[..32], sent.len()), (&plain[..], parts * 32), "{same}");
        }
        for other in [
            r#"{"itemNo": 6, "customerName": "Kim"}"#,
            r#"{"itemNo": "5 ", "customerName": "Kim"}"#,
            r#"{"itemNo": 5.0, "customerName": "Kim"}"#,
            r#"{"itemNo": 5, "customerName": "K im"}"#,
            r#"{"itemNo": 5, "customerName": 5}"#,
        ] {
            assert_ne!(of(other)[..32], plain, "{other}");
        }
    }
}
