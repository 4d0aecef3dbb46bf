//! The shape of every aggregate here: a pure decision over a state that events have folded into.

use crate::actor::Actor;
use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;

/// A refusal: the reason a command changes nothing.
pub trait Refusal: std::error::Error + Send + Sync + 'static {
    /// The stable kebab-case code that callers match on (`item-taken`).
    fn code(&self) -> &'static str;
}

/// An aggregate whose decisions are pure.
///
/// `evolve` is [`Aggregate::apply`]; neither reads a clock, draws a number or calls anyone, so a
/// decision may be repeated as often as a race demands.
pub trait Decider: Aggregate<Services = (), Error: Refusal, Command: Send + Sync> + Clone {
    /// What the command leads to: events, none when the state is there already, or a refusal.
    fn decide(&self, command: &Self::Command) -> Result<Vec<Self::Event>, Self::Error>;

    /// Whether this actor may send this command to this aggregate; only people are asked about,
    /// an aggregate that doesn't exist yet permits everyone.
    fn permits(&self, actor: &Actor, command: &Self::Command) -> bool;

    /// Whether any event has been applied.
    fn exists(&self) -> bool;

    /// The number of the stream that an event belongs to, as its payload names it.
    fn number_of(event: &Self::Event) -> i64;
}

/// What every shim's [`Aggregate::handle`] does: decide, then hand each event to the sink.
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
