//! The payment gateway and the tasks that call it: approved, declined, unknown, late. A task may crash after
//! each of its steps. Settling queries the gateway and never charges.

use crate::market::{Handled, Market, Outcome};
use crate::process_managers::pick;
use gdmarket_domain::payment::AttemptProgress;
use gdmarket_domain::{
    MarketCommand, PaymentCommand, PaymentNo, ReservationCommand, ReservationNo,
};
use std::collections::{BTreeMap, BTreeSet};

/// The task that pays one attempt.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) reservation_no: ReservationNo,
    pub(crate) payment_no: PaymentNo,
    pub(crate) step: TaskStep,
}

#[derive(Debug, Clone)]
pub(crate) enum TaskStep {
    Start,
    Confirm,
    Record(PaymentCommand),
}

/// The gateway's own record of charges and refunds.
#[derive(Debug, Default)]
pub(crate) struct Gateway {
    confirmed: BTreeSet<PaymentNo>,
    pub(crate) charges: BTreeMap<PaymentNo, u32>,
    pub(crate) refunded: BTreeSet<PaymentNo>,
    in_flight: Vec<(ReservationNo, PaymentNo)>,
}

impl Gateway {
    /// Records a confirm; a second one of the same attempt breaks a rule.
    fn confirm(&mut self, payment_no: PaymentNo) -> Outcome {
        if self.confirmed.insert(payment_no) {
            return Ok(());
        }
        Err(format!("attempt {payment_no} was confirmed twice"))
    }

    fn charge(&mut self, payment_no: PaymentNo) {
        *self.charges.entry(payment_no).or_default() += 1;
    }

    pub(crate) fn has_charged(&self, payment_no: PaymentNo) -> bool {
        self.charges.contains_key(&payment_no)
    }

    /// Refunds a charge, which is idempotent by key; a refund without a charge breaks a rule.
    pub(crate) fn refund(&mut self, payment_no: PaymentNo) -> Outcome {
        if !self.has_charged(payment_no) {
            return Err(format!("attempt {payment_no} is refunded and was never charged"));
        }
        self.refunded.insert(payment_no);
        Ok(())
    }
}

impl Market {
    /// Runs one step of some task, or crashes it.
    pub(crate) fn advance_task(&mut self, target: u8, how: u8) -> Outcome {
        let Some(index) = usize::from(target).checked_rem(self.tasks.len()) else { return Ok(()) };
        let task = self.tasks.remove(index);
        if how % 12 == 11 {
            self.trace.push(format!("the task of attempt {} crashes", task.payment_no));
            return Ok(());
        }
        let next = match task.step {
            TaskStep::Start => self.start(&task, how)?,
            TaskStep::Confirm => Some(self.confirm(&task, how)?),
            TaskStep::Record(outcome) => {
                self.record(task.payment_no, outcome)?;
                None
            }
        };
        self.tasks.extend(next.map(|step| Task { step, ..task }));
        Ok(())
    }

    /// Only the task that writes the start calls the gateway. When the gateway can't be reached, the attempt
    /// fails at once.
    fn start(&mut self, task: &Task, how: u8) -> Outcome<Option<TaskStep>> {
        if how % 12 == 10 {
            let failed = ReservationCommand::RecordPaymentFailed {
                payment_no: task.payment_no,
                reason: "unreachable".to_owned(),
                failed_at: self.next_pay_by(),
                pay_within: std::time::Duration::from_hours(1),
            };
            return match self
                .send(None, &MarketCommand::Reservation(task.reservation_no, failed))?
            {
                Handled::Refused(code) => Err(format!("a failed payment refused: {code}")),
                Handled::Done | Handled::NoOp => Ok(None),
            };
        }
        Ok(self.start_attempt(task.payment_no)?.then_some(TaskStep::Confirm))
    }

    /// Whether this call wrote the start.
    fn start_attempt(&mut self, payment_no: PaymentNo) -> Outcome<bool> {
        let attempt =
            self.watch.attempts.get(&payment_no).ok_or("an attempt that was never requested")?;
        let start = PaymentCommand::Start {
            payment_no,
            reservation_no: attempt.reservation_no,
            item_no: attempt.item_no,
            amount: attempt.amount,
        };
        Ok(self.send(None, &MarketCommand::Payment(payment_no, start))? == Handled::Done)
    }

    fn confirm(&mut self, task: &Task, how: u8) -> Outcome<TaskStep> {
        let payment_no = task.payment_no;
        self.gateway.confirm(payment_no)?;
        Ok(TaskStep::Record(match how % 8 {
            0..=4 => {
                self.gateway.charge(payment_no);
                PaymentCommand::RecordApproved
            }
            5 => PaymentCommand::RecordDeclined { reason: "no-cover".to_owned() },
            6 => {
                self.gateway.charge(payment_no);
                PaymentCommand::RecordUnknown
            }
            _ => {
                self.gateway.in_flight.push((task.reservation_no, payment_no));
                PaymentCommand::RecordUnknown
            }
        }))
    }

    fn record(&mut self, payment_no: PaymentNo, outcome: PaymentCommand) -> Outcome {
        match self.send(None, &MarketCommand::Payment(payment_no, outcome))? {
            Handled::Refused(code) => Err(format!("an outcome of {payment_no} refused: {code}")),
            Handled::Done | Handled::NoOp => Ok(()),
        }
    }

    /// A call without an answer charges late, with or without an answer, or never.
    pub(crate) fn charge_late_or_never(&mut self, target: u8, how: u8) {
        let calls = self.gateway.in_flight.len();
        let Some(index) = usize::from(target).checked_rem(calls) else { return };
        let (reservation_no, payment_no) = self.gateway.in_flight.remove(index);
        if !how.is_multiple_of(3) {
            self.trace.push(format!("attempt {payment_no} is charged late"));
            self.gateway.charge(payment_no);
        }
        if how % 3 == 1 {
            let step = TaskStep::Record(PaymentCommand::RecordApproved);
            self.tasks.push(Task { reservation_no, payment_no, step });
        }
    }

    /// Completes every task and every call.
    pub(crate) fn finish_tasks(&mut self) -> Outcome<bool> {
        let any = !self.tasks.is_empty() || !self.gateway.in_flight.is_empty();
        while !self.tasks.is_empty() || !self.gateway.in_flight.is_empty() {
            self.advance_task(0, 6)?;
            self.charge_late_or_never(0, 2);
        }
        Ok(any)
    }

    /// Settles some attempt that is due.
    pub(crate) fn settle_one(&mut self, target: u8) -> Outcome {
        let due: Vec<PaymentNo> = self.to_settle.iter().copied().collect();
        pick(&due, target).map_or(Ok(()), |payment_no| self.settle(payment_no))
    }

    /// Settles all attempts that are due, and those that were declined and charged nevertheless.
    pub(crate) fn settle_all(&mut self) -> Outcome<bool> {
        let declined_and_charged = self.payments.iter().filter(|(payment_no, payment)| {
            payment.progress() == Some(AttemptProgress::Declined)
                && self.gateway.has_charged(**payment_no)
        });
        let mut due: BTreeSet<PaymentNo> = declined_and_charged.map(|(no, _)| *no).collect();
        due.append(&mut self.to_settle);
        for payment_no in &due {
            self.settle(*payment_no)?;
        }
        Ok(!due.is_empty())
    }

    /// Settles one attempt. One that never started is started here, so that no task confirms it later.
    fn settle(&mut self, payment_no: PaymentNo) -> Outcome {
        self.to_settle.remove(&payment_no);
        self.start_attempt(payment_no)?;
        let outcome = if self.gateway.has_charged(payment_no) {
            PaymentCommand::RecordApproved
        } else {
            PaymentCommand::RecordDeclined { reason: "not-found".to_owned() }
        };
        self.record(payment_no, outcome)
    }
}
