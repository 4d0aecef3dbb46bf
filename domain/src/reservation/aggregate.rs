//! The reservation as cqrs-es wants it: a thin shim over `decide` and `evolve`, which hold everything.

use super::{Reservation, ReservationCommand, ReservationError, ReservationEvent, decide};
use crate::actor::Actor;
use crate::decider::{self, Decider};
use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;

impl Aggregate for Reservation {
    const TYPE: &'static str = "reservation";
    type Command = ReservationCommand;
    type Event = ReservationEvent;
    type Error = ReservationError;
    type Services = ();

    async fn handle(
        &mut self,
        command: ReservationCommand,
        _services: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), ReservationError> {
        decider::handle(self, &command, sink).await
    }

    fn apply(&mut self, event: ReservationEvent) {
        self.evolve(event);
    }
}

impl Decider for Reservation {
    fn decide(
        &self,
        command: &ReservationCommand,
    ) -> Result<Vec<ReservationEvent>, ReservationError> {
        decide::decide(self, command)
    }

    fn permits(&self, actor: &Actor, command: &ReservationCommand) -> bool {
        decide::permits(self, actor, command)
    }

    fn exists(&self) -> bool {
        self.is_known()
    }

    fn number_of(event: &ReservationEvent) -> i64 {
        event.reservation_no().get()
    }
}
