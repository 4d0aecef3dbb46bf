//! The payment as cqrs-es wants it: a thin shim over `decide` and `evolve`, which hold everything.

use super::{Payment, PaymentCommand, PaymentError, PaymentEvent, decide};
use crate::actor::Actor;
use crate::decider::{self, Decider};
use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;

impl Aggregate for Payment {
    const TYPE: &'static str = "payment";
    type Command = PaymentCommand;
    type Event = PaymentEvent;
    type Error = PaymentError;
    type Services = ();

    async fn handle(
        &mut self,
        command: PaymentCommand,
        _services: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), PaymentError> {
        decider::handle(self, &command, sink).await
    }

    fn apply(&mut self, event: PaymentEvent) {
        self.evolve(event);
    }
}

impl Decider for Payment {
    fn decide(&self, command: &PaymentCommand) -> Result<Vec<PaymentEvent>, PaymentError> {
        decide::decide(self, command)
    }

    fn permits(&self, actor: &Actor, command: &PaymentCommand) -> bool {
        decide::permits(self, actor, command)
    }

    fn exists(&self) -> bool {
        self.is_known()
    }

    fn number_of(event: &PaymentEvent) -> i64 {
        event.payment_no().get()
    }
}
