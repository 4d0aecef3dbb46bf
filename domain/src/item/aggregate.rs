//! The item as cqrs-es wants it: a thin shim over `decide` and `evolve`, which hold everything.

use super::{Item, ItemCommand, ItemError, ItemEvent, decide};
use crate::actor::Actor;
use crate::decider::{self, Decider};
use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;

impl Aggregate for Item {
    const TYPE: &'static str = "item";
    type Command = ItemCommand;
    type Event = ItemEvent;
    type Error = ItemError;
    type Services = ();

    async fn handle(
        &mut self,
        command: ItemCommand,
        _services: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), ItemError> {
        decider::handle(self, &command, sink).await
    }

    fn apply(&mut self, event: ItemEvent) {
        self.evolve(event);
    }
}

impl Decider for Item {
    fn decide(&self, command: &ItemCommand) -> Result<Vec<ItemEvent>, ItemError> {
        decide::decide(self, command)
    }

    fn permits(&self, actor: &Actor, command: &ItemCommand) -> bool {
        decide::permits(self, actor, command)
    }

    fn exists(&self) -> bool {
        self.is_known()
    }

    fn number_of(event: &ItemEvent) -> i64 {
        event.item_no().get()
    }
}
