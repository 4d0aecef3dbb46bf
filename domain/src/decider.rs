//! The shape of every aggregate here: a pure decision over a state that events have folded into.

use crate::actor::Actor;
use crate::event_names::EventNames;
use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;

/// A refusal: the reason why a command changes nothing.
pub trait Refusal: std::error::Error + Send + Sync + 'static {
    /// The stable kebab-case code that callers match on (`item-taken`). The code of what
    /// doesn't exist ends with `-not-found`, and no other does: receipts keep only the code.
    fn code(&self) -> &'static str;

    /// Whether the refusal passes by itself, so that a repeat of the same request is decided again. Every
    /// other refusal is final: a repeat gets the same answer.
    fn is_transient(&self) -> bool {
        false
    }
}

/// What a command leads to: events, none when the aggregate is already in the requested state, or a
/// refusal.
pub type Decision<A> = Result<Vec<<A as Aggregate>::Event>, <A as Aggregate>::Error>;

/// Success without an event: the aggregate is already in the requested state.
#[expect(clippy::unnecessary_wraps, reason = "it is returned where a decision is")]
pub(crate) const fn no_change<E, R>() -> Result<Vec<E>, R> {
    Ok(Vec::new())
}

/// An aggregate whose decisions are pure.
///
/// `evolve` is [`Aggregate::apply`]; neither reads a clock, allocates a number or makes a call, so a
/// decision may be repeated as often as a race demands.
pub trait Decider:
    Aggregate<Services = (), Error: Refusal, Command: Send + Sync, Event: EventNames> + Clone
{
    /// What the command leads to.
    fn decide(&self, command: &Self::Command) -> Decision<Self>;

    /// Whether this actor may send this command to this aggregate. The market's processes always may, and
    /// an aggregate that doesn't exist yet permits every actor.
    fn permits(&self, actor: &Actor, command: &Self::Command) -> bool;

    /// Whether any event has been applied.
    fn exists(&self) -> bool;

    /// The number of the stream that an event belongs to, as its payload names it.
    fn number_of(event: &Self::Event) -> i64;
}

/// What [`Aggregate::handle`] does for every aggregate: decide, then hand each event to the sink.
pub(crate) async fn handle<A: Decider>(
    aggregate: &mut A,
    command: &A::Command,
    sink: &EventSink<A>,
) -> Result<(), A::Error> {
    for event in aggregate.decide(command)? {
        sink.write(event, aggregate).await;
    }
    Ok(())
}

/// Makes a state into an aggregate, as cqrs-es and [`Decider`] want it.
///
/// The folder that invokes it has a module `decide` with the functions `decide` and `permits`, and its
/// state the methods `evolve` and `is_known`: they hold everything. `number` is the accessor of the
/// events' own number.
macro_rules! aggregate {
    (
        $State:ident {
            type: $name:literal,
            command: $Command:ty,
            event: $Event:ty,
            error: $Error:ty,
            number: $number:ident,
        }
    ) => {
        impl ::cqrs_es::Aggregate for $State {
            const TYPE: &'static str = $name;
            type Command = $Command;
            type Event = $Event;
            type Error = $Error;
            type Services = ();

            async fn handle(
                &mut self,
                command: $Command,
                _services: &(),
                sink: &::cqrs_es::event_sink::EventSink<Self>,
            ) -> Result<(), $Error> {
                $crate::decider::handle(self, &command, sink).await
            }

            fn apply(&mut self, event: $Event) {
                self.evolve(event);
            }
        }

        impl $crate::decider::Decider for $State {
            fn decide(&self, command: &$Command) -> $crate::decider::Decision<Self> {
                decide::decide(self, command)
            }

            fn permits(&self, actor: &$crate::actor::Actor, command: &$Command) -> bool {
                decide::permits(self, actor, command)
            }

            fn exists(&self) -> bool {
                self.is_known()
            }

            fn number_of(event: &$Event) -> i64 {
                event.$number().get()
            }
        }
    };
}

pub(crate) use aggregate;
