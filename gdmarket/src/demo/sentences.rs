//! The sentences of the demo, in both languages.

use super::Lang;

/// A sentence in both languages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sentence(&'static str, &'static str);

impl Sentence {
    pub(super) const fn in_lang(self, lang: Lang) -> &'static str {
        match lang {
            Lang::En => self.0,
            Lang::Ko => self.1,
        }
    }
}

pub(super) const WRITES: Sentence = Sentence(
    "This writes into that market: one item, which is deleted at the end, and three reservations with \
     two payments of 100 won, for renters of the demo's own (customerId {renters}). Events stay in the \
     market's log.",
    "이 데모는 위 마켓에 물건 1개(끝나면 삭제해요), 예약 3건, 100원 결제 2건을 기록해요. 대여자는 데모 전용 \
     번호(customerId {renters})만 써요. 이벤트는 마켓의 로그에 남아요.",
);
pub(super) const REGISTER: Sentence = Sentence(
    "The owner registers a camera for 100 won a day.",
    "물건관리자가 카메라를 하루 100원에 등록해요.",
);
pub(super) const ALARM: Sentence =
    Sentence("Its registration alarm rang.", "등록 알림이 울렸어요.");
pub(super) const INFO: Sentence =
    Sentence("The integrated view shows it.", "통합 조회 화면에 물건이 보여요.");
pub(super) const RESERVE: Sentence = Sentence("A renter reserves it.", "대여자가 예약해요.");
pub(super) const NOT_RENTABLE: Sentence =
    Sentence("Nobody else can rent it now.", "이제 다른 사람은 빌릴 수 없어요.");
pub(super) const LEND_UNPAID: Sentence =
    Sentence("Lending it before it is paid is refused.", "결제하지 않은 예약은 빌려줄 수 없어요.");
pub(super) const PAY: Sentence = Sentence(
    "The renter pays; a price in the body changes nothing, 100 won are charged.",
    "대여자가 결제해요. 본문의 가격과 상관없이 100원이 청구돼요.",
);
pub(super) const PAYMENT: Sentence =
    Sentence("The payment is in the books.", "결제 내역이 남았어요.");
pub(super) const TAKE_BACK: Sentence = Sentence(
    "The renter takes the payment back and keeps the reservation.",
    "대여자가 결제를 취소하지만 예약은 그대로 둬요.",
);
pub(super) const STILL_HELD: Sentence =
    Sentence("The item stays reserved.", "물건은 계속 예약된 상태예요.");
pub(super) const PAY_AGAIN: Sentence =
    Sentence("The renter pays again, as a new attempt.", "대여자가 다시 결제해요.");
pub(super) const LEND: Sentence =
    Sentence("The owner hands it over.", "물건관리자가 물건을 빌려줘요.");
pub(super) const RENTING: Sentence =
    Sentence("The reservation follows by itself.", "예약 상태도 따라서 바뀌어요.");
pub(super) const DELETE_LENT: Sentence =
    Sentence("Deleting a lent item is refused.", "빌려준 물건은 삭제할 수 없어요.");
pub(super) const RETURN: Sentence =
    Sentence("The renter brings it back.", "대여자가 물건을 반납해요.");
pub(super) const RETURNED: Sentence =
    Sentence("The reservation is complete.", "예약이 완료되었어요.");
pub(super) const FREE: Sentence =
    Sentence("Everybody can rent it again.", "누구나 다시 빌릴 수 있어요.");
pub(super) const RESERVE_SECOND: Sentence =
    Sentence("A second renter reserves it.", "두 번째 대여자가 예약해요.");
pub(super) const RESERVE_THIRD: Sentence =
    Sentence("A third one comes too late.", "세 번째 대여자는 한발 늦었어요.");
pub(super) const CANCEL: Sentence =
    Sentence("The second renter cancels.", "두 번째 대여자가 예약을 취소해요.");
pub(super) const DELETE: Sentence =
    Sentence("The owner takes it off the market.", "물건관리자가 물건을 삭제해요.");
pub(super) const GONE: Sentence =
    Sentence("It is gone from the integrated view.", "통합 조회 화면에서 사라졌어요.");
pub(super) const DELETE_ALARM: Sentence =
    Sentence("Its deletion alarm rang.", "삭제 알림이 울렸어요.");
pub(super) const DONE: Sentence =
    Sentence("Everything was as it should be.", "모든 단계가 기대한 대로 끝났어요.");
