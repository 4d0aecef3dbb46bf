//! What a batch means for a process manager: jobs, sorted into turns, and what must wait behind a
//! key that can't go on.

use super::send::Sender;
use crate::decoded::Unreadable;
use crate::feed::Delivery;
use crate::process_manager::{Reaction, Reactions};
use gdmarket_domain::MarketEvent;
use gdmarket_store::RecordedEvent;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// An event and what is to be done about it.
pub(super) struct Job {
    pub(super) event: Arc<RecordedEvent>,
    /// What parks if this can't be done.
    pub(super) key: String,
    /// Whether it may be done together with neighbours that may too.
    pub(super) abreast: bool,
    pub(super) steps: Vec<Reaction>,
    /// Why nobody can say what is to be done.
    pub(super) unreadable: Option<String>,
}

impl Job {
    pub(super) fn new(event: &Arc<RecordedEvent>, reactions: Reactions) -> Self {
        let Reactions { key, abreast, steps, .. } = reactions;
        Self { event: Arc::clone(event), key, abreast, steps, unreadable: None }
    }

    pub(super) fn unreadable(event: &Arc<RecordedEvent>, key: String, why: String) -> Self {
        let event = Arc::clone(event);
        Self { event, key, abreast: false, steps: vec![], unreadable: Some(why) }
    }
}

/// What a batch means.
#[derive(Default)]
pub(super) struct Plan {
    /// The jobs of each turn, in order.
    pub(super) turns: BTreeMap<String, Vec<Job>>,
    /// The last event that was understood.
    pub(super) reached: Option<i64>,
    /// What only a newer program understands.
    pub(super) newer: Option<String>,
}

impl Plan {
    pub(super) fn of(sender: &Sender, batch: &[Delivery]) -> Self {
        let mut plan = Self::default();
        for Delivery { event, .. } in batch {
            if sender.wants(&event.stream.kind) {
                match sender.reactions(event) {
                    Ok(Some(reactions)) => {
                        let turn = reactions.turn.clone();
                        plan.turns.entry(turn).or_default().push(Job::new(event, reactions));
                    }
                    Ok(None) => {}
                    Err(Unreadable::Broken(why)) => plan.add_unreadable(event, why),
                    Err(Unreadable::Newer(what)) => {
                        plan.newer = Some(what);
                        return plan;
                    }
                }
            }
            plan.reached = Some(event.position);
        }
        plan
    }

    /// Whose turn it would be can't be read, so its stream parks; a row of no stream parks alone.
    fn add_unreadable(&mut self, event: &Arc<RecordedEvent>, why: String) {
        let key = event.key();
        if event.damage.is_none() && !MarketEvent::knows(&event.stream.kind) {
            // The store counts those that are damaged; which aggregates there are, only this side knows.
            metrics::counter!("gdmarket_log_damaged_rows_total").increment(1);
        }
        let job = Job::unreadable(event, key.clone(), why);
        self.turns.entry(key).or_default().push(job);
    }
}

/// Divides the turns into what must queue and what can be done. An event waits behind its own key, or
/// behind its stream, where an event of it couldn't be read.
pub(super) fn split(
    turns: BTreeMap<String, Vec<Job>>,
    stuck: &BTreeSet<String>,
) -> (Vec<Job>, Vec<Vec<Job>>) {
    let unreadable = turns.values().flatten().filter(|job| job.unreadable.is_some());
    let first: BTreeMap<String, i64> =
        unreadable.map(|job| (job.key.clone(), job.event.position)).rev().collect();
    let mut waiting = vec![];
    let mut ready = vec![];
    for jobs in turns.into_values() {
        let mut turn = vec![];
        for mut job in jobs {
            let stream = job.event.key();
            let behind = first.get(&stream).is_some_and(|first| *first < job.event.position);
            if stuck.contains(&job.key) {
                waiting.push(job);
            } else if stuck.contains(&stream) || behind {
                job.key = stream;
                waiting.push(job);
            } else {
                turn.push(job);
            }
        }
        ready.push(turn);
    }
    waiting.sort_by_key(|job| job.event.position);
    (waiting, ready)
}

/// Divides a turn into rows: each a job alone, or neighbours that may be done abreast, each of another
/// key.
pub(super) fn rows(turn: Vec<Job>) -> Vec<Vec<Job>> {
    let mut rows: Vec<Vec<Job>> = vec![];
    for job in turn {
        let joins = |row: &&mut Vec<Job>| {
            job.abreast && row.iter().all(|other| other.abreast && other.key != job.key)
        };
        match rows.last_mut().filter(joins) {
            Some(row) => row.push(job),
            None => rows.push(vec![job]),
        }
    }
    rows
}
