//! The search, breadth first, so that a broken rule is reported with a shortest history.
//!
//! The next steps of one reservation depend on the day, the item and itself, so they are computed once for
//! each combination; a state of the search is four numbers.

use super::fixtures::Id;
use super::left_out::LeftOut;
use super::model::{Bounds, Local, Model};
use super::request_state::RequestState;
use super::rules;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::rc::Rc;

/// The number of a request.
type RequestId = u32;

/// A state of the whole market.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct World {
    today: u8,
    item: Id,
    requests: [RequestId; 2],
}

/// A step that can be taken.
struct SearchStep {
    label: String,
    today: u8,
    item: Id,
    request: RequestId,
    broken: Option<String>,
}

impl SearchStep {
    fn taken_from(&self, world: World, index: usize) -> World {
        let mut after = World { today: self.today, item: self.item, ..world };
        after.requests[index] = self.request;
        after
    }
}

/// The next steps of one reservation, and the rule that its state breaks.
struct NextSteps {
    /// The reservation's own steps, followed by those of the item and the days.
    steps: Vec<SearchStep>,
    /// Whether none of its own steps, now or after any step of the other, touches the item.
    is_private: bool,
    broken: Option<String>,
}

/// A state that breaks a rule, and the history that leads there.
pub(super) struct Broken {
    pub(super) rule: String,
    pub(super) trace: Vec<String>,
}

/// The result of a search.
pub(super) struct SearchResult {
    pub(super) states: usize,
    pub(super) transitions: usize,
    pub(super) depth: usize,
    /// The number of states of each part: items, reservations, payments, requests.
    pub(super) parts: [usize; 4],
    pub(super) broken: Option<Broken>,
}

impl fmt::Display for SearchResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { states, transitions, depth, parts, .. } = self;
        write!(f, "{states} states, {transitions} transitions, {depth} deep, parts {parts:?}")?;
        if let Some(Broken { rule, trace }) = &self.broken {
            write!(f, "\nbroken: {rule}")?;
            for (number, step) in trace.iter().enumerate() {
                write!(f, "\n{:>4}. {step}", number + 1)?;
            }
        }
        Ok(())
    }
}

pub(super) struct Search {
    model: Model,
    numbers: HashMap<RequestState, RequestId>,
    requests: Vec<RequestState>,
    known: HashMap<(u8, Id, usize, RequestId), Rc<NextSteps>>,
}

impl Search {
    pub(super) fn new(bounds: Bounds, left_out: Option<LeftOut>) -> Self {
        Self {
            model: Model::new(bounds, left_out),
            numbers: HashMap::new(),
            requests: vec![],
            known: HashMap::new(),
        }
    }

    pub(super) fn run(mut self) -> SearchResult {
        let request = self.number(RequestState::default());
        let first = self.first(request);
        let mut seen: HashMap<World, u32> = HashMap::from([(first, 0)]);
        // How each state was reached: the state before, the reservation, and the number of its step.
        let mut nodes: Vec<(u32, u8, u16)> = vec![(0, 0, 0)];
        let mut level = vec![first];
        let (mut transitions, mut depth) = (0, 0);
        while !level.is_empty() {
            let mut next_level = vec![];
            for world in level {
                let node = seen[&world];
                let nexts = [self.next(world, 0), self.next(world, 1)];
                // The private steps of one reservation commute with all others.
                let private = nexts.iter().position(|next| next.is_private);
                for (index, next) in nexts.iter().enumerate() {
                    if private.is_some_and(|private| private != index) {
                        continue;
                    }
                    if let Some(rule) = &next.broken {
                        let broken = Some(self.trace(&nodes, node, rule.clone(), None));
                        return self.found(seen.len(), transitions, depth, broken);
                    }
                    for (number, step) in next.steps.iter().enumerate() {
                        transitions += 1;
                        if let Some(rule) = &step.broken {
                            let last = Some(format!("{} {}", index + 1, step.label));
                            let broken = Some(self.trace(&nodes, node, rule.clone(), last));
                            return self.found(seen.len(), transitions, depth, broken);
                        }
                        let after = step.taken_from(world, index);
                        if let Entry::Vacant(entry) = seen.entry(after) {
                            entry.insert(nodes.len().try_into().expect("a number"));
                            let (by, step) = (index.try_into(), number.try_into());
                            nodes.push((node, by.expect("a number"), step.expect("a number")));
                            next_level.push(after);
                        }
                    }
                }
            }
            assert!(
                seen.len() <= self.model.bounds.limit,
                "more than {} states",
                self.model.bounds.limit
            );
            level = next_level;
            depth += 1;
        }
        self.found(seen.len(), transitions, depth, None)
    }

    fn first(&mut self, request: RequestId) -> World {
        let item = self.model.registered();
        World { today: 1, item, requests: [request, request] }
    }

    fn found(
        &self,
        states: usize,
        transitions: usize,
        depth: usize,
        broken: Option<Broken>,
    ) -> SearchResult {
        let aggregates =
            [self.model.items.met(), self.model.reservations.met(), self.model.payments.met()];
        let [items, reservations, payments] = aggregates;
        let parts = [items, reservations, payments, self.requests.len()];
        SearchResult { states, transitions, depth, parts, broken }
    }

    fn number(&mut self, request: RequestState) -> RequestId {
        *self.numbers.entry(request).or_insert_with(|| {
            self.requests.push(request);
            RequestId::try_from(self.requests.len() - 1).expect("fewer requests than numbers")
        })
    }

    /// The next steps of this reservation.
    fn next(&mut self, world: World, index: usize) -> Rc<NextSteps> {
        let World { today, item, requests } = world;
        let key = (today, item, index, requests[index]);
        if let Some(known) = self.known.get(&key) {
            return Rc::clone(known);
        }
        let request = self.requests[usize::try_from(world.requests[index]).expect("a number")];
        let local = Local { index, today, item, request, broken: None };
        let mut people = self.model.of_people(&local);
        let systems = [self.model.of_reactions(&local), self.model.of_outside(&local)].concat();
        // A step that has no effect, however often it is repeated, doesn't count.
        let is_at_rest = !systems.iter().any(|(_, after)| after.is_effective(&local));
        let broken = rules::always(&self.model, &local)
            .or_else(|| is_at_rest.then(|| rules::at_rest(&self.model, &local)).flatten());
        people.extend(systems);
        people.extend(self.model.of_redelivery(&local));
        people.extend(self.model.of_mishaps(&local));
        let is_private = !people.is_empty() && self.model.is_private(&local);
        people.extend(self.model.of_chance(&local));
        let effective = people.iter().filter(|(_, after)| after.is_effective(&local));
        let steps = effective.map(|(label, after)| SearchStep {
            label: label.clone(),
            today: after.today,
            item: after.item,
            request: self.number(after.request),
            broken: after.broken.clone(),
        });
        let next = Rc::new(NextSteps { steps: steps.collect(), is_private, broken });
        self.known.insert(key, Rc::clone(&next));
        next
    }

    /// The history of a state, traced back from its end.
    fn trace(
        &mut self,
        nodes: &[(u32, u8, u16)],
        node: u32,
        rule: String,
        last: Option<String>,
    ) -> Broken {
        let mut choices = vec![];
        let mut at = node;
        while at != 0 {
            let (before, index, step) = nodes[usize::try_from(at).expect("a number")];
            choices.push((usize::from(index), usize::from(step)));
            at = before;
        }
        let request = self.number(RequestState::default());
        let mut world = self.first(request);
        let mut trace = vec![];
        for (index, number) in choices.into_iter().rev() {
            let next = self.next(world, index);
            let step = &next.steps[number];
            trace.push(format!("{} {}", index + 1, step.label));
            world = step.taken_from(world, index);
        }
        trace.extend(last);
        Broken { rule, trace }
    }
}
