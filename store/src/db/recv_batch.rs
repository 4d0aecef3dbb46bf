//! Receiving everything that waits in a queue, so that it shares one round trip to the database.

use tokio::sync::mpsc;
use tokio::task::yield_now;

/// Waits for the first message and receives with it at most `limit` that wait; none when the queue is closed.
/// The scheduler runs once in between: tasks that are about to send do so then. This takes no time, and the event that
/// woke one sender often woke many.
pub(crate) async fn recv_batch<T>(
    queue: &mut mpsc::Receiver<T>,
    batch: &mut Vec<T>,
    limit: usize,
) -> usize {
    if (1..limit).contains(&queue.recv_many(batch, limit).await) {
        yield_now().await;
        while batch.len() < limit
            && let Ok(next) = queue.try_recv()
        {
            batch.push(next);
        }
    }
    batch.len()
}
