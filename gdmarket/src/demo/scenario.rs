//! The scenario of the demo: register, reserve, pay, take the payment back, pay again, lend, return, reserve and
//! cancel, delete.

use super::Stop;
use super::market::{Expect, MarketClient, Request};
use super::sentences as say;
use serde_json::{Value, json};

/// The renters of the demo: the highest numbers that a person can have, so that they belong to no real person.
const RENTERS: [i64; 3] = [9_007_199_254_740_989, 9_007_199_254_740_990, 9_007_199_254_740_991];
/// The name of the renters.
const DEMO_NAME: &str = "Demo Renter";

const fn status(status: u16) -> Expect<'static> {
    Expect { status, fields: &[] }
}

const fn with<'a>(status: u16, fields: &'a [(&'a str, Value)]) -> Expect<'a> {
    Expect { status, fields }
}

/// Runs the scenario. The market allocates the numbers, so it runs on any market.
pub(super) async fn run(mut market: MarketClient) -> Result<(), Stop> {
    market.announce(say::WRITES, &RENTERS);
    let item_no = register(&mut market).await?;
    let reservation_no = reserve(&mut market, item_no).await?;
    pay_and_take_back(&mut market, item_no, reservation_no).await?;
    lend_and_return(&mut market, item_no, reservation_no).await?;
    reserve_again(&mut market, item_no).await?;
    delete(&mut market, item_no).await?;
    market.close(say::DONE);
    Ok(())
}

fn number(body: &Value, field: &str) -> Result<i64, Stop> {
    body.get(field)
        .and_then(Value::as_i64)
        .ok_or_else(|| Stop::Differs(format!("the answer has no {field}")))
}

async fn register(market: &mut MarketClient) -> Result<i64, Stop> {
    let camera = json!({"itemName": "Camera", "itemPrice": "100",
        "itemStatus": "Rentable", "rentalStatus": "NotRenting"});
    let fields = [("/itemName", json!("Camera")), ("/itemStatus", json!("Rentable"))];
    let body =
        market.send(say::REGISTER, Request::post("/items", camera), with(201, &fields)).await?;
    let no = number(&body, "itemNo")?;
    let fields = [("/alarmStatus", json!("Alerted"))];
    market
        .await_answer(say::ALARM, Request::get(format!("/alarms/{no}")), with(200, &fields))
        .await?;
    let fields = [("/itemNo", json!(no)), ("/rentalStatus", json!("NotRenting"))];
    market
        .await_answer(say::INFO, Request::get(format!("/itemInfoes/{no}")), with(200, &fields))
        .await?;
    Ok(no)
}

fn reservation(item_no: i64, customer: i64) -> Request {
    let body = json!({"customerName": DEMO_NAME, "customerId": customer, "itemNo": item_no,
        "itemName": "Camera", "itemPrice": "100", "paymentStatus": "NotPaid",
        "rentalStatus": "NotRenting"});
    Request::post("/reservations", body)
}

async fn reserve(market: &mut MarketClient, item_no: i64) -> Result<i64, Stop> {
    let fields = [("/status", json!("Reserved")), ("/itemPrice", json!(100))];
    let body =
        market.send(say::RESERVE, reservation(item_no, RENTERS[0]), with(201, &fields)).await?;
    let no = number(&body, "reservationNo")?;
    let fields = [("/itemStatus", json!("NotRentable")), ("/reservationNo", json!(no))];
    let item = Request::get(format!("/items/{item_no}"));
    market.await_answer(say::NOT_RENTABLE, item, with(200, &fields)).await?;
    let fields = [("/code", json!("not-paid"))];
    let lend = Request::patch(format!("/items/{item_no}"), json!({"rentalStatus": "Renting"}));
    market.send(say::LEND_UNPAID, lend, with(409, &fields)).await?;
    Ok(no)
}

fn payment(reservation_no: i64, status: &str) -> Request {
    let body = json!({"paymentStatus": status, "itemPrice": 1});
    Request::patch(format!("/reservations/{reservation_no}"), body)
}

async fn pay_and_take_back(
    market: &mut MarketClient,
    item_no: i64,
    reservation_no: i64,
) -> Result<(), Stop> {
    let paid = [("/paymentStatus", json!("Paid")), ("/totalPrice", json!(100))];
    market.send(say::PAY, payment(reservation_no, "Paid"), with(200, &paid)).await?;
    let fields = [("/items/0/paymentStatus", json!("Paid")), ("/items/0/itemPrice", json!(100))];
    let payments = Request::get(format!("/payments?itemNo={item_no}"));
    market.await_answer(say::PAYMENT, payments, with(200, &fields)).await?;
    let fields = [("/paymentStatus", json!("NotPaid")), ("/status", json!("Reserved"))];
    market.send(say::TAKE_BACK, payment(reservation_no, "NotPaid"), with(200, &fields)).await?;
    let fields = [("/itemStatus", json!("NotRentable"))];
    let item = Request::get(format!("/items/{item_no}"));
    market.await_answer(say::STILL_HELD, item, with(200, &fields)).await?;
    market.send(say::PAY_AGAIN, payment(reservation_no, "Paid"), with(200, &paid)).await?;
    Ok(())
}

async fn lend_and_return(
    market: &mut MarketClient,
    item_no: i64,
    reservation_no: i64,
) -> Result<(), Stop> {
    let item = format!("/items/{item_no}");
    let reservation = Request::get(format!("/reservations/{reservation_no}"));
    let lend = json!({"itemNo": item_no, "reservationNo": reservation_no,
        "itemStatus": "NotRentable", "rentalStatus": "Renting"});
    let fields = [("/rentalStatus", json!("Renting"))];
    market.send(say::LEND, Request::patch(&item, lend), with(200, &fields)).await?;
    market.await_answer(say::RENTING, reservation.clone(), with(200, &fields)).await?;
    let fields = [("/code", json!("item-in-use"))];
    market.send(say::DELETE_LENT, Request::delete(&item), with(409, &fields)).await?;
    let give_back = json!({"itemNo": item_no, "reservationNo": reservation_no,
        "itemStatus": "Rentable", "rentalStatus": "Returned"});
    let fields = [("/rentalStatus", json!("Returned"))];
    market.send(say::RETURN, Request::patch(&item, give_back), with(200, &fields)).await?;
    market.await_answer(say::RETURNED, reservation, with(200, &fields)).await?;
    let fields = [("/itemStatus", json!("Rentable")), ("/reservationNo", Value::Null)];
    market.await_answer(say::FREE, Request::get(&item), with(200, &fields)).await?;
    Ok(())
}

async fn reserve_again(market: &mut MarketClient, item_no: i64) -> Result<(), Stop> {
    let fields = [("/status", json!("Reserved"))];
    let body = market
        .send(say::RESERVE_SECOND, reservation(item_no, RENTERS[1]), with(201, &fields))
        .await?;
    let no = number(&body, "reservationNo")?;
    let fields = [("/code", json!("item-taken"))];
    market.send(say::RESERVE_THIRD, reservation(item_no, RENTERS[2]), with(409, &fields)).await?;
    let fields = [("/status", json!("Cancelled"))];
    let cancel = Request::delete(format!("/reservations/{no}"));
    market.send(say::CANCEL, cancel, with(200, &fields)).await?;
    let fields = [("/itemStatus", json!("Rentable")), ("/rentalStatus", json!("NotRenting"))];
    market
        .await_answer(say::FREE, Request::get(format!("/items/{item_no}")), with(200, &fields))
        .await?;
    Ok(())
}

async fn delete(market: &mut MarketClient, item_no: i64) -> Result<(), Stop> {
    market.send(say::DELETE, Request::delete(format!("/items/{item_no}")), status(200)).await?;
    market
        .await_answer(say::GONE, Request::get(format!("/itemInfoes/{item_no}")), status(404))
        .await?;
    let fields = [("/alarmStatus", json!("DeleteAlerted"))];
    market
        .await_answer(
            say::DELETE_ALARM,
            Request::get(format!("/alarms/{item_no}")),
            with(200, &fields),
        )
        .await?;
    Ok(())
}
