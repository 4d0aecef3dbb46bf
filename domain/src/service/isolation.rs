//! The isolation table: what a command of a person meets while a service is down.
//!
//! Tests, the documentation and what a server says of itself come from this table (seed requirement "fault isolation").

use super::Service;

/// A command that people send to the market.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PersonCommand {
    /// Register an item.
    RegisterItem,
    /// Change an item's name or price.
    ChangeItem,
    /// Take an item off the market.
    DeleteItem,
    /// Keep days back.
    BlockPeriod,
    /// Give days free again.
    UnblockPeriod,
    /// Hand an item over to its renter.
    LendItem,
    /// Take an item back.
    ReturnItem,
    /// Reserve an item.
    RequestReservation,
    /// Cancel a reservation.
    CancelReservation,
    /// Pay a reservation.
    PayReservation,
    /// Take a payment back.
    CancelPayment,
}

/// What a command meets while a service is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Isolation {
    /// It is done as always: the service takes no part in it.
    Unaffected,
    /// It is accepted, and the part of the service follows once it is back.
    Accepted,
    /// It is refused with 503 and `Retry-After`, and nothing is written.
    Refused,
}

impl PersonCommand {
    /// All commands.
    pub const ALL: [Self; 11] = [
        Self::RegisterItem,
        Self::ChangeItem,
        Self::DeleteItem,
        Self::BlockPeriod,
        Self::UnblockPeriod,
        Self::LendItem,
        Self::ReturnItem,
        Self::RequestReservation,
        Self::CancelReservation,
        Self::PayReservation,
        Self::CancelPayment,
    ];

    /// The operation of the HTTP interface, as its OpenAPI document names it.
    pub const fn operation(self) -> &'static str {
        match self {
            Self::RegisterItem => "registerItem",
            Self::ChangeItem => "patchItem",
            Self::DeleteItem => "deleteItem",
            Self::BlockPeriod => "blockPeriod",
            Self::UnblockPeriod => "unblockPeriod",
            Self::LendItem => "lendItem",
            Self::ReturnItem => "returnItem",
            Self::RequestReservation => "reserve",
            Self::CancelReservation => "cancelReservation",
            Self::PayReservation => "payReservation",
            Self::CancelPayment => "cancelPayment",
        }
    }

    /// The service that takes the command.
    pub const fn service(self) -> Service {
        match self {
            Self::RegisterItem
            | Self::ChangeItem
            | Self::DeleteItem
            | Self::BlockPeriod
            | Self::UnblockPeriod
            | Self::LendItem
            | Self::ReturnItem => Service::Item,
            Self::RequestReservation
            | Self::CancelReservation
            | Self::PayReservation
            | Self::CancelPayment => Service::Reservation,
        }
    }

    /// What it meets while `down`, and no other service, is down.
    pub const fn without(self, down: Service) -> Isolation {
        let [item, reservation, payment, alarm] = self.row();
        match down {
            Service::Item => item,
            Service::Reservation => reservation,
            Service::Payment => payment,
            Service::Alarm => alarm,
        }
    }

    /// Its row of the table: without item, reservation, payment, alarm. Without its own service no process takes it.
    const fn row(self) -> [Isolation; 4] {
        use Isolation::{Accepted as A, Refused as R, Unaffected as U};
        match self {
            // The caller waits for the alarm: without it there is no item.
            Self::RegisterItem => [R, U, U, R],
            Self::ChangeItem | Self::BlockPeriod | Self::UnblockPeriod => [R, U, U, U],
            Self::DeleteItem => [R, U, U, A],
            Self::LendItem | Self::ReturnItem => [R, A, U, U],
            Self::RequestReservation => [A, R, U, U],
            // The refund of what was paid follows.
            Self::CancelReservation | Self::CancelPayment => [A, R, A, U],
            // The caller waits for the payment; the item is authorised to be lent when it is back.
            Self::PayReservation => [A, R, R, U],
        }
    }
}

impl Isolation {
    /// The word of the documentation and of `/capabilities`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unaffected => "unaffected",
            Self::Accepted => "accepted",
            Self::Refused => "refused",
        }
    }
}
