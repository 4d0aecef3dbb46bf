//! Renters and owners, and the clock: what they ask for is mostly what makes sense next, and now and
//! then anything at all.

use crate::market::{Handled, ITEMS, Market, NEVER_REGISTERED, Outcome};
use crate::outside::{Task, TaskStep};
use crate::reactions::pick;
use chrono::Days;
use gdmarket_domain::reservation::ReservationStage;
use gdmarket_domain::{
    ItemCommand, ItemNo, MarketCommand, Money, PaymentNo, PersonId, RentalPeriod,
    ReservationCommand, ReservationNo,
};

const MOST_RESERVATIONS: usize = 9;

impl Market {
    /// A person's command: it may be refused, but never as something that can't be.
    fn ask(&mut self, command: &MarketCommand) -> Outcome<Handled> {
        let handled = self.send(None, command)?;
        self.tally.people.count(handled == Handled::Done);
        if handled == Handled::Refused("impossible") {
            return Err(format!("a person met the impossible: {command:?}"));
        }
        Ok(handled)
    }

    fn ask_item(&mut self, item_no: ItemNo, command: ItemCommand) -> Outcome<Handled> {
        self.ask(&MarketCommand::Item(item_no, command))
    }

    fn ask_reservation(
        &mut self,
        reservation_no: ReservationNo,
        command: ReservationCommand,
    ) -> Outcome<Handled> {
        self.ask(&MarketCommand::Reservation(reservation_no, command))
    }

    /// A new wish: overlapping, adjacent or apart from others, or without a period.
    pub(crate) fn reserve(&mut self, whom: u8, how: u8) -> Outcome {
        if self.reservations.len() >= MOST_RESERVATIONS {
            return self.next_of_reservation(whom, how);
        }
        let number = i64::try_from(self.reservations.len()).unwrap() + 1;
        let reservation_no = ReservationNo::new(number).unwrap();
        let item = match whom % 16 {
            0..=9 => 1,
            10..=14 => 2,
            _ => NEVER_REGISTERED,
        };
        let asked_on = self.today();
        let from = asked_on + Days::new(u64::from(how % 4));
        let to = from + Days::new(1 + u64::from(how / 4 % 3));
        let reserve = ReservationCommand::Reserve {
            reservation_no,
            item_no: ItemNo::new(item).unwrap(),
            renter_id: PersonId::new(number + 100).unwrap(),
            period: (how < 224).then(|| RentalPeriod::new(from, to).unwrap()),
            asked_on,
        };
        self.ask_reservation(reservation_no, reserve).map(drop)
    }

    /// What a renter or owner would do next with some reservation.
    pub(crate) fn next_of_reservation(&mut self, whom: u8, how: u8) -> Outcome {
        let Some((reservation_no, item_no, stage)) = self.some_reservation(whom) else {
            return Ok(());
        };
        match stage {
            ReservationStage::Unpaid { .. } if how.is_multiple_of(8) => {
                self.ask_reservation(reservation_no, ReservationCommand::Cancel).map(drop)
            }
            ReservationStage::Unpaid { .. } => self.pay(reservation_no),
            ReservationStage::Paid { .. } => match how % 8 {
                0..=4 => self.lend(item_no, reservation_no, how),
                5 => self.ask_reservation(reservation_no, ReservationCommand::Cancel).map(drop),
                _ => self
                    .ask_reservation(reservation_no, ReservationCommand::RequestPaymentCancellation)
                    .map(drop),
            },
            ReservationStage::CancellationPending { .. } => self.lend(item_no, reservation_no, how),
            ReservationStage::Renting { .. } => {
                let named = (how.is_multiple_of(2)).then_some(reservation_no);
                self.ask_item(item_no, ItemCommand::Return { reservation_no: named }).map(drop)
            }
            ReservationStage::New
            | ReservationStage::Requested
            | ReservationStage::PaymentOpen { .. }
            | ReservationStage::Completed { .. }
            | ReservationStage::Rejected
            | ReservationStage::Cancelled
            | ReservationStage::Expired => self.deliver(whom, how),
        }
    }

    /// Anything at all with some reservation.
    pub(crate) fn anything_of_reservation(&mut self, whom: u8, how: u8) -> Outcome {
        let Some((reservation_no, item_no, _)) = self.some_reservation(whom) else {
            return Ok(());
        };
        match how % 6 {
            0 => self.ask_reservation(reservation_no, ReservationCommand::Cancel).map(drop),
            1 => self.pay(reservation_no),
            2 => {
                let cancel = ReservationCommand::RequestPaymentCancellation;
                self.ask_reservation(reservation_no, cancel).map(drop)
            }
            3 => {
                let today = self.today();
                let named = Some(reservation_no);
                self.ask_item(item_no, ItemCommand::Lend { reservation_no: named, today }).map(drop)
            }
            4 => {
                let today = self.today();
                self.ask_item(item_no, ItemCommand::Lend { reservation_no: None, today }).map(drop)
            }
            _ => {
                let named = Some(reservation_no);
                self.ask_item(item_no, ItemCommand::Return { reservation_no: named }).map(drop)
            }
        }
    }

    /// The owner's own business; it is sometimes only that days pass.
    pub(crate) fn something_of_owner(&mut self, whom: u8, how: u8) -> Outcome {
        let Some((number, _)) = pick(&ITEMS, whom) else { return Ok(()) };
        let item_no = ItemNo::new(number).unwrap();
        let from = self.today() + Days::new(u64::from(how % 8));
        let period = RentalPeriod::new(from, from + Days::new(1 + u64::from(how % 3))).unwrap();
        let command = match how % 16 {
            0..=6 => {
                self.pass_days(1);
                return Ok(());
            }
            7..=9 => ItemCommand::Change {
                item_name: None,
                item_price: Money::price(i64::from(whom) + 1).ok(),
            },
            10..=12 => ItemCommand::BlockPeriod { period },
            13 | 14 => ItemCommand::UnblockPeriod { period },
            _ => ItemCommand::Delete,
        };
        self.ask_item(item_no, command).map(drop)
    }

    /// Some end of the time to pay is reached; whatever the answer, the row is gone.
    pub(crate) fn fire_deadline(&mut self, whom: u8) -> Outcome {
        let rows: Vec<_> = self.deadlines.iter().copied().collect();
        let Some((reservation_no, pay_by)) = pick(&rows, whom) else { return Ok(()) };
        self.deadlines.remove(&(reservation_no, pay_by));
        self.ask_reservation(reservation_no, ReservationCommand::Expire { pay_by }).map(drop)
    }

    fn some_reservation(&self, whom: u8) -> Option<(ReservationNo, ItemNo, ReservationStage)> {
        let all: Vec<ReservationNo> = self.reservations.keys().copied().collect();
        let reservation_no = pick(&all, whom)?;
        let reservation = self.reservations.get(&reservation_no)?;
        Some((reservation_no, reservation.request()?.item_no, reservation.stage()))
    }

    fn pay(&mut self, reservation_no: ReservationNo) -> Outcome {
        let number = i64::try_from(self.watch.attempts.len()).unwrap() + 1;
        let payment_no = PaymentNo::new(number).unwrap();
        let pay = ReservationCommand::RequestPayment { payment_no };
        if self.ask_reservation(reservation_no, pay)? == Handled::Done {
            self.tasks.push(Task { reservation_no, payment_no, step: TaskStep::Start });
        }
        Ok(())
    }

    /// Mostly the owner waits for the first day.
    fn lend(&mut self, item_no: ItemNo, reservation_no: ReservationNo, how: u8) -> Outcome {
        let first = self
            .items
            .get(&item_no)
            .and_then(|item| item.hold_of(reservation_no))
            .map_or_else(|| self.today(), |hold| hold.span.from);
        let wait = u64::try_from((first - self.today()).num_days()).unwrap_or(0);
        if how % 16 != 1 {
            self.pass_days(wait);
        }
        let today = self.today();
        let lend = ItemCommand::Lend { reservation_no: Some(reservation_no), today };
        self.ask_item(item_no, lend).map(drop)
    }
}
