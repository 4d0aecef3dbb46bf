//! The part of an import that is special on SQLite: the next position.

use crate::maintenance::archive::ArchiveError;
use sqlx::SqliteConnection;

/// Positions continue after this one.
pub(super) async fn continue_after(
    connection: &mut SqliteConnection,
    position: i64,
) -> Result<(), ArchiveError> {
    let raise = "UPDATE sqlite_sequence SET seq = max(seq, $1) WHERE name = 'events'";
    let raised = sqlx::query(raise).bind(position).execute(&mut *connection).await?;
    // A table without rows has no sequence yet.
    if raised.rows_affected() == 0 {
        let begin = "INSERT INTO sqlite_sequence (name, seq) VALUES ('events', $1)";
        sqlx::query(begin).bind(position).execute(connection).await?;
    }
    Ok(())
}
