//! Answers of the views: bodies, names, filters, pages, and a row as of an earlier version.

use crate::market::{Market, day, days, item, payment, person, reservation};
use crate::scenario;
use gdmarket_domain::{ItemCommand, Span};
use gdmarket_projections::{Filter, PageRequest, QueryError};
use gdmarket_testkit::on_each_engine;
use serde_json::json;

const ALL: PageRequest = PageRequest { after: 0, limit: 100 };

on_each_engine! {
    async fn every_view_shows_the_scenario(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start();
        scenario::play(&market, &loops).await;
        let queries = market.queries();

        assert_eq!(queries.item(item(1)).await.unwrap(), None, "deleted");
        let info = queries.item_info(item(2)).await.unwrap().unwrap();
        assert_eq!(json!(info.body), json!({
            "itemNo": 2, "itemName": "Camera 2", "itemPrice": 250, "itemStatus": "NotRentable",
            "rentalStatus": "NotRenting", "reservationNo": 4, "ownerId": 11, "customerId": 1004,
            "customerName": null, "alarmStatus": "Alerted",
        }));
        assert_eq!(info.version, market.rows("item_info_v4").await[1].1);

        let done = queries.reservation(reservation(1)).await.unwrap().unwrap();
        assert_eq!(json!(done.body), json!({
            "reservationNo": 1, "customerId": 1001, "customerName": null, "itemNo": 1,
            "itemName": "Camera 1", "itemPrice": 100, "totalPrice": 100, "period": null,
            "status": "Completed", "reason": null, "rentalStatus": "Returned",
            "paymentStatus": "Paid", "payBy": null,
        }));
        let refused = queries.reservation(reservation(6)).await.unwrap().unwrap();
        assert_eq!(json!(refused.body), json!({
            "reservationNo": 6, "customerId": 1006, "customerName": null, "itemNo": 3,
            "itemName": null, "itemPrice": null, "totalPrice": null,
            "period": {"from": "2027-01-12", "to": "2027-01-14"},
            "status": "Rejected", "reason": "item-blocked", "rentalStatus": "NotRenting",
            "paymentStatus": "NotPaid", "payBy": null,
        }));
        let waiting = queries.reservation(reservation(4)).await.unwrap().unwrap();
        assert!(waiting.body.pay_by.is_some(), "{waiting:?}");
        assert_eq!(waiting.body.total_price.unwrap().won(), 750);

        let statuses: Vec<_> = queries.payments(&Filter::default(), ALL).await.unwrap().rows;
        let statuses: Vec<_> = statuses
            .iter()
            .map(|p| format!("{} {}", p.body.status.as_str(), p.body.payment_status.as_str()))
            .collect();
        assert_eq!(statuses, [
            "Cancelled NotPaid", "Approved Paid", "Declined NotPaid", "Cancelled NotPaid",
            "Cancelled NotPaid",
        ]);
        let alarm = queries.alarm(item(1)).await.unwrap().unwrap();
        assert_eq!(json!(alarm.body), json!({
            "alarmNo": 1, "itemNo": 1, "alarmStatus": "DeleteAlerted",
        }));
        loops.stop().await;
    }

    async fn item_shows_its_rental_or_its_earliest_hold(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start();
        market.register(1, Some(10)).await;
        market.reserve(1, 1, days(8, 10)).await;
        market.reserve(2, 1, days(2, 4)).await;
        market.settle(&loops).await;
        let shown = async || {
            let info = market.queries().item_info(item(1)).await.unwrap().unwrap().body;
            (info.item.reservation_no, info.joined.customer_id, info.item.rental_status.as_str())
        };
        let of = |number| (Some(reservation(number)), Some(person(1000 + number)));
        assert_eq!(shown().await, (of(2).0, of(2).1, "NotRenting"), "the earliest hold");
        market.pay(1, 1, 1).await;
        market.settle(&loops).await;
        let lend = ItemCommand::Lend { reservation_no: Some(reservation(1)), today: day(8) };
        market.item(1, lend).await;
        market.settle(&loops).await;
        assert_eq!(shown().await, (of(1).0, of(1).1, "Renting"), "the rental before any hold");
        market.item(1, ItemCommand::Return { reservation_no: None }).await;
        market.settle(&loops).await;
        assert_eq!(shown().await, (of(2).0, of(2).1, "NotRenting"), "the remaining hold");
        market.reservation(2, gdmarket_domain::ReservationCommand::Cancel).await;
        market.settle(&loops).await;
        assert_eq!(shown().await, (None, None, "NotRenting"), "after a release");
        loops.stop().await;
    }

    async fn returned_item_shows_no_customer(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start();
        market.register(1, None).await;
        market.reserve(1, 1, None).await;
        market.settle(&loops).await;
        market.pay(1, 1, 1).await;
        market.settle(&loops).await;
        let reservation_no = None;
        market.item(1, ItemCommand::Lend { reservation_no, today: day(1) }).await;
        market.item(1, ItemCommand::Return { reservation_no }).await;
        market.settle(&loops).await;
        let info = market.queries().item_info(item(1)).await.unwrap().unwrap();
        assert_eq!(json!(info.body), json!({
            "itemNo": 1, "itemName": "Camera 1", "itemPrice": 100, "itemStatus": "Rentable",
            "rentalStatus": "Returned", "reservationNo": null, "ownerId": null,
            "customerId": null, "customerName": null, "alarmStatus": "Alerted",
        }));
        loops.stop().await;
    }

    async fn collections_are_filtered_and_paged_by_number(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start();
        scenario::play(&market, &loops).await;
        let queries = market.queries();
        let numbers = async |filter: &Filter, after, limit| {
            let page = queries.reservations(filter, PageRequest { after, limit }).await.unwrap();
            (page.rows.iter().map(|found| found.number).collect::<Vec<_>>(), page.next)
        };
        let all = Filter::default();
        assert_eq!(numbers(&all, 0, 3).await, (vec![1, 2, 3], Some(3)));
        assert_eq!(numbers(&all, 3, 3).await, (vec![4, 5, 6], Some(6)));
        assert_eq!(numbers(&all, 6, 3).await, (vec![7], None));
        assert_eq!(numbers(&Filter::of_item(2), 0, 9).await.0, [4, 5]);
        let of = |customer_id, owner_id, status: Option<&str>| Filter {
            customer_id, owner_id, status: status.map(str::to_owned), ..Filter::default()
        };
        assert_eq!(numbers(&of(Some(1004), None, None), 0, 9).await.0, [4]);
        assert_eq!(numbers(&of(None, Some(10), None), 0, 9).await.0, [1, 3]);
        assert_eq!(numbers(&of(None, None, Some("Rejected")), 0, 9).await.0, [2, 6, 7]);
        assert_eq!(numbers(&of(None, None, Some("nothing")), 0, 9).await.0, [0_i64; 0]);
        let payments = queries.payments(&of(Some(1005), Some(11), None), ALL).await.unwrap();
        assert_eq!(payments.rows.iter().map(|p| p.number).collect::<Vec<_>>(), [5]);
        let alarms = queries.alarms(&of(None, Some(11), Some("Alerted")), ALL).await.unwrap();
        assert_eq!(alarms.rows.iter().map(|a| a.number).collect::<Vec<_>>(), [2]);
        let items = queries.item_infos(&of(None, None, Some("Rentable")), ALL).await.unwrap();
        assert_eq!(items.rows.iter().map(|i| i.number).collect::<Vec<_>>(), [3]);
        loops.stop().await;
    }

    async fn row_is_read_as_of_any_version_without_views(db: &TestDb) {
        let market = Market::open(db).await;
        market.register(1, Some(10)).await;
        let item_name = Some("Tent".to_owned());
        market.item(1, ItemCommand::Change { item_name, item_price: None }).await;
        market.item(1, ItemCommand::Delete).await;
        let loops = market.start();
        let name = async |version| {
            let found = market.queries().item_at(item(1), version).await.unwrap();
            found.map(|found| (found.body.item_name, found.version))
        };
        for _with_and_without_views in 0..2 {
            assert_eq!(name(1).await, Some(("Camera 1".to_owned(), 1)));
            assert_eq!(name(2).await, Some(("Tent".to_owned(), 2)));
            assert_eq!(name(i64::MAX).await, Some(("Tent".to_owned(), 3)));
            market.settle(&loops).await;
        }
        assert_eq!(market.queries().payment_at(payment(9), i64::MAX).await.unwrap(), None);
        // A written row must never be reported as absent.
        let lost = market.queries().payment_at(payment(9), 1).await.unwrap_err();
        assert!(matches!(lost, QueryError::Unavailable(_)), "{lost}");
        loops.stop().await;
    }

    async fn calendar_shows_days_without_names(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start();
        market.register(1, None).await;
        market.item(1, ItemCommand::BlockPeriod { period: days(4, 6) }).await;
        market.reserve(1, 1, days(2, 4)).await;
        market.reserve(2, 1, days(8, 9)).await;
        market.settle(&loops).await;
        let busy = async |from, to| {
            let found = market.queries().calendar(item(1), from, to, day(1)).await;
            let busy = found.unwrap().unwrap().body.busy;
            assert!(busy.iter().all(|busy| !busy.overdue));
            busy.into_iter().map(|busy| Span { from: busy.from, to: busy.to }).collect::<Vec<_>>()
        };
        let span = |from, to| Span { from: day(from), to: Some(day(to)) };
        assert_eq!(busy(None, None).await, [span(2, 6), span(8, 9)], "adjacent periods are merged");
        assert_eq!(busy(Some(day(6)), None).await, [span(8, 9)]);
        assert_eq!(busy(None, Some(day(8))).await, [span(2, 6)]);
        // A window shows the whole periods that it touches, with their real ends.
        assert_eq!(busy(Some(day(4)), Some(day(5))).await, [span(2, 6)]);
        assert_eq!(busy(Some(day(2)), Some(day(3))).await, [span(2, 6)]);
        assert_eq!(busy(Some(day(6)), Some(day(8))).await, []);
        loops.stop().await;
    }
}
