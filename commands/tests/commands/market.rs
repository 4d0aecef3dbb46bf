//! A market over the test's own database; the tests send the commands of the process managers themselves.

use crate::fakes::{Behaviour, FakeAlarm, FakeGateway};
use chrono::NaiveDate;
use gdmarket_commands::{
    AlarmOptions, BreakerOptions, CommandError, CommandMeta, CommandOptions, Commands, Executed,
    KeyedRequest, NewItem, NewReservation, PaymentOptions, Precondition, RequestedPayment,
    http_command_id,
};
use gdmarket_domain::{
    Actor, ItemCommand, ItemNo, MarketCommand, Money, PaymentNo, PersonId, ReservationCommand,
    ReservationNo,
};
use gdmarket_store::{RecordedEvent, Store, StoreOptions};
use gdmarket_testkit::TestDb;
use std::sync::Arc;
use std::time::Duration;

/// How long a caller of a fake waits for its answer.
pub(crate) const SOON: Duration = Duration::from_millis(150);

/// How long a test waits for what must happen.
pub(crate) const LONG: Duration = Duration::from_secs(20);

#[derive(Clone)]
pub(crate) struct Market {
    pub(crate) commands: Commands,
    pub(crate) store: Store,
    pub(crate) gateway: Arc<FakeGateway>,
    pub(crate) alarm: Arc<FakeAlarm>,
}

impl Market {
    /// A market over a fresh database.
    pub(crate) async fn open(db: &TestDb) -> Self {
        Self::open_with(db, options()).await
    }

    pub(crate) async fn open_with(db: &TestDb, options: CommandOptions) -> Self {
        Store::migrate(&store_options(db)).await.unwrap();
        let store = Store::open(&store_options(db)).await.unwrap();
        let (gateway, alarm) =
            (FakeGateway::new(Behaviour::Succeed), FakeAlarm::new(Behaviour::Succeed));
        Self::over(store, Arc::new(gateway), Arc::new(alarm), options)
    }

    /// The same market in another process: the database is shared, caches and appender are not.
    pub(crate) async fn in_another_process(&self, db: &TestDb) -> Self {
        let store = Store::open(&store_options(db)).await.unwrap();
        Self::over(store, Arc::clone(&self.gateway), Arc::clone(&self.alarm), options())
    }

    fn over(
        store: Store,
        gateway: Arc<FakeGateway>,
        alarm: Arc<FakeAlarm>,
        options: CommandOptions,
    ) -> Self {
        let (to_gateway, to_alarm) = (Arc::clone(&gateway), Arc::clone(&alarm));
        let commands = Commands::new(store.clone(), to_gateway, to_alarm, options).unwrap();
        Self { commands, store, gateway, alarm }
    }

    /// Waits for the commands in flight and closes the database.
    pub(crate) async fn close(self) {
        self.commands.close().await;
        self.store.close().await;
    }

    pub(crate) async fn register(&self) -> ItemNo {
        let executed = self.commands.register_item(drill(), &operator()).await.unwrap().executed;
        item_no(executed.number)
    }

    /// A reservation that the item holds: `ReservationRequested`, `ItemHeld`, `Reserved`.
    pub(crate) async fn reserved(&self) -> (ItemNo, ReservationNo) {
        let item_no = self.register().await;
        let requested = self.commands.reserve(new_reservation(item_no), &operator()).await.unwrap();
        let reservation_no = reservation_no(requested.number);
        self.item(item_no, hold(reservation_no)).await.unwrap();
        let confirm = ReservationCommand::Confirm {
            owner_id: None,
            item_name: "drill".to_owned(),
            item_price: price(100),
            pay_by: self.commands.now(),
        };
        self.reservation(reservation_no, confirm).await.unwrap();
        (item_no, reservation_no)
    }

    /// Changes an item's price.
    pub(crate) async fn reprice(
        &self,
        no: ItemNo,
        won: i64,
        meta: CommandMeta,
    ) -> Result<Executed, CommandError> {
        self.commands.change_item(no, None, Some(price(won)), &meta).await
    }

    pub(crate) async fn item(
        &self,
        no: ItemNo,
        command: ItemCommand,
    ) -> Result<Executed, CommandError> {
        self.commands.send(MarketCommand::Item(no, command), &process()).await
    }

    pub(crate) async fn reservation(
        &self,
        no: ReservationNo,
        command: ReservationCommand,
    ) -> Result<Executed, CommandError> {
        self.commands.send(MarketCommand::Reservation(no, command), &process()).await
    }

    pub(crate) async fn pay(&self, no: ReservationNo) -> Result<RequestedPayment, CommandError> {
        self.commands.request_payment(no, SOON, &operator()).await
    }

    /// All events of the log.
    pub(crate) async fn log(&self) -> Vec<RecordedEvent> {
        self.store.log().read_after(0, 100_000).await.unwrap()
    }

    /// The types of the events of one stream, in order.
    pub(crate) async fn stream(&self, kind: &str, number: i64) -> Vec<String> {
        let events = self.log().await.into_iter();
        let of_stream =
            events.filter(|event| event.stream.kind == kind && event.stream.number == number);
        of_stream.map(|event| event.event_type).collect()
    }

    pub(crate) async fn payment(&self, payment_no: PaymentNo) -> Vec<String> {
        self.stream("payment", payment_no.get()).await
    }
}

/// Limits short enough for a test, and a breaker that never opens.
pub(crate) fn options() -> CommandOptions {
    let breaker = BreakerOptions { minimum_calls: 1_000, ..BreakerOptions::default() };
    CommandOptions {
        payment: PaymentOptions { answer_within: SOON, call_limit: LONG, breaker: breaker.clone() },
        alarm: AlarmOptions { answer_within: SOON, breaker },
        ..CommandOptions::default()
    }
}

fn store_options(db: &TestDb) -> StoreOptions {
    StoreOptions { url: db.url().to_owned(), ..StoreOptions::default() }
}

/// A request of the operator without a key.
pub(crate) fn operator() -> CommandMeta {
    by(Actor::Operator("local".to_owned()))
}

pub(crate) fn process() -> CommandMeta {
    by(Actor::Process("test"))
}

#[expect(clippy::disallowed_methods, reason = "a request without a key has a fresh id")]
pub(crate) fn by(actor: Actor) -> CommandMeta {
    let command_id = uuid::Uuid::now_v7();
    CommandMeta {
        command_id,
        correlation_id: command_id,
        causation: None,
        actor,
        traceparent: None,
        fingerprint: Vec::new(),
        precondition: Precondition::default(),
        keyed: false,
    }
}

/// A request of the operator with a key; `body` is its content.
pub(crate) fn keyed(route: &str, key: &str, body: &str) -> CommandMeta {
    let meta = operator();
    CommandMeta {
        command_id: http_command_id(&KeyedRequest {
            actor: &meta.actor,
            method: "POST",
            route,
            key,
        }),
        fingerprint: body.as_bytes().to_vec(),
        keyed: true,
        ..meta
    }
}

pub(crate) fn drill() -> NewItem {
    NewItem { owner_id: None, item_name: "drill".to_owned(), item_price: price(100) }
}

pub(crate) fn new_reservation(item_no: ItemNo) -> NewReservation {
    NewReservation {
        item_no,
        renter_id: renter(),
        customer_name: Some("Kim".to_owned()),
        period: None,
        asked_on: today(),
    }
}

pub(crate) fn hold(reservation_no: ReservationNo) -> ItemCommand {
    ItemCommand::Hold { reservation_no, renter_id: renter(), period: None, asked_on: today() }
}

pub(crate) fn renter() -> PersonId {
    PersonId::new(7).unwrap()
}

pub(crate) fn today() -> NaiveDate {
    NaiveDate::from_ymd_opt(2027, 1, 5).unwrap()
}

pub(crate) fn price(won: i64) -> Money {
    Money::price(won).unwrap()
}

pub(crate) fn item_no(number: i64) -> ItemNo {
    ItemNo::new(number).unwrap()
}

pub(crate) fn reservation_no(number: i64) -> ReservationNo {
    ReservationNo::new(number).unwrap()
}
