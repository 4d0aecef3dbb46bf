//! The gateway, the tasks that call it, settling and refunding: the steps of the payment service. A crash may
//! follow each of them.

use super::fixtures::{item_no, payment_no, reservation_no};
use super::left_out::LeftOut;
use super::model::{Local, Model};
use super::request_state::{AttemptState, Task};
use crate::processes::step::Step;
use gdmarket_domain::payment::{AttemptProgress, NOT_FOUND};
use gdmarket_domain::reservation::ReservationStage;
use gdmarket_domain::{MarketCommand, PaymentCommand};

type Steps = Vec<(String, Local)>;

impl Model {
    /// The next steps of the payment side, which happen eventually.
    pub(super) fn of_outside(&mut self, local: &Local) -> Steps {
        let mut all = vec![];
        for attempt in 0..usize::from(local.request.opened) {
            let AttemptState { task, settling, .. } = local.request.attempts[attempt];
            match task {
                Task::None => {}
                Task::Starting => all.extend(self.start(local, attempt)),
                Task::Calling => all.extend(self.call(local, attempt)),
            }
            if settling != 0 {
                all.extend(self.settle(local, attempt));
            }
        }
        all
    }

    /// Crashes, late charges and repeats, which may happen but need not.
    pub(super) fn of_mishaps(&mut self, local: &Local) -> Steps {
        let mut all = vec![];
        for attempt in 0..usize::from(local.request.opened) {
            let now = local.request.attempts[attempt];
            let with = |change: &dyn Fn(&mut AttemptState)| {
                let mut after = local.clone();
                change(&mut after.request.attempts[attempt]);
                after
            };
            if now.task == Task::Starting
                && let Some(mut crashed) = local.mishap(self.bounds)
            {
                crashed.request.attempts[attempt].task = Task::None;
                all.push((format!("a crash before attempt {attempt} starts"), crashed));
            }
            if now.in_flight {
                let landed = with(&|a| (a.in_flight, a.charges) = (false, a.charges + 1));
                all.push((format!("attempt {attempt} is charged late"), landed));
            }
            if now.task == Task::None
                && self.is_open(local, attempt)
                && let Some(mut repeated) = local.mishap(self.bounds)
            {
                repeated.request.attempts[attempt].task = Task::Starting;
                all.push((format!("the request for attempt {attempt} is repeated"), repeated));
            }
        }
        all
    }

    /// Whether the log has no end of this attempt, so that a repeat of the request continues it.
    fn is_open(&self, local: &Local, attempt: usize) -> bool {
        let stage = self.reservations.state(local.request.reservation).stage();
        stage == ReservationStage::PaymentOpen { payment_no: payment_no(local.index, attempt) }
    }

    fn record(&mut self, local: &mut Local, attempt: usize, command: PaymentCommand) -> bool {
        let number = payment_no(local.index, attempt);
        let label = format!("{command:?}");
        match self.execute(local, &MarketCommand::Payment(number, command)) {
            Ok(wrote) => wrote,
            Err(code) => {
                local.broken = Some(format!("{label} of attempt {attempt} is refused: {code}"));
                false
            }
        }
    }

    fn start_command(&self, local: &Local, attempt: usize) -> PaymentCommand {
        let reservation = self.reservations.state(local.request.reservation);
        PaymentCommand::Start {
            payment_no: payment_no(local.index, attempt),
            reservation_no: reservation_no(local.index),
            item_no: item_no(),
            amount: reservation.terms().expect("what is paid was granted").total_price,
        }
    }

    /// Starts the attempt, or finds it started and only waits; or the payment side can't be reached.
    fn start(&mut self, local: &Local, attempt: usize) -> Steps {
        let mut started = local.clone();
        let command = self.start_command(local, attempt);
        let wrote = self.record(&mut started, attempt, command);
        let calls = wrote || self.left_out == Some(LeftOut::OneConfirm);
        started.request.attempts[attempt].task = if calls { Task::Calling } else { Task::None };
        if !wrote {
            return vec![(format!("attempt {attempt} is found started"), started)];
        }
        let mut unreachable = local.clone();
        unreachable.request.attempts[attempt].task = Task::None;
        let failed = self.failed(local, attempt);
        self.execute(&mut unreachable, &failed).expect("a fact is never refused");
        vec![
            (format!("attempt {attempt} starts"), started),
            (format!("attempt {attempt} can't be started"), unreachable),
        ]
    }

    /// Each outcome of the call; an answer that doesn't fit the request is unknown, too. This gateway charges at
    /// each call: that there is one call per attempt is the market's own guarantee.
    fn call(&mut self, local: &Local, attempt: usize) -> Steps {
        let outcome = |charged: bool, in_flight: bool| {
            let mut after = local.clone();
            let now = &mut after.request.attempts[attempt];
            (now.task, now.in_flight) = (Task::None, in_flight);
            now.charges += u8::from(charged);
            after
        };
        let declined = PaymentCommand::RecordDeclined { reason: "no-cover".to_owned() };
        let mut all = vec![
            ("approved", outcome(true, false), Some(PaymentCommand::RecordApproved)),
            ("declined", outcome(false, false), Some(declined)),
        ];
        let unsure = [(true, false), (false, false), (false, true)];
        for (charged, in_flight) in
            unsure.into_iter().filter(|_| self.bounds.is_unsure[local.index])
        {
            let after = outcome(charged, in_flight);
            all.push(("unknown", after.clone(), Some(PaymentCommand::RecordUnknown)));
            if let Some(crashed) = after.mishap(self.bounds) {
                all.push(("a crash", crashed, None));
            }
        }
        let mut steps = vec![];
        for (what, mut after, fact) in all {
            if let Some(fact) = fact {
                self.record(&mut after, attempt, fact);
            }
            let AttemptState { charges, in_flight, .. } = after.request.attempts[attempt];
            let label =
                format!("attempt {attempt}: {what} (charges {charges}, in flight {in_flight})");
            steps.push((label, after));
        }
        steps
    }

    /// Queries the gateway, and never charges. At the last query no call is delayed any more.
    fn settle(&mut self, local: &Local, attempt: usize) -> Steps {
        let number = payment_no(local.index, attempt);
        let row = local.request.attempts[attempt].settling;
        let (step, again) = self.tables.due("payment_process", &format!("payment/{number}"), row);
        assert!(matches!(step, Step::Settle(settled, _) if settled == number));
        let is_last = again == 0;
        if is_last && local.request.attempts[attempt].task == Task::Calling {
            return vec![];
        }
        let mut after = local.clone();
        let mut steps = vec![];
        if self.progress(&after, attempt).is_none() {
            let command = self.start_command(local, attempt);
            self.record(&mut after, attempt, command);
            if let Some(crashed) = after.mishap(self.bounds) {
                steps.push((format!("settling starts attempt {attempt}, then a crash"), crashed));
            }
        }
        let now = &mut after.request.attempts[attempt];
        now.settling = again;
        now.in_flight &= !is_last;
        let charged = now.charges > 0;
        let is_known = matches!(
            self.progress(&after, attempt),
            Some(
                AttemptProgress::Approved
                    | AttemptProgress::Cancelling
                    | AttemptProgress::RefundRefused
                    | AttemptProgress::Cancelled
            )
        );
        if !is_known {
            let fact = if charged {
                PaymentCommand::RecordApproved
            } else {
                PaymentCommand::RecordDeclined { reason: NOT_FOUND.to_owned() }
            };
            self.record(&mut after, attempt, fact);
        }
        steps.push((format!("attempt {attempt} is settled, last {is_last}"), after));
        steps
    }

    pub(super) fn progress(&self, local: &Local, attempt: usize) -> Option<AttemptProgress> {
        self.payments.state(local.request.attempts[attempt].payment).progress()
    }

    /// One reaction, which is repeated as a whole: `done` is the state without its cause.
    pub(super) fn refund(&mut self, local: &Local, done: Local, attempt: usize) -> Steps {
        let mut started = local.clone();
        let was = self.progress(local, attempt);
        self.record(&mut started, attempt, PaymentCommand::Cancel);
        if started.broken.is_some() {
            return vec![(format!("refund of attempt {attempt}"), started)];
        }
        match self.progress(&started, attempt) {
            Some(AttemptProgress::Cancelled) => {
                return vec![(format!("refund of attempt {attempt}: done before"), done)];
            }
            // A crash before the gateway is called.
            _ if was == Some(AttemptProgress::Approved) => {
                return vec![(format!("refund of attempt {attempt} begins"), started)];
            }
            _ => {}
        }
        self.ask_for_refund(local, done, attempt)
    }

    fn ask_for_refund(&mut self, local: &Local, done: Local, attempt: usize) -> Steps {
        let mut back = local.clone();
        let now = &mut back.request.attempts[attempt];
        if now.charges == 0 {
            let broken = Some(format!("attempt {attempt} is refunded and was never charged"));
            return vec![(format!("refund of attempt {attempt}"), Local { broken, ..back })];
        }
        // The refund is repeated as a whole, so the gateway must not refund twice under one key.
        let was_back = now.refunds > 0;
        now.refunds = 1;
        let is_refused = self.progress(local, attempt) == Some(AttemptProgress::RefundRefused);
        if is_refused && self.left_out == Some(LeftOut::RefundRetry) {
            return vec![(format!("refund of attempt {attempt}: taken for done"), done)];
        }
        let mut recorded = done.clone();
        recorded.request.attempts[attempt].refunds = 1;
        self.record(&mut recorded, attempt, PaymentCommand::RecordCancelled);
        let mut steps = vec![(format!("attempt {attempt} is refunded"), recorded)];
        if self.left_out == Some(LeftOut::RefundRecorded) {
            let mut forgotten = done;
            forgotten.request.attempts[attempt].refunds = 1;
            steps.push((format!("attempt {attempt} is refunded, and not recorded"), forgotten));
        } else if let Some(crashed) = back.mishap(self.bounds) {
            steps.push((format!("attempt {attempt} is refunded, then a crash"), crashed));
        }
        if !was_back {
            let mut refused = local.clone();
            let reason = "account-closed".to_owned();
            self.record(&mut refused, attempt, PaymentCommand::RecordRefundRefused { reason });
            steps.push((format!("the refund of attempt {attempt} is refused"), refused));
        }
        steps
    }
}
