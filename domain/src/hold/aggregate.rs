//! The hold as cqrs-es wants it: a thin shim over `decide` and `evolve`, which hold everything.

use super::{Hold, HoldCommand, HoldError, HoldEvent, decide};
use crate::actor::Actor;
use crate::decider::{self, Decider};
use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;

impl Aggregate for Hold {
    const TYPE: &'static str = "hold";
    type Command = HoldCommand;
    type Event = HoldEvent;
    type Error = HoldError;
    type Services = ();

    async fn handle(
        &mut self,
        command: HoldCommand,
        _services: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), HoldError> {
        decider::handle(self, &command, sink).await
    }

    fn apply(&mut self, event: HoldEvent) {
        self.evolve(event);
    }
}

impl Decider for Hold {
    fn decide(&self, command: &HoldCommand) -> Result<Vec<HoldEvent>, HoldError> {
        Ok(decide::decide(self, command))
    }

    fn permits(&self, actor: &Actor, command: &HoldCommand) -> bool {
        decide::permits(self, actor, command)
    }

    fn exists(&self) -> bool {
        self.is_known()
    }

    fn number_of(event: &HoldEvent) -> i64 {
        event.reservation_no().get()
    }
}
