//! The group commit over a scripted writer in memory: the content of batches, and the answers to all callers whatever
//! happens to the writer.

use super::writer::{LogWriter, WriteFault, WriteResult};
use super::{Appender, Signals};
use crate::db::tasks::Tasks;
use crate::log::append::{Append, AppendError};
use crate::log::event::{NewEvent, StreamId};
use crate::log::identity_guard::LogIdentityGuard;
use crate::log::receipt::{Receipt, ReceiptKind};
use futures::future::join_all;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use uuid::Uuid;

/// The scripted outcomes of the writer's next batches; after them it works normally.
type Script = Arc<Mutex<Vec<fn() -> WriteResult<Vec<i64>>>>>;
type Batches = Arc<Mutex<Vec<Vec<u128>>>>;

#[derive(Default)]
struct InMemory {
    script: Script,
    batches: Batches,
    receipts: HashMap<Uuid, Receipt>,
    heads: HashMap<StreamId, i64>,
    position: i64,
}

impl LogWriter for InMemory {
    async fn append(&mut self, batch: &[&Append]) -> WriteResult<Vec<i64>> {
        // Meanwhile other callers may join the next batch.
        tokio::task::yield_now().await;
        let ids = batch.iter().map(|append| append.command_id.as_u128()).collect();
        self.batches.lock().unwrap().push(ids);
        let scripted = self.script.lock().unwrap().pop();
        if let Some(scripted) = scripted {
            return scripted();
        }
        let conflicts = |append: &&&Append| {
            let head = self.heads.get(&append.stream).copied().unwrap_or(0);
            self.receipts.contains_key(&append.command_id) || head != append.expected
        };
        if batch.iter().any(|append| conflicts(&append)) {
            return Err(WriteFault::Contended("met".to_owned()));
        }
        self.insert(batch).await
    }

    async fn begin(&mut self) -> WriteResult<()> {
        Ok(())
    }

    async fn receipts(&mut self, _batch: &[&Append]) -> WriteResult<HashMap<Uuid, Receipt>> {
        Ok(self.receipts.clone())
    }

    async fn heads(&mut self, batch: &[&Append]) -> WriteResult<Vec<i64>> {
        let head = |append: &&Append| self.heads.get(&append.stream).copied().unwrap_or(0);
        Ok(batch.iter().map(head).collect())
    }

    async fn insert(&mut self, batch: &[&Append]) -> WriteResult<Vec<i64>> {
        let mut positions = Vec::new();
        for append in batch {
            self.position += append.count();
            self.receipts.insert(append.command_id, append.receipt());
            self.heads.insert(append.stream.clone(), append.expected + append.count());
            positions.push(self.position);
        }
        Ok(positions)
    }

    async fn commit(&mut self) -> WriteResult<()> {
        Ok(())
    }

    async fn rollback(&mut self) {}

    async fn position(&mut self, _stream: &StreamId, _sequence: i64) -> WriteResult<i64> {
        Ok(self.position)
    }

    async fn reconnect(&mut self) -> WriteResult<()> {
        Ok(())
    }

    fn forget_connection(&mut self) {}
}

fn append(command: u128, number: i64, expected: i64) -> Append {
    let event = NewEvent {
        event_type: "Counted".to_owned(),
        event_version: "1".to_owned(),
        payload: "{}".to_owned(),
    };
    Append {
        command_id: Uuid::from_u128(command),
        fingerprint: Vec::new(),
        stream: StreamId::new("counter", number),
        expected,
        events: vec![event],
        metadata: "{}".to_owned(),
        kind: ReceiptKind::Done,
        personal: None,
    }
}

fn start() -> (Appender, Script, Batches) {
    let writer = InMemory::default();
    let (script, batches) = (Arc::clone(&writer.script), Arc::clone(&writer.batches));
    let signals = Signals::new(LogIdentityGuard::default());
    (Appender::start(writer, signals, 100, &Tasks::default()), script, batches)
}

#[tokio::test]
async fn every_caller_is_answered_after_a_panic_and_the_appender_continues() {
    let (appender, script, _) = start();
    let generation = appender.generation();
    script.lock().unwrap().push(|| panic!("as scripted"));
    let answers = join_all((1..=5).map(|n| appender.append(append(n, 1, 0)))).await;
    let is_unknown = |answer: &Result<_, _>| matches!(answer, Err(AppendError::Unknown(_)));
    assert!(answers.iter().all(is_unknown), "{answers:?}");
    assert_ne!(appender.generation(), generation, "the generation changes");
    appender.append(append(9, 1, 0)).await.unwrap();
}

#[tokio::test]
async fn full_disk_is_reported_and_the_appender_continues() {
    let (appender, script, _) = start();
    script.lock().unwrap().push(|| Err(WriteFault::Unavailable("the disk is full".to_owned())));
    let answer = appender.append(append(1, 1, 0)).await;
    assert_eq!(answer, Err(AppendError::Unavailable("the disk is full".to_owned())));
    appender.append(append(1, 1, 0)).await.unwrap();
}

#[tokio::test]
async fn commands_without_a_receipt_are_appended_after_a_lost_connection() {
    let (appender, script, _) = start();
    appender.append(append(1, 1, 0)).await.unwrap();
    let generation = appender.generation();
    script.lock().unwrap().push(|| Err(WriteFault::Lost("cut".to_owned())));
    let answers =
        join_all([appender.append(append(1, 1, 0)), appender.append(append(2, 2, 0))]).await;
    // The log has the first command's event already, and nothing of the second.
    let positions: Vec<_> =
        answers.iter().map(|answer| answer.as_ref().map(|done| done.position)).collect();
    assert_eq!(positions, [Ok(1), Ok(2)]);
    assert_ne!(appender.generation(), generation);
}

#[tokio::test]
async fn waiting_commands_form_a_batch_without_two_of_a_stream() {
    let (appender, _, batches) = start();
    let appends = [(1, 1, 0), (2, 1, 1), (3, 2, 0), (4, 1, 2), (5, 3, 0)];
    let appends = appends.map(|(command, number, expected)| append(command, number, expected));
    let answers = join_all(appends.map(|append| appender.append(append))).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(*batches.lock().unwrap(), [vec![1, 3, 5], vec![2], vec![4]]);
}

#[tokio::test]
async fn repeats_in_the_queue_are_answered_by_the_first() {
    let (appender, _, batches) = start();
    let answers = join_all((0..50).map(|_| appender.append(append(1, 1, 0)))).await;
    let (done, rest): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(done.len(), 1);
    assert!(rest.iter().all(|answer| matches!(answer, Err(AppendError::Duplicate(_)))));
    assert_eq!(batches.lock().unwrap().len(), 1);
}

/// With several threads the runtime runs the task that a caller wakes before other callers.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn few_callers_share_round_trips_though_each_sends_after_its_answer() {
    let (appender, _script, batches) = start();
    let callers = move || async move {
        let call = |number: i64| {
            let appender = appender.clone();
            tokio::spawn(async move {
                for expected in 0..9 {
                    let command = u128::try_from(number * 10 + expected).unwrap();
                    appender.append(append(command, number, expected)).await.unwrap();
                }
            })
        };
        join_all((1..=8).map(call)).await
    };
    tokio::spawn(callers()).await.unwrap();
    let sizes: Vec<usize> = batches.lock().unwrap().iter().map(Vec::len).collect();
    // Nine batches are the minimum; if the first command were written alone each time, there would be eighteen.
    assert!(sizes.len() < 14, "{sizes:?}");
}
