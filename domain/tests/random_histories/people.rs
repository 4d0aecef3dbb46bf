//! Renters, owners and the clock. Most of their commands are a sensible next step; some are arbitrary.

use crate::market::{Handled, ITEMS, Market, NEVER_REGISTERED, Outcome};
use crate::payment_tasks::{Task, TaskStep};
use crate::process_managers::pick;
use chrono::Days;
use gdmarket_domain::reservation::ReservationStage;
use gdmarket_domain::{
    ItemCommand, ItemNo, MarketCommand, Money, PaymentNo, PersonId, RentalPeriod,
    ReservationCommand, ReservationNo,
};

const MOST_RESERVATIONS: usize = 9;

impl Market {
    /// Sends a person's command, which may be refused, but not as impossible.
    fn send_as_person(&mut self, command: &MarketCommand) -> Outcome<Handled> {
        let handled = self.send(None, command)?;
        self.tally.people.count(handled == Handled::Done);
        if handled == Handled::Refused("impossible") {
            return Err(format!("a person's command was refused as impossible: {command:?}"));
        }
        Ok(handled)
    }

    fn send_to_item(&mut self, item_no: ItemNo, command: ItemCommand) -> Outcome<Handled> {
        self.send_as_person(&MarketCommand::Item(item_no, command))
    }

    fn send_to_reservation(
        &mut self,
        reservation_no: ReservationNo,
        command: ReservationCommand,
    ) -> Outcome<Handled> {
        self.send_as_person(&MarketCommand::Reservation(reservation_no, command))
    }

    /// A new reservation: overlapping, adjacent to or apart from others, or without a period.
    pub(crate) fn reserve(&mut self, target: u8, how: u8) -> Outcome {
        if self.reservations.len() >= MOST_RESERVATIONS {
            return self.next_of_reservation(target, how);
        }
        let number = i64::try_from(self.reservations.len()).unwrap() + 1;
        let reservation_no = ReservationNo::new(number).unwrap();
        let item = match target % 16 {
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
        self.send_to_reservation(reservation_no, reserve).map(drop)
    }

    /// A sensible next command of the renter or owner of some reservation.
    pub(crate) fn next_of_reservation(&mut self, target: u8, how: u8) -> Outcome {
        let Some((reservation_no, item_no, stage)) = self.some_reservation(target) else {
            return Ok(());
        };
        match stage {
            ReservationStage::Unpaid { .. } if how.is_multiple_of(8) => {
                self.send_to_reservation(reservation_no, ReservationCommand::Cancel).map(drop)
            }
            ReservationStage::Unpaid { .. } => self.pay(reservation_no),
            ReservationStage::Paid { .. } => match how % 8 {
                0..=4 => self.lend(item_no, reservation_no, how),
                5 => self.send_to_reservation(reservation_no, ReservationCommand::Cancel).map(drop),
                _ => self
                    .send_to_reservation(
                        reservation_no,
                        ReservationCommand::RequestPaymentCancellation,
                    )
                    .map(drop),
            },
            ReservationStage::CancellationPending { .. } => self.lend(item_no, reservation_no, how),
            ReservationStage::Renting { .. } => {
                let named = (how.is_multiple_of(2)).then_some(reservation_no);
                self.send_to_item(item_no, ItemCommand::Return { reservation_no: named }).map(drop)
            }
            ReservationStage::New
            | ReservationStage::Requested
            | ReservationStage::PaymentOpen { .. }
            | ReservationStage::Completed { .. }
            | ReservationStage::Rejected
            | ReservationStage::Cancelled
            | ReservationStage::Expired => self.deliver(target, how),
        }
    }

    /// An arbitrary command for some reservation.
    pub(crate) fn arbitrary_of_reservation(&mut self, target: u8, how: u8) -> Outcome {
        let Some((reservation_no, item_no, _)) = self.some_reservation(target) else {
            return Ok(());
        };
        match how % 6 {
            0 => self.send_to_reservation(reservation_no, ReservationCommand::Cancel).map(drop),
            1 => self.pay(reservation_no),
            2 => {
                let cancel = ReservationCommand::RequestPaymentCancellation;
                self.send_to_reservation(reservation_no, cancel).map(drop)
            }
            3 => {
                let today = self.today();
                let named = Some(reservation_no);
                self.send_to_item(item_no, ItemCommand::Lend { reservation_no: named, today })
                    .map(drop)
            }
            4 => {
                let today = self.today();
                self.send_to_item(item_no, ItemCommand::Lend { reservation_no: None, today })
                    .map(drop)
            }
            _ => {
                let named = Some(reservation_no);
                self.send_to_item(item_no, ItemCommand::Return { reservation_no: named }).map(drop)
            }
        }
    }

    /// A command of an owner, or a day that passes.
    pub(crate) fn command_of_owner(&mut self, target: u8, how: u8) -> Outcome {
        let Some((number, _)) = pick(&ITEMS, target) else { return Ok(()) };
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
                item_price: Money::price(i64::from(target) + 1).ok(),
            },
            10..=12 => ItemCommand::BlockPeriod { period },
            13 | 14 => ItemCommand::UnblockPeriod { period },
            _ => ItemCommand::Delete,
        };
        self.send_to_item(item_no, command).map(drop)
    }

    /// Reaches some deadline to pay; its row is removed whatever the answer is.
    pub(crate) fn fire_deadline(&mut self, target: u8) -> Outcome {
        let rows: Vec<_> = self.deadlines.iter().copied().collect();
        let Some((reservation_no, pay_by)) = pick(&rows, target) else { return Ok(()) };
        self.deadlines.remove(&(reservation_no, pay_by));
        self.send_to_reservation(reservation_no, ReservationCommand::Expire { pay_by }).map(drop)
    }

    fn some_reservation(&self, target: u8) -> Option<(ReservationNo, ItemNo, ReservationStage)> {
        let all: Vec<ReservationNo> = self.reservations.keys().copied().collect();
        let reservation_no = pick(&all, target)?;
        let reservation = self.reservations.get(&reservation_no)?;
        Some((reservation_no, reservation.request()?.item_no, reservation.stage()))
    }

    fn pay(&mut self, reservation_no: ReservationNo) -> Outcome {
        let number = i64::try_from(self.watch.attempts.len()).unwrap() + 1;
        let payment_no = PaymentNo::new(number).unwrap();
        let pay = ReservationCommand::RequestPayment { payment_no };
        if self.send_to_reservation(reservation_no, pay)? == Handled::Done {
            self.tasks.push(Task { reservation_no, payment_no, step: TaskStep::Start });
        }
        Ok(())
    }

    /// Lends, in most cases not before the first day.
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
        self.send_to_item(item_no, lend).map(drop)
    }
}
