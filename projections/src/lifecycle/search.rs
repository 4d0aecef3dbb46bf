//! The search itself: breadth first, so that a broken rule comes with a shortest history.
//!
//! What one reservation can do next depends on the day, the item and itself, so it is worked out once for
//! each of those; a state of the search is then four numbers.

use super::decisions::Decisions;
use super::left_out::LeftOut;
use super::people::reservation_no;
use super::rules;
use super::tables::{Events, Id, Tables};
use super::wish::{Line, Wish};
use gdmarket_domain::{Hold, Item, MarketEvent, Payment, Reservation};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::rc::Rc;

/// How far a search goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) wishes: usize,
    /// How many attempts to pay each reservation has.
    pub(super) attempts: [u8; 2],
    /// How many crashes, redeliveries and repeats there are in the history of each reservation.
    pub(super) mishaps: [u8; 2],
    /// Whether every outcome of a call is tried for each reservation, or only "yes" and "no".
    pub(super) is_unsure: [bool; 2],
    /// Whether the rows of deadlines lag behind the events that set and clear them.
    pub(super) rows_lag: bool,
    pub(super) last_day: u8,
    /// More states than this are a fault of the test.
    pub(super) limit: usize,
}

/// The number of a wish.
type WishId = u32;

/// A state of the whole market.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct World {
    today: u8,
    item: Id,
    wishes: [WishId; 2],
}

/// What one reservation sees of it, while a step is worked out.
#[derive(Debug, Clone)]
pub(super) struct Local {
    /// Which of the reservations, from 0.
    pub(super) index: usize,
    pub(super) today: u8,
    pub(super) item: Id,
    pub(super) wish: Wish,
    /// The rule that the step broke.
    pub(super) broken: Option<String>,
}

/// A step that can be taken.
struct Step {
    label: String,
    today: u8,
    item: Id,
    wish: WishId,
    broken: Option<String>,
}

impl Step {
    fn taken_from(&self, world: World, index: usize) -> World {
        let mut after = World { today: self.today, item: self.item, ..world };
        after.wishes[index] = self.wish;
        after
    }
}

/// Everything that one reservation can do next, and what is wrong where it is.
struct Next {
    /// The steps of its own come first, then those of the item and the days.
    steps: Vec<Step>,
    /// Whether every step of its own, now and after any step of the other, leaves the item alone.
    is_private: bool,
    broken: Option<String>,
}

/// A state that breaks a rule, and the history that leads there.
pub(super) struct Broken {
    pub(super) rule: String,
    pub(super) trace: Vec<String>,
}

/// What a search found.
pub(super) struct Found {
    pub(super) states: usize,
    pub(super) transitions: usize,
    pub(super) depth: usize,
    /// How many states of each part were met: items, reservations, payments, wishes.
    pub(super) parts: [usize; 4],
    pub(super) broken: Option<Broken>,
}

impl Local {
    /// The same after a crash, a redelivery or a repeat, if there may be another one.
    pub(super) fn mishap(&self, bounds: Bounds) -> Option<Self> {
        let mut after = self.clone();
        after.wish.mishaps += 1;
        if after.wish.mishaps == bounds.mishaps[self.index] {
            // Nothing is delivered again after the last one.
            after.wish.again = Line::default();
        }
        (after.wish.mishaps <= bounds.mishaps[self.index]).then_some(after)
    }

    /// Whether the step led to another state, or broke a rule.
    fn is_effective(&self, before: &Self) -> bool {
        self.broken.is_some()
            || (self.today, self.item, self.wish) != (before.today, before.item, before.wish)
    }
}

impl fmt::Display for Found {
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
    pub(super) bounds: Bounds,
    pub(super) left_out: Option<LeftOut>,
    pub(super) events: Events,
    pub(super) tables: Tables,
    pub(super) items: Decisions<Item>,
    pub(super) reservations: Decisions<Reservation>,
    pub(super) holds: Decisions<Hold>,
    pub(super) payments: Decisions<Payment>,
    numbers: HashMap<Wish, WishId>,
    wishes: Vec<Wish>,
    known: HashMap<(u8, Id, usize, WishId), Rc<Next>>,
}

impl Search {
    pub(super) fn new(bounds: Bounds, left_out: Option<LeftOut>) -> Self {
        Self {
            bounds,
            left_out,
            events: Events::default(),
            tables: Tables::new(),
            items: Decisions::new(MarketEvent::Item),
            reservations: Decisions::new(MarketEvent::Reservation),
            holds: Decisions::new(MarketEvent::Hold),
            payments: Decisions::new(MarketEvent::Payment),
            numbers: HashMap::new(),
            wishes: vec![],
            known: HashMap::new(),
        }
    }

    pub(super) fn run(mut self) -> Found {
        let wish = self.number(Wish::default());
        let first = self.first(wish);
        let mut seen: HashMap<World, u32> = HashMap::from([(first, 0)]);
        // How each state was reached: from which, by which reservation's which step.
        let mut nodes: Vec<(u32, u8, u16)> = vec![(0, 0, 0)];
        let mut level = vec![first];
        let (mut transitions, mut depth) = (0, 0);
        while !level.is_empty() {
            let mut next_level = vec![];
            for world in level {
                let node = seen[&world];
                let nexts = [self.next(world, 0), self.next(world, 1)];
                // What is private to one reservation commutes with all else.
                let private = nexts.iter().position(|next| next.is_private);
                for (index, next) in nexts.iter().enumerate() {
                    if private.is_some_and(|private| private != index) {
                        continue;
                    }
                    if let Some(rule) = &next.broken {
                        let broken = Some(self.trace(&nodes, node, rule.clone(), None));
                        return self.found(seen.len(), (transitions, depth), broken);
                    }
                    for (number, step) in next.steps.iter().enumerate() {
                        transitions += 1;
                        if let Some(rule) = &step.broken {
                            let last = Some(format!("{} {}", index + 1, step.label));
                            let broken = Some(self.trace(&nodes, node, rule.clone(), last));
                            return self.found(seen.len(), (transitions, depth), broken);
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
            assert!(seen.len() <= self.bounds.limit, "more than {} states", self.bounds.limit);
            level = next_level;
            depth += 1;
        }
        self.found(seen.len(), (transitions, depth), None)
    }

    /// Whether no step of its own can touch the item before another step of its own made that possible.
    fn is_private(&self, local: &Local) -> bool {
        let Wish { reservation, holding, again, refused_for, mishaps, .. } = local.wish;
        let own = reservation_no(local.index);
        let item = self.items.state(local.item);
        let may_be_lent = item.hold_of(own).is_some_and(|hold| hold.authorized);
        let may_be_redelivered =
            again.first().is_some() && mishaps < self.bounds.mishaps[local.index];
        reservation != 0
            && holding.first().is_none()
            && refused_for == 0
            && !may_be_lent
            && !may_be_redelivered
            && !item.is_rented_by(own)
    }

    fn first(&mut self, wish: WishId) -> World {
        let item = self.registered();
        World { today: 1, item, wishes: [wish, wish] }
    }

    fn found(
        &self,
        states: usize,
        (transitions, depth): (usize, usize),
        broken: Option<Broken>,
    ) -> Found {
        let aggregates = [self.items.met(), self.reservations.met(), self.payments.met()];
        let [items, reservations, payments] = aggregates;
        let parts = [items, reservations, payments, self.wishes.len()];
        Found { states, transitions, depth, parts, broken }
    }

    fn number(&mut self, wish: Wish) -> WishId {
        *self.numbers.entry(wish).or_insert_with(|| {
            self.wishes.push(wish);
            WishId::try_from(self.wishes.len() - 1).expect("fewer wishes than numbers")
        })
    }

    /// What this reservation can do next.
    fn next(&mut self, world: World, index: usize) -> Rc<Next> {
        let World { today, item, wishes } = world;
        let key = (today, item, index, wishes[index]);
        if let Some(known) = self.known.get(&key) {
            return Rc::clone(known);
        }
        let wish = self.wishes[usize::try_from(world.wishes[index]).expect("a number")];
        let local = Local { index, today, item, wish, broken: None };
        let mut people = self.of_people(&local);
        let systems = [self.of_reactions(&local), self.of_outside(&local)].concat();
        // What is tried again and again without effect is no way out.
        let is_at_rest = !systems.iter().any(|(_, after)| after.is_effective(&local));
        let broken = rules::always(self, &local)
            .or_else(|| is_at_rest.then(|| rules::at_rest(self, &local)).flatten());
        people.extend(systems);
        people.extend(self.of_redelivery(&local));
        people.extend(self.of_mishaps(&local));
        let is_private = !people.is_empty() && self.is_private(&local);
        people.extend(self.of_chance(&local));
        let effective = people.iter().filter(|(_, after)| after.is_effective(&local));
        let steps = effective.map(|(label, after)| Step {
            label: label.clone(),
            today: after.today,
            item: after.item,
            wish: self.number(after.wish),
            broken: after.broken.clone(),
        });
        let next = Rc::new(Next { steps: steps.collect(), is_private, broken });
        self.known.insert(key, Rc::clone(&next));
        next
    }

    /// The history of a state, from its end to its beginning and turned round.
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
        let wish = self.number(Wish::default());
        let mut world = self.first(wish);
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
