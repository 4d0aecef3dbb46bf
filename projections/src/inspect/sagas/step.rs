//! The steps of a saga: what happens next, and whom it waits for.

use gdmarket_domain::{AggregateType, ManagerName, MarketPart, Service};

/// The next step of an open saga.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SagaStep {
    /// The item holds the days, or refuses them.
    Hold,
    /// The reservation records the hold.
    Confirm,
    /// The reservation records the refusal of the days.
    Reject,
    /// The renter pays.
    Pay,
    /// The time to pay is over: the reservation expires.
    Expire,
    /// The gateway charges the renter.
    Charge,
    /// The gateway is asked about a charge whose outcome is unknown.
    Settle,
    /// The reservation records the outcome of a payment.
    RecordOutcome,
    /// The reservation records that an attempt was approved that it no longer waits for.
    RecordLateApproval,
    /// The item authorises the lending.
    Authorize,
    /// The owner hands the item over.
    Lend,
    /// The reservation records that the item was handed over.
    RecordLending,
    /// The item decides on a requested cancellation.
    Revoke,
    /// The reservation records that decision.
    RecordDecision,
    /// The renter brings the item back.
    Return,
    /// The reservation records the return.
    RecordReturn,
    /// The item releases the days.
    Release,
    /// The gateway refunds the money.
    Refund,
    /// The gateway refuses the refund: an operator settles it.
    SettleRefund,
    /// A registration that was announced is recorded, or abandoned when its time is over.
    Register,
    /// The alarm withdraws the announcement of an abandoned registration.
    Withdraw,
    /// The alarm announces a deletion.
    AnnounceDeletion,
    /// A process manager of this service does a reaction that the state of the saga doesn't ask for.
    React(Service),
}

/// The person or service that a saga waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AwaitedParty {
    /// The renter.
    Renter,
    /// The owner of the item; the operator where it has none.
    Owner,
    /// An operator.
    Operator,
    /// A process manager of this service.
    Process(Service),
}

impl SagaStep {
    /// The name, for people and programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Confirm => "confirm",
            Self::Reject => "reject",
            Self::Pay => "pay",
            Self::Expire => "expire",
            Self::Charge => "charge",
            Self::Settle => "settle",
            Self::RecordOutcome => "record-outcome",
            Self::RecordLateApproval => "record-late-approval",
            Self::Authorize => "authorize",
            Self::Lend => "lend",
            Self::RecordLending => "record-lending",
            Self::Revoke => "revoke",
            Self::RecordDecision => "record-decision",
            Self::Return => "return",
            Self::RecordReturn => "record-return",
            Self::Release => "release",
            Self::Refund => "refund",
            Self::SettleRefund => "settle-refund",
            Self::Register => "register",
            Self::Withdraw => "withdraw",
            Self::AnnounceDeletion => "announce-deletion",
            Self::React(_) => "react",
        }
    }

    /// What the awaited party is to do: "to pay".
    pub const fn purpose(self) -> &'static str {
        match self {
            Self::Hold => "to hold the days or to refuse them",
            Self::Confirm => "to record the hold",
            Self::Reject => "to record that the days were refused",
            Self::Pay => "to pay",
            Self::Expire => "to end the time to pay",
            Self::Charge => "to report the outcome of the payment",
            Self::Settle => "to ask the gateway for the outcome of the payment",
            Self::RecordOutcome => "to record the outcome of the payment",
            Self::RecordLateApproval => "to record the late approval of the payment",
            Self::Authorize => "to authorise the lending",
            Self::Lend => "to hand the item over to the renter",
            Self::RecordLending => "to record that the renter fetched the item",
            Self::Revoke => "to decide on the cancellation",
            Self::RecordDecision => "to record the decision on the cancellation",
            Self::Return => "to bring the item back",
            Self::RecordReturn => "to record that the item is back",
            Self::Release => "to release the days",
            Self::Refund => "to refund the money",
            Self::SettleRefund => "to settle the refund that the gateway refuses",
            Self::Register => "to record the registration, or to abandon it",
            Self::Withdraw => "to withdraw the alarm",
            Self::AnnounceDeletion => "to raise the deletion alarm",
            Self::React(_) => "to do a reaction",
        }
    }

    /// The person or service that it waits for.
    pub const fn awaits(self) -> AwaitedParty {
        match self.actor() {
            StepActor::Person(party, _) => party,
            StepActor::Manager(manager) => {
                AwaitedParty::Process(Service::of(MarketPart::Manager(manager)))
            }
            StepActor::AnyManager(service) => AwaitedParty::Process(service),
        }
    }

    /// The service that appends the next event.
    pub const fn service(self) -> Service {
        match self.actor() {
            StepActor::Person(_, aggregate) => Service::of(MarketPart::Aggregate(aggregate)),
            StepActor::Manager(manager) => Service::of(MarketPart::Manager(manager)),
            StepActor::AnyManager(service) => service,
        }
    }

    /// The process manager that takes the step, where it is a known one.
    pub const fn manager(self) -> Option<ManagerName> {
        match self.actor() {
            StepActor::Manager(manager) => Some(manager),
            StepActor::Person(..) | StepActor::AnyManager(_) => None,
        }
    }

    const fn actor(self) -> StepActor {
        use AggregateType as A;
        use AwaitedParty as P;
        match self {
            Self::Pay => StepActor::Person(P::Renter, A::Reservation),
            Self::Lend => StepActor::Person(P::Owner, A::Item),
            Self::Return => StepActor::Person(P::Renter, A::Item),
            Self::SettleRefund => StepActor::Person(P::Operator, A::Payment),
            Self::Hold | Self::Authorize | Self::Revoke | Self::Release => {
                StepActor::Manager(ManagerName::Holding)
            }
            Self::Confirm
            | Self::Reject
            | Self::Expire
            | Self::RecordOutcome
            | Self::RecordLateApproval
            | Self::RecordLending
            | Self::RecordDecision
            | Self::RecordReturn => StepActor::Manager(ManagerName::ReservationProcess),
            Self::Charge | Self::Settle | Self::Refund => {
                StepActor::Manager(ManagerName::PaymentProcess)
            }
            Self::Register => StepActor::Manager(ManagerName::Abandonment),
            Self::Withdraw | Self::AnnounceDeletion => StepActor::Manager(ManagerName::AlarmSaga),
            Self::React(service) => StepActor::AnyManager(service),
        }
    }
}

/// The person or process manager that takes a step.
enum StepActor {
    /// A person, by a command to this aggregate.
    Person(AwaitedParty, AggregateType),
    Manager(ManagerName),
    /// One of this service's managers.
    AnyManager(Service),
}

impl AwaitedParty {
    /// The name, for people and programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Renter => "renter",
            Self::Owner => "owner",
            Self::Operator => "operator",
            Self::Process(service) => service.name(),
        }
    }

    /// Whether it is the renter or the owner, who act when they like.
    pub const fn is_customer(self) -> bool {
        match self {
            Self::Renter | Self::Owner => true,
            Self::Operator | Self::Process(_) => false,
        }
    }
}
