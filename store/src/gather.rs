//! Taking what waits in a queue, so that it shares a trip to the database.

use tokio::sync::mpsc;
use tokio::task::yield_now;

/// Waits for the first, and takes with it at most `most` that wait; none when the queue is closed.
/// Those who are about to ask get a turn of the scheduler to do so: it takes no time, and often what
/// woke one of them woke many.
pub(crate) async fn gather<T>(
    queue: &mut mpsc::Receiver<T>,
    into: &mut Vec<T>,
    most: usize,
) -> usize {
    if (1..most).contains(&queue.recv_many(into, most).await) {
        yield_now().await;
        while into.len() < most
            && let Ok(next) = queue.try_recv()
        {
            into.push(next);
        }
    }
    into.len()
}
