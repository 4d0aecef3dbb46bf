//! The steps of renters and the owner, and the passing of days.

use super::fixtures::{Id, OWNER, day, item_no, owner, payment_no, person, reservation_no};
use super::left_out::LeftOut;
use super::model::{Local, Model};
use super::request_state::Task;
use gdmarket_domain::{ItemCommand, MarketCommand, Money, RentalPeriod, ReservationCommand};

impl Model {
    /// The item at the beginning of a search.
    pub(super) fn registered(&mut self) -> Id {
        let register = ItemCommand::Register {
            item_no: item_no(),
            owner_id: Some(owner()),
            item_name: "Camera".to_owned(),
            item_price: Money::price(100).unwrap(),
        };
        self.items.decide(0, &register, &mut self.events).state
    }

    /// The steps that people may take with this reservation and its item.
    pub(super) fn of_people(&mut self, local: &Local) -> Vec<(String, Local)> {
        let mut all = vec![];
        if local.request.reservation == 0 {
            if local.index >= self.bounds.requests {
                return all;
            }
            let commands = requests(local);
            let tried = commands.into_iter().map(|command| self.ask(local, command));
            return tried.flatten().collect();
        }
        let mut commands = vec![ReservationCommand::Cancel];
        if local.request.opened < self.bounds.attempts[local.index] {
            let attempt = usize::from(local.request.opened);
            let payment_no = payment_no(local.index, attempt);
            commands.push(ReservationCommand::RequestPayment { payment_no });
        }
        commands.push(ReservationCommand::RequestPaymentCancellation);
        for command in commands {
            all.extend(self.ask(local, command));
        }
        let named = Some(reservation_no(local.index));
        let lend = ItemCommand::Lend { reservation_no: named, today: day(local.today) };
        for command in [lend, ItemCommand::Return { reservation_no: named }] {
            all.extend(self.ask_item(local, command));
        }
        all
    }

    /// The steps of the item that don't depend on a reservation; once per state.
    pub(super) fn of_chance(&mut self, local: &Local) -> Vec<(String, Local)> {
        if local.index != 0 {
            return vec![];
        }
        let mut all = vec![];
        if local.today < self.bounds.last_day {
            let tomorrow = Local { today: local.today + 1, ..local.clone() };
            all.push((format!("day {} begins", tomorrow.today), tomorrow));
        }
        all.extend(self.ask_item(local, ItemCommand::Delete));
        all
    }

    fn ask(&mut self, local: &Local, command: ReservationCommand) -> Option<(String, Local)> {
        let mut after = local.clone();
        let label = format!("requests: {command:?}");
        let opens = matches!(command, ReservationCommand::RequestPayment { .. });
        let command = MarketCommand::Reservation(reservation_no(local.index), command);
        let wrote = self.execute(&mut after, &command).ok()?;
        if opens && wrote {
            after.request.attempts[usize::from(after.request.opened)].task = Task::Starting;
            after.request.opened += 1;
        }
        wrote.then_some((label, after))
    }

    fn ask_item(&mut self, local: &Local, command: ItemCommand) -> Option<(String, Local)> {
        let mut after = local.clone();
        let label = format!("requests: {command:?}");
        let command = MarketCommand::Item(item_no(), self.as_if_of_the_last_day(local, command));
        let wrote = self.execute(&mut after, &command).ok()?;
        wrote.then_some((label, after))
    }

    /// Without the rule of the last day, every day after it counts as the last day.
    fn as_if_of_the_last_day(&self, local: &Local, command: ItemCommand) -> ItemCommand {
        let ItemCommand::Lend { reservation_no, today } = command else { return command };
        let item = self.items.state(local.item);
        let to = reservation_no.and_then(|no| item.hold_of(no)).and_then(|hold| hold.span.to);
        let last = to.and_then(|to| to.pred_opt()).filter(|last| *last < today);
        let today =
            if self.left_out == Some(LeftOut::LastDay) { last.unwrap_or(today) } else { today };
        ItemCommand::Lend { reservation_no, today }
    }
}

/// The first reservation is requested on the first day, for that day or until returned; the second one for
/// the day of its request, the day after or until returned, or by the owner.
fn requests(local: &Local) -> Vec<ReservationCommand> {
    let renter = 11 + i64::try_from(local.index).unwrap();
    let today = local.today;
    let days = |from: u8| RentalPeriod::new(day(from), day(from + 1)).ok();
    if local.index == 0 && today > 1 {
        return vec![];
    }
    let mut requested = vec![(renter, days(today)), (renter, None)];
    if local.index == 1 {
        requested.extend([(renter, days(today + 1)), (OWNER, days(today))]);
    }
    let reserve = |(renter, period)| ReservationCommand::Reserve {
        reservation_no: reservation_no(local.index),
        item_no: item_no(),
        renter_id: person(renter),
        period,
        asked_on: day(today),
    };
    requested.into_iter().map(reserve).collect()
}
