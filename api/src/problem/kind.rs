//! Every kind of problem: its code, its status, and advice in both languages.
//!
//! `problem.rs`, the pages under `/docs/errors/` and the tests read this one table. A code is never renamed; a page
//! `docs/errors/<code>.md` explains each.

use http::StatusCode;

/// A text in the two languages of the market.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    /// English.
    pub en: &'static str,
    /// Korean.
    pub ko: &'static str,
}

/// The language of an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Language {
    /// English, the default.
    #[default]
    English,
    /// Korean.
    Korean,
}

impl Language {
    /// The tag of the language, as HTTP spells it.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Korean => "ko",
        }
    }
}

impl Words {
    /// The text in this language.
    pub const fn in_language(&self, language: Language) -> &'static str {
        match language {
            Language::English => self.en,
            Language::Korean => self.ko,
        }
    }
}

/// One kind of problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// The stable code that callers match on.
    pub code: &'static str,
    /// The status it is answered with.
    pub status: StatusCode,
    /// The problem in a few words.
    pub title: Words,
    /// The advice.
    pub advice: Words,
}

impl Kind {
    /// The kind with this code.
    pub fn of(code: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.code == code)
    }

    /// The path of the page that explains it.
    pub fn page(&self) -> String {
        format!("/docs/errors/{}", self.code)
    }
}

macro_rules! kinds {
    ($($name:ident $code:literal $status:ident
        $title_en:literal $title_ko:literal
        $advice_en:literal $advice_ko:literal;)*) => {
        $(
            #[doc = concat!("`", $code, "`: ", $title_en, ".")]
            pub const $name: Kind = Kind {
                code: $code,
                status: StatusCode::$status,
                title: Words { en: $title_en, ko: $title_ko },
                advice: Words { en: $advice_en, ko: $advice_ko },
            };
        )*

        /// All kinds, in the order of their statuses.
        pub const KINDS: &[Kind] = &[$($name),*];
    };
}

kinds! {
    MALFORMED_JSON "malformed-json" BAD_REQUEST
        "The body is not JSON" "본문이 JSON이 아니에요"
        "Send one JSON object in UTF-8, nested at most 32 deep."
        "UTF-8로 된 JSON 객체 하나를 보내세요. 중첩은 32단계까지예요.";
    BAD_HEADER "bad-header" BAD_REQUEST
        "A header can't be read" "헤더를 읽을 수 없어요"
        "Correct the header named in errors."
        "errors에 적힌 헤더를 고치세요.";
    ACTOR_REQUIRED "actor-required" UNAUTHORIZED
        "The request doesn't say who acts" "누가 요청했는지 알 수 없어요"
        "Send X-Gdmarket-Actor: owner:ID, renter:ID or operator:NAME."
        "X-Gdmarket-Actor: owner:ID, renter:ID 또는 operator:NAME 헤더를 보내세요.";
    SERVICE_TOKEN_REFUSED "service-token-refused" UNAUTHORIZED
        "The service token was refused" "서비스 토큰이 거부되었어요"
        "Only services of this market call this address, with a token that their shared key signed."
        "이 주소는 공유 키로 서명한 토큰을 가진 서비스만 호출할 수 있어요.";
    PAYMENT_DECLINED "payment-declined" PAYMENT_REQUIRED
        "The payment was declined" "결제가 거절되었어요"
        "Nothing was charged and the reservation is kept; pay again before payBy."
        "청구된 금액은 없고 예약은 유지돼요. payBy 전에 다시 결제하세요.";
    WRONG_ACTOR "wrong-actor" FORBIDDEN
        "This actor may not do this" "이 사용자는 할 수 없는 일이에요"
        "Send X-Gdmarket-Actor of the item's owner or the reservation's renter."
        "물건의 소유자 또는 예약한 대여자의 X-Gdmarket-Actor를 보내세요.";
    FOREIGN_ORIGIN "foreign-origin" FORBIDDEN
        "The request comes from another site's page" "다른 사이트의 페이지에서 온 요청이에요"
        "Without log-ins only pages of this server may call it; use this server's own address."
        "로그인이 없는 동안에는 이 서버의 페이지만 호출할 수 있어요. 이 서버의 주소를 쓰세요.";
    NOT_FOUND "not-found" NOT_FOUND
        "There is nothing at this address" "이 주소에는 아무것도 없어요"
        "Look at / for the addresses that exist."
        "/ 에서 쓸 수 있는 주소를 확인하세요.";
    ITEM_NOT_FOUND "item-not-found" NOT_FOUND
        "There is no such item" "그런 물건이 없어요"
        "Check the number; deleted items are gone. GET /items lists what there is."
        "번호를 확인하세요. 삭제된 물건은 조회되지 않아요. GET /items 에서 목록을 볼 수 있어요.";
    RESERVATION_NOT_FOUND "reservation-not-found" NOT_FOUND
        "There is no such reservation" "그런 예약이 없어요"
        "Check the number; GET /reservations lists what there is."
        "번호를 확인하세요. GET /reservations 에서 목록을 볼 수 있어요.";
    PAYMENT_NOT_FOUND "payment-not-found" NOT_FOUND
        "There is no such payment" "그런 결제가 없어요"
        "Check the number; GET /payments lists what there is."
        "번호를 확인하세요. GET /payments 에서 목록을 볼 수 있어요.";
    ALARM_NOT_FOUND "alarm-not-found" NOT_FOUND
        "There is no such alarm" "그런 알림이 없어요"
        "An alarm has its item's number; GET /alarms lists what there is."
        "알림의 번호는 물건 번호와 같아요. GET /alarms 에서 목록을 볼 수 있어요.";
    NOT_SERVED_HERE "not-served-here" NOT_FOUND
        "Another service answers this address" "다른 서비스의 주소예요"
        "Send the request to the gateway, or to the service of this address."
        "게이트웨이나 이 주소를 맡은 서비스로 요청을 보내세요.";
    METHOD_NOT_ALLOWED "method-not-allowed" METHOD_NOT_ALLOWED
        "This address doesn't take this method" "이 주소에서는 쓸 수 없는 메서드예요"
        "Use a method named in the Allow header."
        "Allow 헤더에 있는 메서드를 쓰세요.";
    REQUEST_TIMEOUT "request-timeout" REQUEST_TIMEOUT
        "The request came too slowly" "요청이 너무 느리게 도착했어요"
        "Send the whole body without a pause."
        "본문을 끊김 없이 보내세요.";
    ITEM_TAKEN "item-taken" CONFLICT
        "The item is taken on these days" "그 날짜에는 이미 예약된 물건이에요"
        "Choose other days from the item's calendar, or another item."
        "물건의 달력에서 다른 날짜를 고르거나 다른 물건을 고르세요.";
    ITEM_UNKNOWN "item-unknown" CONFLICT
        "There is no such item to reserve" "예약하려는 물건이 없어요"
        "Choose an item from GET /items."
        "GET /items 에서 물건을 고르세요.";
    ITEM_GONE "item-gone" CONFLICT
        "The item is no longer on the market" "더 이상 빌릴 수 없는 물건이에요"
        "Choose another item."
        "다른 물건을 고르세요.";
    ITEM_BLOCKED "item-blocked" CONFLICT
        "The owner keeps the item back on these days" "소유자가 그 날짜를 막아 두었어요"
        "Choose other days from the item's calendar."
        "물건의 달력에서 다른 날짜를 고르세요.";
    OWN_ITEM "own-item" CONFLICT
        "It is the renter's own item" "본인의 물건이에요"
        "Reserve somebody else's item; to keep days of your own back, block them."
        "다른 사람의 물건을 예약하세요. 본인 물건의 날짜를 비워 두려면 그 날짜를 막아 두세요.";
    NOT_RESERVED "not-reserved" CONFLICT
        "It is not reserved" "예약되지 않았어요"
        "Pay and lend once the reservation is confirmed."
        "예약이 확정된 다음에 결제하고 빌려주세요.";
    NOT_RENTING "not-renting" CONFLICT
        "The item is not lent" "빌려준 물건이 아니에요"
        "Only what was handed over can be brought back."
        "빌려준 물건만 반납할 수 있어요.";
    NOT_PAID "not-paid" CONFLICT
        "The reservation is not paid" "결제되지 않은 예약이에요"
        "Pay the reservation first, by its action pay."
        "먼저 결제하세요. 예약의 actions에 있는 pay를 쓰면 돼요.";
    TOO_EARLY "too-early" CONFLICT
        "The reservation's first day hasn't come" "예약 첫날이 아직 오지 않았어요"
        "Lend the item from the first day of its period on."
        "예약 기간의 첫날부터 빌려줄 수 있어요.";
    PERIOD_OVER "period-over" CONFLICT
        "The reservation's last day is over" "예약 기간이 지났어요"
        "Cancel the reservation, which gives the money back, and reserve the item again."
        "예약을 취소해 환불받은 다음 다시 예약하세요.";
    STILL_RENTED "still-rented" CONFLICT
        "Another renter still has the item" "다른 대여자가 아직 물건을 가지고 있어요"
        "Take the item back first."
        "먼저 물건을 돌려받으세요.";
    ITEM_IN_USE "item-in-use" CONFLICT
        "The item is reserved or lent" "예약 중이거나 빌려준 물건이에요"
        "Delete it once no reservation holds it."
        "예약이 끝난 다음에 삭제하세요.";
    REGISTRATION_ABANDONED "registration-abandoned" CONFLICT
        "This registration was abandoned" "등록이 취소되었어요"
        "Register the item again."
        "물건을 다시 등록하세요.";
    TOO_MANY_BLOCKS "too-many-blocks" CONFLICT
        "Too many blocked periods" "막아 둔 기간이 너무 많아요"
        "Unblock past periods first."
        "지난 기간을 먼저 풀어 주세요.";
    ALREADY_LENT "already-lent" CONFLICT
        "The item was handed over already" "이미 빌려준 물건이에요"
        "It can't be cancelled any more; the rental ends when the item is brought back."
        "이제 취소할 수 없어요. 물건을 반납하면 대여가 끝나요.";
    RESERVATION_CLOSED "reservation-closed" CONFLICT
        "The reservation is closed" "끝난 예약이에요"
        "Make a new reservation."
        "새로 예약하세요.";
    PAYMENT_PENDING "payment-pending" CONFLICT
        "A payment is in flight" "결제가 진행 중이에요"
        "Try again when its outcome is known."
        "결제 결과가 나온 다음에 다시 시도하세요.";
    CANCELLATION_PENDING "cancellation-pending" CONFLICT
        "A cancellation is in flight" "취소가 진행 중이에요"
        "Try again when it is decided."
        "취소 결과가 나온 다음에 다시 시도하세요.";
    ALREADY_RESERVED "already-reserved" CONFLICT
        "The reservation is confirmed already" "이미 확정된 예약이에요"
        "Cancel it if it isn't wanted."
        "원하지 않으면 취소하세요.";
    NO_HOLD "no-hold" CONFLICT
        "The reservation holds no days of this item" "이 물건을 잡아 둔 예약이 없어요"
        "Reserve the item again."
        "물건을 다시 예약하세요.";
    NOT_DUE "not-due" CONFLICT
        "The time to pay isn't over" "결제 기한이 아직 남았어요"
        "Look at the reservation's payBy."
        "예약의 payBy를 확인하세요.";
    PAID "paid" CONFLICT
        "The reservation is paid" "이미 결제된 예약이에요"
        "There is nothing left to do; it no longer expires."
        "더 할 일이 없어요. 이 예약은 만료되지 않아요.";
    STALE_VERSION "stale-version" PRECONDITION_FAILED
        "It changed since you looked" "그 사이에 내용이 바뀌었어요"
        "Read it again and send its ETag as If-Match."
        "다시 조회한 다음 그 ETag를 If-Match로 보내세요.";
    PRECONDITION_FAILED "precondition-failed" PRECONDITION_FAILED
        "If-None-Match excludes what exists" "If-None-Match 조건에 걸렸어요"
        "Leave If-None-Match out, or send the ETag of another representation."
        "If-None-Match를 빼거나 다른 ETag를 보내세요.";
    BODY_TOO_LARGE "body-too-large" PAYLOAD_TOO_LARGE
        "The body is too large" "본문이 너무 커요"
        "Send at most 65536 bytes."
        "65536바이트까지 보낼 수 있어요.";
    UNSUPPORTED_MEDIA_TYPE "unsupported-media-type" UNSUPPORTED_MEDIA_TYPE
        "The body must be JSON" "본문은 JSON이어야 해요"
        "Send the header Content-Type: application/json."
        "Content-Type: application/json 헤더를 보내세요.";
    UNSUPPORTED_ENCODING "unsupported-encoding" UNSUPPORTED_MEDIA_TYPE
        "The body is compressed" "압축된 본문은 받을 수 없어요"
        "Send the body as it is, without Content-Encoding."
        "Content-Encoding 없이 본문을 그대로 보내세요.";
    MISDIRECTED_HOST "misdirected-host" MISDIRECTED_REQUEST
        "This server is not called that" "이 서버의 이름이 아니에요"
        "Call it by the address it listens on, or add the name to server.hosts."
        "서버가 요청을 받는 주소로 호출하거나 server.hosts에 이름을 추가하세요.";
    INVALID "invalid" UNPROCESSABLE_ENTITY
        "Some values can't be taken" "받을 수 없는 값이 있어요"
        "Correct the fields named in errors; nothing was changed."
        "errors에 적힌 필드를 고치세요. 바뀐 것은 없어요.";
    WHICH_RESERVATION "which-reservation" UNPROCESSABLE_ENTITY
        "Several reservations hold the item" "이 물건을 잡아 둔 예약이 여러 개예요"
        "Say which one with reservationNo."
        "reservationNo로 어느 예약인지 알려 주세요.";
    KEY_REUSED "key-reused" UNPROCESSABLE_ENTITY
        "The idempotency key was used for another request" "다른 요청에 이미 쓴 Idempotency-Key예요"
        "Use a new key for a new request."
        "새 요청에는 새 키를 쓰세요.";
    INTERNAL "internal" INTERNAL_SERVER_ERROR
        "Something broke here" "서버에서 오류가 났어요"
        "Try again; if it persists, report the traceId to the operator."
        "다시 시도하세요. 계속되면 운영자에게 traceId를 알려 주세요.";
    IMPOSSIBLE "impossible" INTERNAL_SERVER_ERROR
        "This doesn't fit the history" "이력과 맞지 않는 요청이에요"
        "It needs manual action by an operator; report the traceId to them."
        "운영자의 확인이 필요해요. traceId를 알려 주세요.";
    NOT_IMPLEMENTED "not-implemented" NOT_IMPLEMENTED
        "The server doesn't know this method or transfer coding" "알 수 없는 메서드 또는 전송 코딩이에요"
        "Use a method of RFC 9110 or PATCH, and no transfer coding but chunked."
        "RFC 9110의 메서드나 PATCH를 쓰고, 전송 코딩은 chunked만 쓰세요.";
    SERVICE_UNREACHABLE "service-unreachable" BAD_GATEWAY
        "The service can't be reached" "서비스에 연결할 수 없어요"
        "Nothing was done; try again after Retry-After."
        "처리된 것은 없어요. Retry-After 뒤에 다시 시도하세요.";
    OVERLOADED "overloaded" SERVICE_UNAVAILABLE
        "Too many requests at once" "요청이 너무 많아요"
        "Nothing was done; try again after Retry-After."
        "처리된 것은 없어요. Retry-After 뒤에 다시 시도하세요.";
    TIMED_OUT "timed-out" SERVICE_UNAVAILABLE
        "The answer took too long" "응답이 너무 오래 걸렸어요"
        "It may still be done; repeat it with the same Idempotency-Key."
        "나중에 처리될 수 있어요. 같은 Idempotency-Key로 다시 보내세요.";
    UNAVAILABLE "unavailable" SERVICE_UNAVAILABLE
        "The database does not answer" "데이터베이스가 응답하지 않아요"
        "Nothing was done; try again after Retry-After."
        "처리된 것은 없어요. Retry-After 뒤에 다시 시도하세요.";
    BUSY "busy" SERVICE_UNAVAILABLE
        "Others were faster, again and again" "다른 요청이 계속 먼저 처리되었어요"
        "Nothing was done; try again after Retry-After."
        "처리된 것은 없어요. Retry-After 뒤에 다시 시도하세요.";
    PAYMENT_UNAVAILABLE "payment-unavailable" SERVICE_UNAVAILABLE
        "Payments are not taken at the moment" "지금은 결제할 수 없어요"
        "Nothing was charged; pay a little later."
        "청구된 금액은 없어요. 잠시 뒤에 결제하세요.";
    ALARM_UNAVAILABLE "alarm-unavailable" SERVICE_UNAVAILABLE
        "Registrations are not taken at the moment" "지금은 물건을 등록할 수 없어요"
        "No item was registered; register it a little later."
        "등록된 물건은 없어요. 잠시 뒤에 등록하세요.";
    OUTCOME_UNKNOWN "outcome-unknown" SERVICE_UNAVAILABLE
        "It is unknown whether it was done" "처리되었는지 알 수 없어요"
        "Repeat it with the same Idempotency-Key to find out."
        "같은 Idempotency-Key로 다시 보내면 확인할 수 있어요.";
    NEWER_PROGRAM "newer-program" SERVICE_UNAVAILABLE
        "A newer program wrote this" "더 새로운 프로그램이 쓴 내용이에요"
        "Try again; another server with the newer program can answer."
        "다시 시도하세요. 새 버전의 서버가 답할 수 있어요.";
    VIEWS_BEHIND "views-behind" SERVICE_UNAVAILABLE
        "The view hasn't caught up yet" "조회 결과에 아직 반영되지 않았어요"
        "Try again after Retry-After, or read without at_least."
        "Retry-After 뒤에 다시 시도하거나 at_least 없이 조회하세요.";
    NO_ANSWER "no-answer" GATEWAY_TIMEOUT
        "The service gave no answer" "서비스가 응답하지 않았어요"
        "It may be done; repeat it with the same Idempotency-Key."
        "처리되었을 수 있어요. 같은 Idempotency-Key로 다시 보내세요.";
}

#[cfg(test)]
mod tests {
    use super::KINDS;
    use std::collections::HashSet;

    #[test]
    fn codes_are_kebab_case_and_unique() {
        let mut seen = HashSet::new();
        for kind in KINDS {
            assert!(
                kind.code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'),
                "{}",
                kind.code
            );
            assert!(seen.insert(kind.code), "{} is used twice", kind.code);
            assert!(kind.status.is_client_error() || kind.status.is_server_error());
        }
    }
}
