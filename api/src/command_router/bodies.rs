//! The bodies of writes, each declared once: its fields, their reader and their schema. The two bodies of `PATCH` that
//! name a transition are in `patches.rs`.

use crate::extract::body::body;
use crate::extract::fields::LINKS;
use gdmarket_domain::{ItemNo, Money, PersonId, RentalPeriod, ReservationNo};

body! {
    /// An item to register. `itemStatus` and `rentalStatus` are taken and ignored.
    pub(crate) struct NewItemBody as "NewItem" ignores ["itemStatus", "rentalStatus", LINKS]
    eg {"itemName": "Camera", "itemPrice": 100} {
        /// 1 to 100 characters after normalising (NFC) and trimming, none of them invisible.
        "itemName" => item_name: String;
        "itemPrice" => item_price: Money;
        /// Whose it is, if the operator registers it for someone.
        "ownerId" => owner_id: Option<PersonId>;
    }
}

body! {
    /// An item to reserve. `itemName`, `itemPrice` and the statuses are taken and ignored: name and price
    /// are the item's.
    pub(crate) struct NewReservationBody as "NewReservation"
    ignores ["itemStatus", "rentalStatus", "paymentStatus", "itemName", "itemPrice", LINKS]
    eg {
        "itemNo": 1, "customerId": 9_007_199_254_740_991_i64, "customerName": "Demo Renter",
        "period": {"from": "2099-01-05", "to": "2099-01-08"}
    } {
        "itemNo" => item_no: ItemNo;
        /// Whose it will be; a renter may leave it out.
        "customerId" => customer_id: Option<PersonId>;
        /// 1 to 100 characters after normalising (NFC) and trimming, none of them invisible.
        "customerName" => customer_name: Option<String>;
        /// `null` or left out: from now until returned.
        "period" => period: Option<RentalPeriod>;
    }
}

body! {
    /// Which reservation is meant; may be left out while only one can be.
    pub(crate) struct WhichReservationBody as "WhichReservation" ignores [LINKS]
    eg {"reservationNo": 7} {
        "reservationNo" => reservation_no: Option<ReservationNo>;
    }
}

body! {
    /// Days that the owner keeps back, or gives free again.
    pub(crate) struct DaysBody as "Days" ignores [LINKS] {
        "period" => period: RentalPeriod;
    }
}

body! {
    pub(crate) struct EmptyBody as "Empty" ignores [LINKS] {}
}
