//! The aggregates' own decisions, each made once per state and command.

use super::fixtures::Id;
use super::tables::Events;
use gdmarket_domain::{Decider, MarketEvent, Refusal as _};
use std::rc::Rc;

/// The result of a command.
#[derive(Debug, Clone)]
pub(super) struct Decided {
    /// The state afterwards.
    pub(super) state: Id,
    pub(super) events: Rc<[Id]>,
    /// The code, if it was refused.
    pub(super) refused: Option<&'static str>,
}

/// The states of one type of aggregate that the search has reached, by number; 0 is the initial one.
pub(super) struct Decisions<A: Decider> {
    states: Vec<A>,
    made: Vec<Vec<(A::Command, Decided)>>,
    whole: fn(A::Event) -> MarketEvent,
}

impl<A> Decisions<A>
where
    A: Decider + PartialEq,
    A::Command: PartialEq + Clone,
    A::Event: Clone,
{
    pub(super) fn new(whole: fn(A::Event) -> MarketEvent) -> Self {
        Self { states: vec![A::default()], made: vec![vec![]], whole }
    }

    pub(super) fn state(&self, id: Id) -> &A {
        &self.states[usize::from(id)]
    }

    pub(super) fn decide(&mut self, id: Id, command: &A::Command, events: &mut Events) -> Decided {
        let made = &self.made[usize::from(id)];
        if let Some((_, decided)) = made.iter().find(|(other, _)| other == command) {
            return decided.clone();
        }
        let mut state = self.state(id).clone();
        let decided = match state.decide(command) {
            Err(refusal) => {
                Decided { state: id, events: Rc::new([]), refused: Some(refusal.code()) }
            }
            Ok(written) => {
                for event in &written {
                    state.apply(event.clone());
                }
                let events = written.into_iter().map(|event| events.id((self.whole)(event)));
                Decided { events: events.collect(), state: self.id(state), refused: None }
            }
        };
        self.made[usize::from(id)].push((command.clone(), decided.clone()));
        decided
    }

    fn id(&mut self, state: A) -> Id {
        let at = self.states.iter().position(|other| *other == state).unwrap_or_else(|| {
            self.states.push(state);
            self.made.push(vec![]);
            self.states.len() - 1
        });
        at.try_into().expect("fewer states than numbers")
    }

    pub(super) fn met(&self) -> usize {
        self.states.len()
    }
}
