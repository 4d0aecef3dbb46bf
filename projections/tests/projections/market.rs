//! A market for tests: a store with a write side, its loops and its queries.

use crate::test_port::{Sent, TestPort};
use chrono::NaiveDate;
use gdmarket_domain::{
    AlarmCommand, ItemCommand, ItemNo, MarketCommand, Money, PaymentCommand, PaymentNo, PersonId,
    RentalPeriod, ReservationCommand, ReservationNo, Services,
};
use gdmarket_projections::{
    Options, ParkedWork, Projections, Queries, differences_from_rebuild, is_view,
};
use gdmarket_store::{Parked, ParkedKeys, Store, StoreOptions, StreamId, on_db, on_tx};
use gdmarket_testkit::{TestDb, eventually};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use uuid::Uuid;

/// The limit of every wait.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// The views' subscriptions, with their tables.
pub(crate) const VIEWS: [&str; 4] = ["item_info_v4", "reservations_v3", "payments_v3", "alarms_v2"];

/// The process managers' subscriptions.
pub(crate) const MANAGERS: [&str; 5] =
    ["holding", "reservation_process", "payment_process", "alarm_saga", "abandonment"];

pub(crate) struct Market {
    pub(crate) store: Store,
    /// The log of another service that loops read, in tests with two.
    pub(crate) other: Option<Store>,
    pub(crate) port: Arc<TestPort>,
    next_id: AtomicU64,
}

/// The columns of a view's table in which two tables must agree.
pub(crate) type Row = (i64, i64, i64, Option<i64>, Option<i64>, Option<i64>, Option<i64>, String);

pub(crate) fn options() -> Options {
    Options { tick: Duration::from_millis(20), ..Options::default() }
}

pub(crate) fn item(number: i64) -> ItemNo {
    ItemNo::new(number).unwrap()
}

pub(crate) fn reservation(number: i64) -> ReservationNo {
    ReservationNo::new(number).unwrap()
}

pub(crate) fn payment(number: i64) -> PaymentNo {
    PaymentNo::new(number).unwrap()
}

pub(crate) fn person(number: i64) -> PersonId {
    PersonId::new(number).unwrap()
}

pub(crate) fn day(number: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2027, 1, number).unwrap()
}

pub(crate) fn days(from: u32, to: u32) -> RentalPeriod {
    RentalPeriod::new(day(from), day(to)).unwrap()
}

impl Market {
    pub(crate) async fn open(db: &TestDb) -> Self {
        Self::open_url(db.url(), true).await
    }

    pub(crate) async fn open_url(url: &str, migrate: bool) -> Self {
        let options = StoreOptions { url: url.to_owned(), ..StoreOptions::default() };
        if migrate {
            Store::migrate(&options).await.unwrap();
        }
        Self::open_with(&options).await
    }

    /// Opens a market over a migrated database.
    pub(crate) async fn open_with(options: &StoreOptions) -> Self {
        let store = Store::open(options).await.unwrap();
        Projections::prepare(&store, Services::ALL).await.unwrap();
        let port = Arc::new(TestPort::new(store.clone()));
        Self { store, other: None, port, next_id: AtomicU64::new(1) }
    }

    /// A market whose streams that `is_there` names are in the log of another service.
    pub(crate) async fn open_split(
        url: &str,
        other: &str,
        is_there: fn(&StreamId) -> bool,
    ) -> Self {
        let Self { store, next_id, .. } = Self::open_url(url, true).await;
        let other = Self::open_url(other, true).await.store;
        let port = TestPort::new(store.clone()).with_other(other.clone(), is_there);
        Self { store, other: Some(other), port: Arc::new(port), next_id }
    }

    pub(crate) fn start(&self) -> Projections {
        self.start_with(&options())
    }

    pub(crate) fn start_with(&self, options: &Options) -> Projections {
        Projections::start(self.store.clone(), Arc::<TestPort>::clone(&self.port), options)
    }

    pub(crate) fn queries(&self) -> Queries {
        Queries::new(self.store.clone())
    }

    /// Sends a command as the write side does.
    pub(crate) async fn send(&self, command: MarketCommand) -> Sent {
        let number = self.next_id.fetch_add(1, Ordering::SeqCst);
        let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{number} {command:?}").as_bytes());
        self.port.send(&command, id, id).await.unwrap()
    }

    async fn done(&self, command: MarketCommand) {
        let command_text = format!("{command:?}");
        assert_eq!(self.send(command).await, Sent::Written, "{command_text}");
    }

    pub(crate) async fn item(&self, number: i64, command: ItemCommand) {
        self.done(MarketCommand::Item(item(number), command)).await;
    }

    pub(crate) async fn register(&self, number: i64, owner: Option<i64>) {
        self.alert(number).await;
        let register = ItemCommand::Register {
            item_no: item(number),
            owner_id: owner.map(person),
            item_name: format!("Camera {number}"),
            item_price: Money::price(100).unwrap(),
        };
        self.item(number, register).await;
    }

    pub(crate) async fn alert(&self, number: i64) {
        let raise = AlarmCommand::RaiseRegistration { item_no: item(number) };
        self.done(MarketCommand::Alarm(item(number), raise)).await;
    }

    pub(crate) async fn reserve(
        &self,
        no: i64,
        item_no: i64,
        period: impl Into<Option<RentalPeriod>>,
    ) {
        let reserve = ReservationCommand::Reserve {
            reservation_no: reservation(no),
            item_no: item(item_no),
            renter_id: person(1000 + no),
            period: period.into(),
            asked_on: day(1),
        };
        self.reservation(no, reserve).await;
    }

    pub(crate) async fn reservation(&self, no: i64, command: ReservationCommand) {
        self.done(MarketCommand::Reservation(reservation(no), command)).await;
    }

    pub(crate) async fn payment(&self, no: i64, command: PaymentCommand) {
        self.done(MarketCommand::Payment(payment(no), command)).await;
    }

    /// Requests a payment and starts the attempt.
    pub(crate) async fn start_payment(&self, no: i64, payment_no: i64, item_no: i64) {
        self.request_payment(no, payment_no).await;
        let start = PaymentCommand::Start {
            payment_no: payment(payment_no),
            reservation_no: reservation(no),
            item_no: item(item_no),
            amount: Money::price(100).unwrap(),
        };
        self.payment(payment_no, start).await;
    }

    pub(crate) async fn request_payment(&self, no: i64, payment_no: i64) {
        let request = ReservationCommand::RequestPayment { payment_no: payment(payment_no) };
        self.reservation(no, request).await;
    }

    /// Pays successfully.
    pub(crate) async fn pay(&self, no: i64, payment_no: i64, item_no: i64) {
        self.start_payment(no, payment_no, item_no).await;
        self.payment(payment_no, PaymentCommand::RecordApproved).await;
    }

    /// Waits until all views and managers have handled every event.
    pub(crate) async fn settle(&self, loops: &Projections) {
        let applied = loops.applied();
        eventually(SOON, || async {
            let heads = self.heads().await;
            let progress = applied.progress();
            let mut behind = vec![];
            for (name, loop_progress) in &progress {
                let head = if name.contains('@') { heads.1 } else { heads.0 };
                if loop_progress.position != head {
                    behind.push((name, loop_progress));
                }
            }
            if !behind.is_empty() {
                return Err(format!("heads {heads:?}, behind: {behind:?}"));
            }
            let managers = progress.keys().filter(|name| !is_view(name));
            for manager in managers {
                let waiting = self.parked(manager).await;
                if waiting.iter().any(|parked| parked.state == Parked::RETRYING) {
                    return Err(format!("{manager}: {waiting:?}"));
                }
            }
            let heads_after = self.heads().await;
            if heads_after == heads { Ok(()) } else { Err("the log still grows".to_owned()) }
        })
        .await;
    }

    /// The heads of the own log and of the other service's.
    async fn heads(&self) -> (i64, i64) {
        let own = self.store.log().head().await.unwrap();
        match &self.other {
            Some(other) => (own, other.log().head().await.unwrap()),
            None => (own, 0),
        }
    }

    pub(crate) async fn parked(&self, subscription: &str) -> Vec<Parked> {
        ParkedKeys::new(self.store.views().clone()).all(subscription).await.unwrap()
    }

    /// Requests a retry of every key that the subscription has parked.
    pub(crate) async fn request_retry(&self, subscription: &str) {
        let work = ParkedWork::new(self.store.clone());
        for key in work.list(None).await.unwrap() {
            if key.subscription == subscription {
                work.request_retry(&key).await.unwrap();
            }
        }
    }

    /// All rows of a view, by number.
    pub(crate) async fn rows(&self, view: &str) -> Vec<Row> {
        // A column that a view lacks is NULL. An item's row had no `item_no` when the golden logs were
        // written: its own number says the same.
        let none = "CAST(NULL AS bigint)";
        let found_by = match view.split('_').next() {
            Some("item") => format!("owner_id, customer_id, {none}"),
            Some("reservations") => "owner_id, customer_id, item_no".to_owned(),
            _ => format!("{none}, {none}, item_no"),
        };
        let sql = format!(
            "SELECT no, sequence, gone, {found_by}, stale_since, doc FROM view_{view} ORDER BY no"
        );
        on_db!(self.store.views(), pool => sqlx::query_as(&sql).fetch_all(pool).await).unwrap()
    }

    /// The rows of all views.
    pub(crate) async fn all_rows(&self) -> Vec<Vec<Row>> {
        let mut all = vec![];
        for view in VIEWS {
            all.push(self.rows(view).await);
        }
        all
    }

    /// Rebuilds every view from zero alongside the live one, and compares them.
    pub(crate) async fn assert_equals_rebuild(&self) {
        let differing = differences_from_rebuild(&self.store).await.unwrap();
        assert_eq!(differing, [], "the views equal a rebuild");
    }

    /// The stream and type of each event of the log.
    pub(crate) async fn history(&self) -> Vec<String> {
        let events = self.store.log().read_after(0, 100_000).await.unwrap();
        events.iter().map(|event| format!("{} {}", event.stream, event.event_type)).collect()
    }

    /// Changes the views' database without the program's knowledge.
    pub(crate) async fn views_sql(&self, sql: &str) {
        let mut tx = self.store.views().begin().await.unwrap();
        on_tx!(&mut tx, connection => sqlx::query(sql).execute(connection).await.map(drop))
            .unwrap();
        tx.commit().await.unwrap();
    }
}
