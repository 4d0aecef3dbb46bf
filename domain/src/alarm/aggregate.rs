//! The alarm as cqrs-es wants it: a thin shim over `decide` and `evolve`, which hold everything.

use super::{Alarm, AlarmCommand, AlarmError, AlarmEvent, decide};
use crate::actor::Actor;
use crate::decider::{self, Decider};
use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;

impl Aggregate for Alarm {
    const TYPE: &'static str = "alarm";
    type Command = AlarmCommand;
    type Event = AlarmEvent;
    type Error = AlarmError;
    type Services = ();

    async fn handle(
        &mut self,
        command: AlarmCommand,
        _services: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), AlarmError> {
        decider::handle(self, &command, sink).await
    }

    fn apply(&mut self, event: AlarmEvent) {
        self.evolve(event);
    }
}

impl Decider for Alarm {
    fn decide(&self, command: &AlarmCommand) -> Result<Vec<AlarmEvent>, AlarmError> {
        decide::decide(*self, command)
    }

    fn permits(&self, actor: &Actor, command: &AlarmCommand) -> bool {
        decide::permits(*self, actor, command)
    }

    fn exists(&self) -> bool {
        self.is_known()
    }

    fn number_of(event: &AlarmEvent) -> i64 {
        event.item_no().get()
    }
}
