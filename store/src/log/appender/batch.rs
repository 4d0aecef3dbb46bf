//! Which of the waiting commands form the next batch: bounded in number and bytes, one command per stream and per
//! command id. Commands that have to wait keep their order.

use super::QueuedAppend;
use crate::log::append::{Append, AppendError, Appended};
use crate::log::event::StreamId;
use std::collections::{HashSet, VecDeque};
use tokio::sync::mpsc;
use uuid::Uuid;

/// Most commands of a batch.
const COMMANDS: usize = 512;
/// Most bytes of a batch, unless a single command has more.
const BYTES: usize = 8 * 1024 * 1024;

/// The batch in the making, and the commands that wait for the next one.
#[derive(Default)]
pub(super) struct CommandBatch {
    jobs: Vec<QueuedAppend>,
    later: VecDeque<QueuedAppend>,
    received: Vec<QueuedAppend>,
    streams: HashSet<StreamId>,
    commands: HashSet<Uuid>,
}

impl CommandBatch {
    /// Whether no command waits.
    pub(super) fn is_idle(&self) -> bool {
        self.later.is_empty()
    }

    /// Waits for commands; 0 when there will be none any more.
    pub(super) async fn receive(&mut self, waiting: &mut mpsc::Receiver<QueuedAppend>) -> usize {
        let count = waiting.recv_many(&mut self.received, COMMANDS).await;
        self.later.extend(self.received.drain(..));
        count
    }

    /// Takes the commands that wait already, without waiting for more.
    pub(super) fn receive_waiting(&mut self, waiting: &mut mpsc::Receiver<QueuedAppend>) {
        while self.later.len() < COMMANDS {
            match waiting.try_recv() {
                Ok(job) => self.later.push_back(job),
                Err(_) => return,
            }
        }
    }

    /// Makes a batch of those that may go together, in the order they came.
    pub(super) fn choose(&mut self) {
        self.streams.clear();
        self.commands.clear();
        let mut bytes = 0;
        let mut full = false;
        for _ in 0..self.later.len() {
            let Some(job) = self.later.pop_front() else { break };
            let size = job.append.bytes();
            full = full || (!self.jobs.is_empty() && bytes + size > BYTES);
            // The stream is noted even of a command that has to wait: no later one of the stream may pass it.
            let first = self.streams.insert(job.append.stream.clone());
            if full || !first || !self.commands.insert(job.append.command_id) {
                self.later.push_back(job);
            } else {
                bytes += size;
                self.jobs.push(job);
                full = full || self.jobs.len() >= COMMANDS;
            }
        }
    }

    /// How many wait for a later batch.
    pub(super) fn left(&self) -> usize {
        self.later.len()
    }

    pub(super) fn appends(&self) -> Vec<&Append> {
        self.jobs.iter().map(|job| &job.append).collect()
    }

    /// Answers each command, and commands with the same id with the receipt that was just written.
    pub(super) fn answer(&mut self, answers: Vec<Result<Appended, AppendError>>) {
        if self.later.iter().any(|job| self.commands.contains(&job.append.command_id)) {
            self.answer_repeats(&answers);
        }
        for (job, answer) in self.jobs.drain(..).zip(answers) {
            // The caller may have gone away; the command is done all the same.
            drop(job.answer.send(answer));
        }
    }

    fn answer_repeats(&mut self, answers: &[Result<Appended, AppendError>]) {
        for job in std::mem::take(&mut self.later) {
            let id = job.append.command_id;
            let repeated =
                self.jobs.iter().zip(answers).find(|(done, _)| done.append.command_id == id);
            let receipt = match repeated {
                Some((done, Ok(_))) => Some(done.append.receipt()),
                Some((_, Err(AppendError::Duplicate(receipt)))) => Some(receipt.clone()),
                _ => None,
            };
            match receipt {
                Some(receipt) => drop(job.answer.send(Err(AppendError::Duplicate(receipt)))),
                None => self.later.push_back(job),
            }
        }
    }
}
