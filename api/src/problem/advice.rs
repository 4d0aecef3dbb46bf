//! Advice that depends on the request: an owner who lends needs other advice than a renter who pays. Other requests get
//! the advice of the kind.

use super::context::RequestContext;
use super::kind::{Kind, Words};
use http::Method;

/// The advice for a request.
pub(super) fn of(kind: &'static Kind, context: &RequestContext) -> Words {
    let found = Attempt::of(context).and_then(|attempt| special(kind.code, attempt));
    found.unwrap_or(kind.advice)
}

/// The attempt that met a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempt {
    /// An item's owner lends it, takes it back or changes it.
    Item,
    /// An item's owner keeps days back.
    Block,
    /// A renter pays.
    Pay,
    /// A renter takes a payment back.
    TakeBack,
    /// A reservation's `PATCH`: one of the two above.
    ReservationPatch,
}

impl Attempt {
    fn of(context: &RequestContext) -> Option<Self> {
        let mut parts = context.path.trim_matches('/').split('/');
        let (collection, _number) = (parts.next()?, parts.next()?);
        match (collection, parts.next(), parts.next()) {
            ("items", Some("block"), None) => Some(Self::Block),
            ("items", ..) => Some(Self::Item),
            ("reservations", None, None) if context.method == Method::PATCH => {
                Some(Self::ReservationPatch)
            }
            ("reservations", Some("payment"), None) => Some(Self::Pay),
            ("reservations", Some("payment"), Some("cancel")) => Some(Self::TakeBack),
            _ => None,
        }
    }
}

fn special(code: &str, attempt: Attempt) -> Option<Words> {
    let (en, ko) = match (code, attempt) {
        ("not-paid", Attempt::Item) => (
            "The renter pays first; then lend the item.",
            "대여자가 먼저 결제해야 해요. 그다음에 물건을 빌려주세요.",
        ),
        ("not-paid", Attempt::TakeBack | Attempt::ReservationPatch) => (
            "Nothing is paid, so there is nothing to take back.",
            "결제한 것이 없어서 취소할 결제가 없어요.",
        ),
        ("not-reserved", Attempt::Item) => (
            "Lend the item once a reservation of it is confirmed.",
            "예약이 확정된 다음에 물건을 빌려주세요.",
        ),
        ("not-reserved", Attempt::Pay | Attempt::ReservationPatch) => {
            ("Pay once the reservation is confirmed.", "예약이 확정된 다음에 결제하세요.")
        }
        ("item-taken", Attempt::Block) => (
            "Block other days: the item's calendar shows which are taken.",
            "물건의 달력에서 예약되지 않은 날짜를 골라 막아 주세요.",
        ),
        ("item-gone", Attempt::Item | Attempt::Block) => (
            "It was deleted; register it again to rent it out.",
            "삭제된 물건이에요. 다시 빌려주려면 새로 등록하세요.",
        ),
        ("already-lent", Attempt::TakeBack | Attempt::ReservationPatch) => {
            ("The payment can't be taken back any more.", "이제 결제를 취소할 수 없어요.")
        }
        _ => return None,
    };
    Some(Words { en, ko })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::kind::KINDS;
    use http::Request;

    fn advice(code: &str, method: &str, path: &str) -> Words {
        let request = Request::builder().method(method).uri(path).body(()).unwrap();
        of(Kind::of(code).unwrap(), &RequestContext::of(&request))
    }

    #[test]
    fn advice_depends_on_the_request() {
        let lend = advice("not-paid", "PATCH", "/items/1");
        assert!(lend.en.contains("The renter pays first"), "{lend:?}");
        assert_eq!(advice("not-paid", "POST", "/items/1/lend/"), lend);
        let take_back = advice("not-paid", "POST", "/reservations/1/payment/cancel");
        assert!(take_back.en.contains("nothing to take back"), "{take_back:?}");
        assert!(advice("item-taken", "POST", "/items/1/block").en.starts_with("Block other"));
        assert_eq!(
            advice("item-taken", "POST", "/reservations").en,
            "Choose other days from the \
            item's calendar, or another item."
        );
    }

    #[test]
    fn advice_has_no_placeholder() {
        for kind in KINDS {
            for text in [kind.advice.en, kind.advice.ko, kind.title.en, kind.title.ko] {
                assert!(!text.contains(['{', '}']), "{}: {text}", kind.code);
            }
        }
    }
}
