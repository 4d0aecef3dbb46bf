//! All resources that the market shows, page by page, to be compared with the same after the views were rebuilt.

use serde_json::Value;

use crate::market_client::MarketClient;

const COLLECTIONS: [&str; 5] = ["itemInfoes", "items", "reservations", "payments", "alarms"];

/// All members of all collections.
pub async fn all_resources(market: &MarketClient) -> Vec<Value> {
    let mut all = Vec::new();
    for collection in COLLECTIONS {
        let mut path = format!("/{collection}?limit=500");
        loop {
            let page = market.get(&path).await.expect(200).body;
            let rows = page.pointer(&format!("/_embedded/{collection}")).and_then(Value::as_array);
            all.extend(rows.cloned().unwrap_or_default());
            match page.pointer("/_links/next/href").and_then(Value::as_str) {
                Some(next) => next.clone_into(&mut path),
                None => break,
            }
        }
    }
    all
}

/// The first resource that two readings show differently.
pub fn difference(live: &[Value], rebuilt: &[Value]) -> Option<String> {
    match live.iter().zip(rebuilt).find(|(live, rebuilt)| live != rebuilt) {
        Some((live, rebuilt)) => Some(format!("live {live}\nrebuilt {rebuilt}")),
        None if live.len() != rebuilt.len() => {
            Some(format!("{} rows live, {} rebuilt", live.len(), rebuilt.len()))
        }
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn changed_missing_and_additional_rows_are_reported() {
        let live = [json!({"itemNo": 1}), json!({"itemNo": 2})];
        assert_eq!(difference(&live, &live), None);
        assert!(difference(&live, &live[..1]).is_some());
        assert!(difference(&live[..1], &live).is_some());
        assert!(difference(&live, &[live[0].clone(), json!({"itemNo": 3})]).is_some());
    }
}
