//! The seed's scenario: registered, reserved, paid, taken back, paid again, lent, brought back,
//! reserved and cancelled, deleted.

use super::Stop;
use super::market::{Ask, Expect, MarketClient};
use super::sentences as say;
use serde_json::{Value, json};

/// The renters of the demo: the highest numbers that a person can have, so that they are nobody's.
const RENTERS: [i64; 3] = [9_007_199_254_740_989, 9_007_199_254_740_990, 9_007_199_254_740_991];
/// What they are called.
const DEMO_NAME: &str = "Demo Renter";

const fn status(status: u16) -> Expect<'static> {
    Expect { status, fields: &[] }
}

const fn with<'a>(status: u16, fields: &'a [(&'a str, Value)]) -> Expect<'a> {
    Expect { status, fields }
}

/// Plays it through; the numbers are the market's own, so it may be played on any market.
pub(super) async fn play(mut market: MarketClient) -> Result<(), Stop> {
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
    let body = market.ask(say::REGISTER, Ask::post("/items", camera), with(201, &fields)).await?;
    let no = number(&body, "itemNo")?;
    let fields = [("/alarmStatus", json!("Alerted"))];
    market.see(say::ALARM, Ask::get(format!("/alarms/{no}")), with(200, &fields)).await?;
    let fields = [("/itemNo", json!(no)), ("/rentalStatus", json!("NotRenting"))];
    market.see(say::INFO, Ask::get(format!("/itemInfoes/{no}")), with(200, &fields)).await?;
    Ok(no)
}

fn reservation(item_no: i64, customer: i64) -> Ask {
    let body = json!({"customerName": DEMO_NAME, "customerId": customer, "itemNo": item_no,
        "itemName": "Camera", "itemPrice": "100", "paymentStatus": "NotPaid",
        "rentalStatus": "NotRenting"});
    Ask::post("/reservations", body)
}

async fn reserve(market: &mut MarketClient, item_no: i64) -> Result<i64, Stop> {
    let fields = [("/status", json!("Reserved")), ("/itemPrice", json!(100))];
    let body =
        market.ask(say::RESERVE, reservation(item_no, RENTERS[0]), with(201, &fields)).await?;
    let no = number(&body, "reservationNo")?;
    let fields = [("/itemStatus", json!("NotRentable")), ("/reservationNo", json!(no))];
    let item = Ask::get(format!("/items/{item_no}"));
    market.see(say::NOT_RENTABLE, item, with(200, &fields)).await?;
    let fields = [("/code", json!("not-paid"))];
    let lend = Ask::patch(format!("/items/{item_no}"), json!({"rentalStatus": "Renting"}));
    market.ask(say::LEND_UNPAID, lend, with(409, &fields)).await?;
    Ok(no)
}

fn payment(reservation_no: i64, status: &str) -> Ask {
    let body = json!({"paymentStatus": status, "itemPrice": 1});
    Ask::patch(format!("/reservations/{reservation_no}"), body)
}

async fn pay_and_take_back(
    market: &mut MarketClient,
    item_no: i64,
    reservation_no: i64,
) -> Result<(), Stop> {
    let paid = [("/paymentStatus", json!("Paid")), ("/totalPrice", json!(100))];
    market.ask(say::PAY, payment(reservation_no, "Paid"), with(200, &paid)).await?;
    let fields = [("/items/0/paymentStatus", json!("Paid")), ("/items/0/itemPrice", json!(100))];
    let payments = Ask::get(format!("/payments?itemNo={item_no}"));
    market.see(say::PAYMENT, payments, with(200, &fields)).await?;
    let fields = [("/paymentStatus", json!("NotPaid")), ("/status", json!("Reserved"))];
    market.ask(say::TAKE_BACK, payment(reservation_no, "NotPaid"), with(200, &fields)).await?;
    let fields = [("/itemStatus", json!("NotRentable"))];
    let item = Ask::get(format!("/items/{item_no}"));
    market.see(say::STILL_HELD, item, with(200, &fields)).await?;
    market.ask(say::PAY_AGAIN, payment(reservation_no, "Paid"), with(200, &paid)).await?;
    Ok(())
}

async fn lend_and_return(
    market: &mut MarketClient,
    item_no: i64,
    reservation_no: i64,
) -> Result<(), Stop> {
    let item = format!("/items/{item_no}");
    let reservation = Ask::get(format!("/reservations/{reservation_no}"));
    let lend = json!({"itemNo": item_no, "reservationNo": reservation_no,
        "itemStatus": "NotRentable", "rentalStatus": "Renting"});
    let fields = [("/rentalStatus", json!("Renting"))];
    market.ask(say::LEND, Ask::patch(&item, lend), with(200, &fields)).await?;
    market.see(say::RENTING, reservation.clone(), with(200, &fields)).await?;
    let fields = [("/code", json!("item-in-use"))];
    market.ask(say::DELETE_LENT, Ask::delete(&item), with(409, &fields)).await?;
    let give_back = json!({"itemNo": item_no, "reservationNo": reservation_no,
        "itemStatus": "Rentable", "rentalStatus": "Returned"});
    let fields = [("/rentalStatus", json!("Returned"))];
    market.ask(say::RETURN, Ask::patch(&item, give_back), with(200, &fields)).await?;
    market.see(say::RETURNED, reservation, with(200, &fields)).await?;
    let fields = [("/itemStatus", json!("Rentable")), ("/reservationNo", Value::Null)];
    market.see(say::FREE, Ask::get(&item), with(200, &fields)).await?;
    Ok(())
}

async fn reserve_again(market: &mut MarketClient, item_no: i64) -> Result<(), Stop> {
    let fields = [("/status", json!("Reserved"))];
    let body = market
        .ask(say::RESERVE_SECOND, reservation(item_no, RENTERS[1]), with(201, &fields))
        .await?;
    let no = number(&body, "reservationNo")?;
    let fields = [("/code", json!("item-taken"))];
    market.ask(say::RESERVE_THIRD, reservation(item_no, RENTERS[2]), with(409, &fields)).await?;
    let fields = [("/status", json!("Cancelled"))];
    let cancel = Ask::delete(format!("/reservations/{no}"));
    market.ask(say::CANCEL, cancel, with(200, &fields)).await?;
    let fields = [("/itemStatus", json!("Rentable")), ("/rentalStatus", json!("NotRenting"))];
    market.see(say::FREE, Ask::get(format!("/items/{item_no}")), with(200, &fields)).await?;
    Ok(())
}

async fn delete(market: &mut MarketClient, item_no: i64) -> Result<(), Stop> {
    market.ask(say::DELETE, Ask::delete(format!("/items/{item_no}")), status(200)).await?;
    market.see(say::GONE, Ask::get(format!("/itemInfoes/{item_no}")), status(404)).await?;
    let fields = [("/alarmStatus", json!("DeleteAlerted"))];
    market
        .see(say::DELETE_ALARM, Ask::get(format!("/alarms/{item_no}")), with(200, &fields))
        .await?;
    Ok(())
}
