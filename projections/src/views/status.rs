//! The status words of the interface.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! status {
    ($(#[$attribute:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident),+ $(,)? }) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        $(#[$attribute])*
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// All words.
            pub const WORDS: &'static [&'static str] = &[$(Self::$variant.as_str()),+];

            /// The word on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),+ }
            }
        }
    };
}

status!(
    /// Whether an item has no hold and no rental, on whatever days.
    ItemStatus {
        /// It has no hold and no rental.
        Rentable,
        /// It has a hold or a rental.
        NotRentable,
    }
);
status!(
    /// Whether the renter has the item.
    RentalStatus {
        /// With its owner, and not brought back by the reservation that is shown.
        NotRenting,
        /// With the renter.
        Renting,
        /// With its owner again.
        Returned,
    }
);
status!(
    /// Whether money was taken and kept.
    PaymentStatus {
        /// Not, not yet, or given back.
        NotPaid,
        /// Approved.
        Paid,
    }
);
status!(
    /// How far a reservation has come.
    #[schema(as = ReservationProgress)]
    ReservationStatus {
        /// The item hasn't answered.
        Requested,
        /// The item holds the days.
        Reserved,
        /// The item couldn't be held.
        Rejected,
        /// Cancelled.
        Cancelled,
        /// Not paid in time.
        Expired,
        /// The renter has the item.
        Renting,
        /// The item came back.
        Completed,
    }
);
status!(
    /// How far a payment attempt has come.
    PaymentProgress {
        /// The outcome isn't known yet.
        Pending,
        /// The money was taken.
        Approved,
        /// The money was not taken.
        Declined,
        /// The money goes back.
        Refunding,
        /// The gateway refuses to give the money back; an operator has to act.
        RefundRefused,
        /// The money went back.
        Cancelled,
    }
);
status!(
    /// The last announcement of an item's alarm.
    AlarmStatus {
        /// The registration.
        Alerted,
        /// The deletion.
        DeleteAlerted,
    }
);
