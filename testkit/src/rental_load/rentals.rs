//! The rentals of a load.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use rand::RngExt as _;
use serde_json::json;

use super::Mix;
use super::caller::{Caller, Step};
use crate::market_client::Answer;
use crate::request_ledger::WANTED;

/// A rental that has got as far as being reserved.
#[derive(Debug, Clone, Copy)]
struct Rental {
    item: i64,
    reservation: i64,
}

impl Rental {
    fn of_item<'a>(self, name: &'a str, action: &str) -> Step<'a> {
        let path = format!("/items/{}/{action}", self.item);
        Step::post(name, path).with(json!({"reservationNo": self.reservation}))
    }

    fn of_reservation<'a>(self, name: &'a str, action: &str) -> Step<'a> {
        Step::post(name, format!("/reservations/{}/{action}", self.reservation))
    }
}

impl Caller {
    /// Works until it is stopped. `wanted` is the item that all callers want.
    pub(super) async fn work(mut self, stop: &AtomicBool, wanted: &AtomicI64) {
        for round in 0_u32.. {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            match self.options.mix {
                Mix::OwnItems => self.own_item(round).await,
                Mix::Everything => self.any_item(round, wanted).await,
            };
        }
    }

    /// Registers, reserves and pays, then lends and returns, or cancels; some items are deleted at the end. A
    /// rental ends early when the outcome of a step that the next one needs is unknown.
    async fn own_item(&mut self, round: u32) -> Option<()> {
        let item = self.register(round).await?.number("itemNo");
        let reservation = self.reserve(round, "reserve", item).await?.number("reservationNo");
        let rental = Rental { item, reservation };
        if round.is_multiple_of(3) {
            // Refused: the reservation isn't paid yet. Only in rounds that repeat until the outcome is known: a
            // request that is still in flight would lend the item once it is paid.
            self.execute(round, rental.of_item("lend-unpaid", "lend")).await;
        }
        self.execute(round, rental.of_reservation("pay", "payment")).await?;
        if round.is_multiple_of(3) {
            self.execute(round, rental.of_reservation("cancel", "cancel")).await?;
        } else {
            // Refused: the item isn't lent yet. A repeat of this request never returns it.
            self.execute(round, rental.of_item("return-early", "return")).await;
            self.execute(round, rental.of_item("lend", "lend")).await?;
            self.execute(round, rental.of_item("return", "return")).await?;
        }
        if round.is_multiple_of(5) {
            let delete = Step::post("delete", format!("/items/{item}/delete"));
            self.execute(round, delete).await?;
        }
        Some(())
    }

    async fn register(&mut self, round: u32) -> Option<Answer> {
        let body = json!({"itemName": "Camera", "itemPrice": 100});
        let register = Step::post("register", "/items".to_owned()).with(body);
        self.execute(round, Step { nth: 1, ..register }).await
    }

    async fn reserve(&mut self, round: u32, name: &str, item: i64) -> Option<Answer> {
        let body = json!({"customerId": 7, "customerName": "Renter", "itemNo": item});
        let reserve = Step::post(name, "/reservations".to_owned()).with(body);
        self.execute(round, reserve).await
    }

    /// A rental of an item of its own, or of the one that all want.
    async fn any_item(&mut self, round: u32, wanted: &AtomicI64) -> Option<()> {
        let is_own = self.choices.random_bool(0.6);
        let mut item = wanted.load(Ordering::Relaxed);
        // One that is lent and never returned is replaced.
        if is_own || item == 0 || self.choices.random_bool(0.15) {
            let registered = self.register(round).await?;
            item = registered.number("itemNo");
            self.read(&format!("/items/{item}"), &registered).await;
        }
        if !is_own {
            // From now on all want this one, until another is registered for all.
            wanted.store(item, Ordering::Relaxed);
        }
        let name = if is_own { "reserve" } else { WANTED };
        let reserved = self.reserve(round, name, item).await?;
        let rental = Rental { item, reservation: reserved.number("reservationNo") };
        let path = format!("/reservations/{}", rental.reservation);
        self.read(&path, &reserved).await;
        if round.is_multiple_of(3) {
            // Only in rounds that repeat until the outcome is known: it is refused, since nothing is paid.
            self.execute(round, rental.of_item("lend-unpaid", "lend")).await;
        }
        match self.choices.random_range(0..10) {
            0 => {
                let cancel = rental.of_reservation("cancel-unpaid", "cancel");
                self.execute_once_possible(round, cancel).await?;
            }
            // It is left unpaid; the item that all want is given back.
            1 if is_own => {}
            _ => self.paid(round, rental, &path).await?,
        }
        if is_own && self.choices.random_bool(0.3) {
            let delete = Step::post("delete", format!("/items/{item}/delete"));
            self.execute_once_possible(round, delete).await?;
        }
        Some(())
    }

    /// Pays, and goes on in one of the ways that a paid reservation has.
    async fn paid(&mut self, round: u32, rental: Rental, path: &str) -> Option<()> {
        let pay = rental.of_reservation("pay", "payment");
        let paid = self.execute_once_possible(round, pay).await?;
        self.read(path, &paid).await;
        let last = match self.choices.random_range(0..4) {
            0 => {
                let take_back = rental.of_reservation("take-back", "payment/cancel");
                let unpaid = self.execute_once_possible(round, take_back).await?;
                self.read(path, &unpaid).await;
                let cancel = rental.of_reservation("cancel", "cancel");
                self.execute_once_possible(round, cancel).await?
            }
            1 => {
                let cancel = rental.of_reservation("cancel", "cancel");
                self.execute_once_possible(round, cancel).await?
            }
            _ => {
                self.execute_once_possible(round, rental.of_item("lend", "lend")).await?;
                let item = format!("/items/{}", rental.item);
                let back = rental.of_item("return", "return");
                let returned = self.execute_once_possible(round, back).await?;
                self.read(&item, &returned).await;
                return Some(());
            }
        };
        self.read(path, &last).await;
        Some(())
    }
}
