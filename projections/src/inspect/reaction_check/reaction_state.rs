//! Whether a reaction is done, according to the current state of its stream.

use crate::engine::feed::decode_as;
use crate::processes::refusals::{Code, Meaning, Rule, meaning};
use crate::processes::step::Step;
use gdmarket_domain::payment::AttemptProgress;
use gdmarket_domain::{
    Alarm, Decider, Hold, Item, ItemCommand, MarketCommand, Payment, PaymentNo, Refusal as _,
    Reservation, ReservationNo,
};
use gdmarket_store::{Check, StoreError, StreamId};
use std::any::Any;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// The state of a reaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReactionState {
    /// It would change nothing any more, or its stream can't be read, which another check reports.
    Done,
    /// It has an outcome that a later try may still change.
    Provisional,
    /// It is yet to be done.
    Open,
}

/// The aggregates that were read from the snapshot.
#[derive(Default)]
pub(super) struct States(HashMap<(&'static str, i64), Box<dyn Any + Send>>);

impl States {
    pub(super) async fn of_step(
        &mut self,
        check: &mut Check,
        step: &Step,
    ) -> Result<ReactionState, StoreError> {
        match step {
            Step::Send(rule, command) => self.of_command(check, *rule, command).await,
            Step::Refund(no) => self.of_refund(check, *no).await,
            Step::Settle(no, _) => self.of_settling(check, *no).await,
        }
    }

    async fn of_command(
        &mut self,
        check: &mut Check,
        rule: Rule,
        command: &MarketCommand,
    ) -> Result<ReactionState, StoreError> {
        match command {
            MarketCommand::Item(no, command) => {
                if let ItemCommand::Hold { reservation_no, .. } = command
                    && self.is_refused(check, *reservation_no).await?
                {
                    return Ok(ReactionState::Done);
                }
                self.decided::<Item>(check, rule, no.get(), command).await
            }
            MarketCommand::Hold(no, command) => {
                self.decided::<Hold>(check, rule, no.get(), command).await
            }
            MarketCommand::Reservation(no, command) => {
                self.decided::<Reservation>(check, rule, no.get(), command).await
            }
            MarketCommand::Payment(no, command) => {
                self.decided::<Payment>(check, rule, no.get(), command).await
            }
            MarketCommand::Alarm(no, command) => {
                self.decided::<Alarm>(check, rule, no.get(), command).await
            }
        }
    }

    /// Whether the refusal of a hold was recorded: a request has one of the two answers for ever.
    async fn is_refused(
        &mut self,
        check: &mut Check,
        no: ReservationNo,
    ) -> Result<bool, StoreError> {
        Ok(self.state::<Hold>(check, no.get()).await?.is_some_and(Decider::exists))
    }

    /// Decides a command again. A refusal that is recorded or that parks leaves a trace, so a command without
    /// a trace was never sent.
    async fn decided<A: Decider + 'static>(
        &mut self,
        check: &mut Check,
        rule: Rule,
        number: i64,
        command: &A::Command,
    ) -> Result<ReactionState, StoreError> {
        let Some(state) = self.state::<A>(check, number).await? else {
            return Ok(ReactionState::Done);
        };
        let is_done = match state.decide(command) {
            Ok(events) => events.is_empty(),
            Err(refusal) => meaning(rule, Code::parse(refusal.code())) == Meaning::Done,
        };
        Ok(if is_done { ReactionState::Done } else { ReactionState::Open })
    }

    async fn of_refund(
        &mut self,
        check: &mut Check,
        no: PaymentNo,
    ) -> Result<ReactionState, StoreError> {
        let payment = self.state::<Payment>(check, no.get()).await?;
        Ok(match payment.map(Payment::progress) {
            // Unreadable, or the money is back.
            None | Some(Some(AttemptProgress::Cancelled)) => ReactionState::Done,
            Some(
                None
                | Some(
                    AttemptProgress::Pending
                    | AttemptProgress::Unknown
                    | AttemptProgress::Approved
                    | AttemptProgress::Declined
                    | AttemptProgress::Cancelling
                    | AttemptProgress::RefundRefused,
                ),
            ) => ReactionState::Open,
        })
    }

    async fn of_settling(
        &mut self,
        check: &mut Check,
        no: PaymentNo,
    ) -> Result<ReactionState, StoreError> {
        let payment = self.state::<Payment>(check, no.get()).await?;
        Ok(match payment.map(Payment::progress) {
            Some(None | Some(AttemptProgress::Pending | AttemptProgress::Unknown)) => {
                ReactionState::Open
            }
            // The gateway may still find a charge.
            Some(Some(AttemptProgress::Declined)) => ReactionState::Provisional,
            None
            | Some(Some(
                AttemptProgress::Approved
                | AttemptProgress::Cancelling
                | AttemptProgress::RefundRefused
                | AttemptProgress::Cancelled,
            )) => ReactionState::Done,
        })
    }

    /// An aggregate, folded from its stream; `None` if the stream can't be read.
    async fn state<A: Decider + 'static>(
        &mut self,
        check: &mut Check,
        number: i64,
    ) -> Result<Option<&A>, StoreError> {
        let state = match self.0.entry((A::TYPE, number)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(Box::new(folded::<A>(check, number).await?)),
        };
        Ok(state.downcast_ref::<Option<A>>().and_then(Option::as_ref))
    }
}

async fn folded<A: Decider>(check: &mut Check, number: i64) -> Result<Option<A>, StoreError> {
    let stream = StreamId::new(A::TYPE, number);
    let mut state = A::default();
    let mut after = 0;
    loop {
        let events = check.stream(&stream, after).await?;
        let Some(last) = events.last() else { return Ok(Some(state)) };
        after = last.sequence;
        for event in &events {
            let Ok(event) = decode_as::<A>(event.as_event_ref()) else { return Ok(None) };
            state.apply(event);
        }
    }
}

/// A description of a step for people.
pub(super) fn described(step: &Step) -> String {
    match step {
        Step::Send(rule, command) => format!("{rule:?} for {}", stream_of(command)),
        Step::Refund(no) => format!("the refund of payment/{no}"),
        Step::Settle(no, _) => format!("the outcome of payment/{no}"),
    }
}

fn stream_of(command: &MarketCommand) -> StreamId {
    let (kind, number) = match command {
        MarketCommand::Item(no, _) => (type_of::<Item>(), no.get()),
        MarketCommand::Hold(no, _) => (type_of::<Hold>(), no.get()),
        MarketCommand::Reservation(no, _) => (type_of::<Reservation>(), no.get()),
        MarketCommand::Payment(no, _) => (type_of::<Payment>(), no.get()),
        MarketCommand::Alarm(no, _) => (type_of::<Alarm>(), no.get()),
    };
    StreamId::new(kind, number)
}

const fn type_of<A: Decider>() -> &'static str {
    A::TYPE
}
