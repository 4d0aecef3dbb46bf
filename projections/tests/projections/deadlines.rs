//! Deadlines, also across restarts: unpaid reservations, payments without an outcome, registrations that never follow
//! their alarm.

use crate::market::{Market, SOON, item, options, payment, reservation};
use chrono::TimeDelta;
use gdmarket_domain::{ItemCommand, MarketCommand, PaymentCommand, ReservationCommand};
use gdmarket_projections::{
    Options, OutgoingCommand, PaymentProgress, PortError, Projections, ReservationStatus,
};
use gdmarket_store::Deadlines;
use gdmarket_testkit::{TestDb, eventually, on_each_engine};
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(300);

async fn deadlines(market: &Market, manager: &str) -> Vec<String> {
    let all = Deadlines::new(market.store.views().clone()).all(manager).await.unwrap();
    all.into_iter().map(|deadline| deadline.key).collect()
}

async fn status(market: &Market, number: i64) -> Option<ReservationStatus> {
    let found = market.queries().reservation(reservation(number)).await.unwrap();
    found.map(|found| found.body.status)
}

async fn wait_for(market: &Market, number: i64, expected: ReservationStatus) {
    eventually(SOON, || async {
        match status(market, number).await {
            Some(is) if is == expected => Ok(()),
            other => Err(other),
        }
    })
    .await;
}

/// Starts the loops and reserves item 1 under reservation 1.
async fn reserved(market: &Market, options: &Options) -> Projections {
    let loops = market.start_with(options);
    market.register(1, None).await;
    market.reserve(1, 1, None).await;
    wait_for(market, 1, ReservationStatus::Reserved).await;
    // The view may be ahead of the manager that sets the deadline.
    market.settle(&loops).await;
    loops
}

on_each_engine! {
    async fn unpaid_reservation_expires_after_a_restart(db: &TestDb) {
        let market = Market::open(db).await;
        let short_deadlines = Options { pay_within: SHORT, ..options() };
        let loops = reserved(&market, &Options { tick: SOON, ..short_deadlines.clone() }).await;
        assert_eq!(deadlines(&market, "reservation_process").await, ["reservation/1"]);
        loops.stop().await;
        assert_eq!(status(&market, 1).await, Some(ReservationStatus::Reserved));

        let loops = market.start_with(&short_deadlines);
        wait_for(&market, 1, ReservationStatus::Expired).await;
        market.settle(&loops).await;
        assert_eq!(deadlines(&market, "reservation_process").await, [""; 0]);
        let found = market.queries().item(item(1)).await.unwrap().unwrap();
        assert_eq!(found.body.reservation_no, None, "the item is free again");
        loops.stop().await;
    }

    /// A fault of the row or of the program doesn't end a deadline.
    async fn unreadable_deadline_is_kept(db: &TestDb) {
        let market = Market::open(db).await;
        let short_deadlines = Options { pay_within: SHORT, ..options() };
        let loops = reserved(&market, &Options { tick: SOON, ..short_deadlines.clone() }).await;
        loops.stop().await;
        let due = async || {
            let all = Deadlines::new(market.store.views().clone()).all("reservation_process").await;
            all.unwrap().into_iter().map(|deadline| (deadline.key, deadline.due_at)).next()
        };
        let (key, before) = due().await.unwrap();
        db.views_sql("UPDATE deadlines SET payload = 'oops'").await;
        let loops = market.start_with(&short_deadlines);
        let (kept, after) = eventually(SOON, || async {
            match due().await {
                Some((key, later)) if later > before => Ok((key, later)),
                other => Err(other),
            }
        })
        .await;
        assert_eq!(kept, key);
        assert!(after - before > 60_000_000, "the next try is too early: {before} {after}");
        assert_eq!(status(&market, 1).await, Some(ReservationStatus::Reserved));
        loops.stop().await;
    }

    /// A refusal ends a deadline; damage and an impossible command are no refusals.
    async fn failing_deadline_is_kept(db: &TestDb) {
        let faults = [
            PortError::Damaged("the database is damaged".to_owned()),
            PortError::Impossible("thought impossible".to_owned()),
        ];
        for (number, fault) in (1..).zip(faults) {
            let market = Market::open(db).await;
            let loops = market.start_with(&Options { pay_within: SHORT, ..options() });
            market.port.fail(move |outgoing| {
                let expires = matches!(
                    outgoing.command,
                    MarketCommand::Reservation(_, ReservationCommand::Expire { .. })
                );
                expires.then(|| fault.clone())
            });
            market.register(number, None).await;
            market.reserve(number, number, None).await;
            let due = async || {
                let all = Deadlines::new(market.store.views().clone()).all("reservation_process").await;
                all.unwrap().into_iter().find(|of| of.key == format!("reservation/{number}"))
            };
            wait_for(&market, number, ReservationStatus::Reserved).await;
            let first = eventually(SOON, || async { due().await.ok_or(()) }).await;
            eventually(SOON, || async {
                match due().await {
                    Some(again) if again.due_at > first.due_at => Ok(()),
                    other => Err(other),
                }
            })
            .await;
            assert_eq!(status(&market, number).await, Some(ReservationStatus::Reserved));
            loops.stop().await;
            // The deadline is due in some minutes; this makes it due now.
            db.views_sql("UPDATE deadlines SET due_at = 1").await;
            market.port.fail(|_| None);
            let loops = market.start_with(&options());
            wait_for(&market, number, ReservationStatus::Expired).await;
            loops.stop().await;
            market.store.close().await;
        }
    }

    async fn open_attempt_stops_the_time_to_pay_and_its_failure_sets_the_later_deadline(db: &TestDb) {
        let market = Market::open(db).await;
        let pay_within = Duration::from_mins(1);
        let loops = reserved(&market, &Options { pay_within, ..options() }).await;
        let before = market.queries().reservation(reservation(1)).await.unwrap().unwrap().body;
        market.start_payment(1, 1, 1).await;
        market.settle(&loops).await;
        assert_eq!(deadlines(&market, "reservation_process").await, [""; 0]);
        let reason = "no-cover".to_owned();
        market.payment(1, PaymentCommand::RecordDeclined { reason }).await;
        market.settle(&loops).await;
        assert_eq!(deadlines(&market, "reservation_process").await, ["reservation/1"]);
        let after = market.queries().reservation(reservation(1)).await.unwrap().unwrap().body;
        // Five more minutes would exceed twice the time to pay.
        assert_eq!(after.pay_by, before.pay_by.map(|first| first + pay_within), "{after:?}");
        market.pay(1, 2, 1).await;
        market.settle(&loops).await;
        assert_eq!(deadlines(&market, "reservation_process").await, [""; 0]);
        loops.stop().await;
    }

    async fn payment_without_outcome_is_settled_without_a_charge(db: &TestDb) {
        let market = Market::open(db).await;
        let short_deadlines = Options { settle_after: SHORT, ..options() };
        let loops = reserved(&market, &short_deadlines).await;
        market.request_payment(1, 1).await;
        let payment_status = async |number| {
            let found = market.queries().payment(payment(number)).await.unwrap();
            found.map(|found| (found.body.status, found.body.reason))
        };
        eventually(SOON, || async {
            match payment_status(1).await {
                Some((PaymentProgress::Declined, reason)) => Ok(reason),
                other => Err(other),
            }
        })
        .await;
        market.settle(&loops).await;
        assert_eq!(deadlines(&market, "payment_process").await, ["payment/1"], "it is settled again later");

        market.start_payment(1, 2, 1).await;
        market.port.charged.lock().unwrap().insert(payment(2));
        eventually(SOON, || async {
            match payment_status(2).await {
                Some((PaymentProgress::Approved, _)) => Ok(()),
                other => Err(other),
            }
        })
        .await;
        market.settle(&loops).await;
        assert_eq!(deadlines(&market, "payment_process").await, ["payment/1"], "payment 2 has no deadline");
        assert_eq!(market.port.refunds.lock().unwrap().len(), 0);
        loops.stop().await;
    }

    async fn late_charge_is_refunded(db: &TestDb) {
        let market = Market::open(db).await;
        let short_deadlines = Options { settle_after: SHORT, settle_again: SHORT, ..options() };
        let loops = reserved(&market, &short_deadlines).await;
        market.start_payment(1, 1, 1).await;
        eventually(SOON, || async {
            let found = market.queries().payment(payment(1)).await.unwrap();
            let status = found.map(|found| found.body.status);
            if status == Some(PaymentProgress::Declined) { Ok(()) } else { Err(status) }
        })
        .await;
        market.port.charged.lock().unwrap().insert(payment(1));
        eventually(SOON, || async {
            let refunds = market.port.refunds.lock().unwrap().clone();
            if refunds == [payment(1)] { Ok(()) } else { Err(refunds) }
        })
        .await;
        market.settle(&loops).await;
        assert_eq!(status(&market, 1).await, Some(ReservationStatus::Reserved));
        assert_eq!(deadlines(&market, "payment_process").await, [""; 0]);
        loops.stop().await;
    }

    async fn missing_registration_is_abandoned_and_its_alarm_withdrawn(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start_with(&Options { abandon_after: SHORT, ..options() });
        market.alert(1).await;
        market.register(2, None).await;
        eventually(SOON, || async {
            let history = market.history().await;
            let withdrawn = history.contains(&"alarm/1 AlarmWithdrawn".to_owned());
            if withdrawn { Ok(()) } else { Err(history) }
        })
        .await;
        market.settle(&loops).await;
        let history = market.history().await;
        assert!(history.contains(&"item/1 RegistrationAbandoned".to_owned()), "{history:?}");
        assert!(!history.contains(&"item/2 RegistrationAbandoned".to_owned()), "{history:?}");
        assert_eq!(market.queries().item(item(1)).await.unwrap(), None);
        assert_eq!(market.queries().alarm(item(1)).await.unwrap(), None);
        assert_eq!(deadlines(&market, "abandonment").await, [""; 0]);
        loops.stop().await;
    }

    async fn repeated_deadline_uses_the_database_clock_when_the_server_is_ahead(db: &TestDb) {
        assert_repeated_deadlines(db, TimeDelta::days(1)).await;
    }

    async fn repeated_deadline_uses_the_database_clock_when_the_server_is_behind(db: &TestDb) {
        assert_repeated_deadlines(db, TimeDelta::days(-1)).await;
    }
}

/// Sets a deadline of a payment that is settled again in an hour, and one of a registration whose abandonment is retried.
async fn assert_repeated_deadlines(db: &TestDb, off: TimeDelta) {
    let market = Market::open(db).await;
    *market.port.clock_off.lock().unwrap() = off;
    let abandons = |outgoing: &OutgoingCommand| {
        matches!(outgoing.command, MarketCommand::Item(_, ItemCommand::AbandonRegistration { .. }))
    };
    market
        .port
        .fail(move |outgoing| abandons(outgoing).then(|| PortError::Retry("not now".to_owned())));
    let settle_again = Duration::from_hours(1);
    let short_deadlines =
        Options { settle_after: SHORT, settle_again, abandon_after: SHORT, ..options() };
    let loops = reserved(&market, &short_deadlines).await;
    market.request_payment(1, 1).await;
    market.alert(2).await;
    let requested = market.store.log().now().await.unwrap();
    for (manager, key, pause) in [
        ("payment_process", "payment/1", settle_again),
        ("abandonment", "item/2", Duration::from_secs(5)),
    ] {
        // The first deadline is shortly after the event that set it.
        let first = requested + 2 * i64::try_from(SHORT.as_micros()).unwrap();
        let due = async || {
            let all = Deadlines::new(market.store.views().clone()).all(manager).await.unwrap();
            let now = market.store.log().now().await.unwrap();
            let row = all.into_iter().find(|deadline| deadline.key == key);
            row.map(|row| (row.due_at, now))
        };
        let (due_at, now) = eventually(SOON, || async {
            match due().await {
                Some((due_at, now)) if now > first && (due_at - first).abs() > 1_000_000 => {
                    Ok((due_at, now))
                }
                other => Err(other),
            }
        })
        .await;
        let expected = now + i64::try_from(pause.as_micros()).unwrap();
        assert!((due_at - expected).abs() < 60_000_000, "{manager}: {due_at} at {now}");
    }
    loops.stop().await;
}
