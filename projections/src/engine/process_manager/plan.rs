//! The plan of a batch for a process manager: jobs, divided into partitions, and the jobs that queue behind
//! a blocked key.

use super::job::Job;
use super::manager::ProcessStep;
use super::sender::Sender;
use crate::engine::feed::{Delivery, Unreadable};
use gdmarket_domain::MarketEvent;
use gdmarket_store::RecordedEvent;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The plan of a batch.
pub(super) struct Plan<S> {
    /// The jobs of each partition, in order.
    pub(super) partitions: BTreeMap<String, Vec<Job<S>>>,
    /// The position of the last event that was planned.
    pub(super) reached: Option<i64>,
    /// Why the plan stopped, if only a newer program can read the next event.
    pub(super) newer: Option<String>,
}

impl<S: ProcessStep> Plan<S> {
    pub(super) fn of(sender: &Sender<S>, batch: &[Delivery]) -> Self {
        let mut plan = Self { partitions: BTreeMap::new(), reached: None, newer: None };
        for Delivery { event, .. } in batch {
            if sender.wants(&event.stream.kind) {
                match sender.reactions(event) {
                    Ok(Some(reactions)) => {
                        let partition = reactions.partition.clone();
                        plan.partitions
                            .entry(partition)
                            .or_default()
                            .push(Job::new(event, reactions));
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

    /// Adds a job for an event that can't be read. Its partition is unknown, so its stream is parked; a log
    /// row that belongs to no stream is parked alone.
    fn add_unreadable(&mut self, event: &Arc<RecordedEvent>, why: String) {
        let key = event.key();
        if event.damage.is_none() && !MarketEvent::knows(&event.stream.kind) {
            // The store counts damaged rows; only this crate knows which aggregates exist.
            metrics::counter!("gdmarket_log_damaged_rows_total").increment(1);
        }
        let job = Job::unreadable(event, key.clone(), why);
        self.partitions.entry(key).or_default().push(job);
    }
}

/// Divides the partitions into the jobs that must queue and those that can run. A job queues behind its own
/// key, or behind its stream if an earlier event of the stream can't be read.
pub(super) fn split<S>(
    partitions: BTreeMap<String, Vec<Job<S>>>,
    blocked: &BTreeSet<String>,
) -> (Vec<Job<S>>, Vec<Vec<Job<S>>>) {
    let unreadable = partitions.values().flatten().filter(|job| job.unreadable.is_some());
    let first: BTreeMap<String, i64> =
        unreadable.map(|job| (job.key.clone(), job.event.position)).rev().collect();
    let mut waiting = vec![];
    let mut ready = vec![];
    for jobs in partitions.into_values() {
        let mut partition = vec![];
        for mut job in jobs {
            let stream = job.event.key();
            let behind = first.get(&stream).is_some_and(|first| *first < job.event.position);
            if blocked.contains(&job.key) {
                waiting.push(job);
            } else if blocked.contains(&stream) || behind {
                job.key = stream;
                waiting.push(job);
            } else {
                partition.push(job);
            }
        }
        ready.push(partition);
    }
    waiting.sort_by_key(|job| job.event.position);
    (waiting, ready)
}

/// Divides a partition into waves: a job alone, or neighbours with different keys that may run concurrently.
pub(super) fn waves<S>(partition: Vec<Job<S>>) -> Vec<Vec<Job<S>>> {
    let mut waves: Vec<Vec<Job<S>>> = vec![];
    for job in partition {
        let joins = |wave: &&mut Vec<Job<S>>| {
            job.is_concurrent
                && wave.iter().all(|other| other.is_concurrent && other.key != job.key)
        };
        match waves.last_mut().filter(joins) {
            Some(wave) => wave.push(job),
            None => waves.push(vec![job]),
        }
    }
    waves
}
