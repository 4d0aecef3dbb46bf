//! The steps of process managers: each queue is handled in order, a command is decided, its events join the
//! queues of their managers, and the table of refusals gives the meaning of a refusal. Queues of different
//! services are independent; a cause that wrote nothing may be delivered again at any time.

use super::fixtures::{Id, failed_at, minute};
use super::fixtures::{payment_no, reservation_no};
use super::left_out::LeftOut;
use super::model::{Local, Model};
use super::request_state::Lines;
use super::rules;
use crate::processes::refusals::{Code, Meaning, Rule, meaning};
use crate::processes::step::{Reaction, Step};
use gdmarket_domain::{
    HoldCommand, ItemCommand, MarketCommand, MarketEvent, ReservationCommand, ReservationEvent,
};
use std::time::Duration;

type Steps = Vec<(String, Local)>;

impl Model {
    /// The steps that the managers can take for this reservation.
    pub(super) fn of_reactions(&mut self, local: &Local) -> Steps {
        let mut all = vec![];
        for line in Lines::ALL {
            if let Some(cause) = local.request.clone().line(line).first() {
                all.extend(self.deliver(local, line, cause));
            }
        }
        if local.request.refused_for != 0 {
            let mut after = local.clone();
            after.request.refused_for = 0;
            if !after.request.hold_answered || self.left_out == Some(LeftOut::OneHoldAnswer) {
                self.refuse_hold(&mut after);
            }
            all.push(("holding, fenced: HoldRefused".to_owned(), after));
        }
        if local.request.deadline != 0 {
            all.push(self.expire(local));
        }
        all
    }

    /// Redeliveries, which may happen but need not.
    pub(super) fn of_redelivery(&mut self, local: &Local) -> Steps {
        let mut all = vec![];
        let again = local.request.again;
        let Some(local) = &local.mishap(self.bounds) else { return all };
        for cause in again.all() {
            for waiting in self.tables.reactions(cause, &self.events).iter() {
                let Reaction::Do(Step::Send(rule, command)) = &waiting.reaction else { continue };
                if *rule == Rule::Hold {
                    // Both answers leave a receipt.
                    continue;
                }
                let mut after = local.clone();
                if self.execute(&mut after, command) == Ok(true) {
                    after.request.again.forget(cause);
                    all.push((format!("again: {command:?}"), after));
                }
            }
        }
        all
    }

    fn deliver(&mut self, local: &Local, line: Lines, cause: Id) -> Steps {
        let mut after = local.clone();
        after.request.line(line).pop();
        match self.tables.reaction(cause, line, &self.events) {
            row @ (Reaction::SetDeadline { .. } | Reaction::ClearDeadline { .. }) => {
                self.keep_row(&mut after, line, &row);
                vec![(format!("{line:?}: {row:?}"), after)]
            }
            Reaction::Do(Step::Send(rule, command)) => {
                self.send(local, after, (cause, rule, &command))
            }
            Reaction::Do(Step::Refund(number)) => {
                let Lines::Requested(attempt) = line else { panic!("{line:?} refunds {number}") };
                self.refund(local, after, attempt)
            }
            Reaction::Do(Step::Settle(number, _)) => panic!("an event settles {number}"),
        }
    }

    fn keep_row(&mut self, after: &mut Local, line: Lines, reaction: &Reaction) {
        let row = match reaction {
            Reaction::SetDeadline { key, .. }
                if self.left_out == Some(LeftOut::Settling) && is_payment(key) =>
            {
                0
            }
            Reaction::SetDeadline { data, .. } => self.tables.row(data),
            Reaction::ClearDeadline { .. } | Reaction::Do(_) => 0,
        };
        match line {
            Lines::Deadlines => after.request.deadline = row,
            Lines::Requested(attempt) | Lines::Settled(attempt) => {
                after.request.attempts[attempt].settling = row;
            }
            Lines::Holding | Lines::Item | Lines::Hold | Lines::Outcomes(_) => {
                panic!("{line:?} sets a deadline")
            }
        }
    }

    /// `after` is the state without the cause at the head of its queue.
    fn send(
        &mut self,
        local: &Local,
        mut after: Local,
        (cause, rule, command): (Id, Rule, &MarketCommand),
    ) -> Steps {
        let label = format!("{rule:?}: {command:?}");
        if rule == Rule::Hold && local.request.hold_answered {
            return vec![(format!("{label}: done before"), after)];
        }
        if rule == Rule::Release && self.left_out == Some(LeftOut::Release) {
            return vec![(format!("{label}: left out"), after)];
        }
        match self.execute(&mut after, command) {
            Ok(true) => {
                after.request.hold_answered |= rule == Rule::Hold;
                vec![(label, after)]
            }
            Ok(false) => {
                self.remember(&mut after, cause);
                vec![(format!("{label}: no change"), after)]
            }
            Err(code) => match meaning(rule, Code::parse(code)) {
                Meaning::Done => {
                    self.remember(&mut after, cause);
                    vec![(format!("{label}: {code}"), after)]
                }
                Meaning::Park => {
                    after.broken = Some(format!("{label} is parked: {code}"));
                    vec![(label, after)]
                }
                Meaning::Compensate => {
                    self.refuse_hold(&mut after);
                    let mut steps = vec![(format!("{label}: {code}"), after)];
                    // A runner may be fenced between the refusal and its record.
                    if let Some(mut fenced) = local.mishap(self.bounds) {
                        fenced.request.refused_for = cause;
                        steps.push((format!("{label}: {code}, not yet written"), fenced));
                    }
                    steps
                }
            },
        }
    }

    /// A cause that wrote nothing has left no receipt, and a redelivery decides it again.
    fn remember(&self, after: &mut Local, cause: Id) {
        let may_be_redelivered = after.request.mishaps < self.bounds.mishaps[after.index];
        if may_be_redelivered && !after.request.again.remember(cause) {
            after.broken = Some("more may be delivered again than the search can hold".to_owned());
        }
    }

    /// Records the refusal under the command id of the hold.
    fn refuse_hold(&mut self, after: &mut Local) {
        after.request.hold_answered = true;
        let no = reservation_no(after.index);
        let reason = "item-taken".to_owned();
        let refuse =
            HoldCommand::Refuse { reservation_no: no, item_no: super::fixtures::item_no(), reason };
        self.execute(after, &MarketCommand::Hold(no, refuse)).expect("a refusal is never refused");
    }

    /// Fires the deadline; its row is gone whatever the outcome is.
    fn expire(&mut self, local: &Local) -> (String, Local) {
        let key = format!("reservation/{}", reservation_no(local.index));
        let row = local.request.deadline;
        let (step, _) = self.tables.due("reservation_process", &key, row);
        let Step::Send(rule, mut command) = step else { panic!("{step:?}") };
        let stage = self.reservations.state(local.request.reservation).stage();
        if self.left_out == Some(LeftOut::StandingPayBy)
            && let gdmarket_domain::reservation::ReservationStage::Unpaid { pay_by } = stage
        {
            command = MarketCommand::Reservation(
                reservation_no(local.index),
                ReservationCommand::Expire { pay_by },
            );
        }
        let mut after = local.clone();
        after.request.deadline = 0;
        let label = format!("deadline: {command:?}");
        match self.execute(&mut after, &command) {
            Ok(true) if self.is_restarted(local) => {
                after.broken = Some("an older end of the time to pay expires it".to_owned());
            }
            Ok(_) => {}
            Err(code) => assert_eq!(meaning(rule, Code::parse(code)), Meaning::Done, "{code}"),
        }
        (label, after)
    }

    /// Whether a later deadline than the row's waits to be set.
    fn is_restarted(&mut self, local: &Local) -> bool {
        local.request.deadlines.all().any(|cause| {
            match self.tables.reaction(cause, Lines::Deadlines, &self.events) {
                Reaction::SetDeadline { data, .. } => {
                    self.tables.row(&data) != local.request.deadline
                }
                Reaction::ClearDeadline { .. } | Reaction::Do(_) => false,
            }
        })
    }

    /// Decides a command and queues its events for the managers; returns whether there were any.
    pub(super) fn execute(
        &mut self,
        local: &mut Local,
        command: &MarketCommand,
    ) -> Result<bool, &'static str> {
        let before = local.clone();
        let command = &self.without_rules(local, command);
        let events = &mut self.events;
        let (slot, decided) = match command {
            MarketCommand::Item(_, command) => {
                (&mut local.item, self.items.decide(before.item, command, events))
            }
            MarketCommand::Reservation(_, command) => {
                let request = &mut local.request;
                let decided = self.reservations.decide(request.reservation, command, events);
                (&mut request.reservation, decided)
            }
            MarketCommand::Hold(_, command) => {
                let request = &mut local.request;
                (&mut request.hold, self.holds.decide(before.request.hold, command, events))
            }
            MarketCommand::Payment(number, command) => {
                let of = |attempt: &usize| payment_no(before.index, *attempt) == *number;
                let attempt = [0, 1].into_iter().find(of).expect("an attempt of its own");
                let payment = &mut local.request.attempts[attempt].payment;
                let decided = self.payments.decide(*payment, command, events);
                (payment, decided)
            }
            MarketCommand::Alarm(..) => panic!("no alarm rings here"),
        };
        if let Some(code) = decided.refused {
            return Err(code);
        }
        *slot = decided.state;
        for id in decided.events.iter() {
            let broken = rules::on_event(self, &before, local, *id);
            local.broken = local.broken.take().or(broken);
            self.wait(local, *id);
        }
        Ok(!decided.events.is_empty())
    }

    /// Adds an event to the queues of the managers that react to it.
    fn wait(&mut self, local: &mut Local, id: Id) {
        let late = matches!(
            self.events.get(id),
            MarketEvent::Reservation(ReservationEvent::LatePaymentRecorded { .. })
        );
        if late && self.left_out == Some(LeftOut::LateRefund) {
            return;
        }
        for waiting in self.tables.reactions(id, &self.events).iter() {
            assert_eq!(waiting.request, local.index, "a step is one reservation's");
            let is_row = !matches!(waiting.reaction, Reaction::Do(_));
            if is_row && !self.bounds.rows_lag {
                self.keep_row(local, waiting.line, &waiting.reaction);
            } else {
                local.request.line(waiting.line).push(id);
            }
        }
    }

    /// Changes a command to what it would be without the left-out rule.
    fn without_rules(&self, local: &Local, command: &MarketCommand) -> MarketCommand {
        let mut command = command.clone();
        match (self.left_out, &mut command) {
            (
                Some(LeftOut::OwnItem),
                MarketCommand::Item(_, ItemCommand::Hold { renter_id, .. }),
            ) => {
                *renter_id = super::fixtures::person(99);
            }
            (
                Some(LeftOut::Overdue),
                MarketCommand::Item(_, ItemCommand::Hold { asked_on, .. }),
            ) => {
                *asked_on = asked_on.pred_opt().and_then(|day| day.pred_opt()).unwrap();
            }
            (
                Some(LeftOut::PayLimit),
                MarketCommand::Reservation(
                    _,
                    ReservationCommand::RecordPaymentFailed { pay_within, .. },
                ),
            ) => *pay_within = Duration::from_hours(24),
            (
                Some(LeftOut::ItemDecides),
                MarketCommand::Item(_, ItemCommand::RevokeLending { .. }),
            ) => {
                let pay_by = minute(17) + self.tables.options().pay_within;
                let revoked = ReservationCommand::RecordLendingRevoked { pay_by };
                command = MarketCommand::Reservation(reservation_no(local.index), revoked);
            }
            _ => {}
        }
        command
    }

    /// The failure of an attempt that never reached the payment side.
    pub(super) fn failed(&self, local: &Local, attempt: usize) -> MarketCommand {
        let payment_no = payment_no(local.index, attempt);
        let failed = ReservationCommand::RecordPaymentFailed {
            payment_no,
            reason: "payment-unavailable".to_owned(),
            failed_at: failed_at(payment_no.get()).max(minute(0)),
            pay_within: self.tables.options().pay_within,
        };
        MarketCommand::Reservation(reservation_no(local.index), failed)
    }
}

fn is_payment(key: &str) -> bool {
    key.starts_with("payment/")
}
