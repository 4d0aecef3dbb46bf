//! What subscriptions have left to do: deadlines, parked keys, the events behind them, and the record of dropped events.

use super::Divider;
use crate::maintenance::archive::ArchiveError;
use crate::maintenance::archive::import::ArchiveBatch;
use crate::maintenance::archive::line::{DeadlineLine, DroppedLine, ParkedLine, WaitingLine};

impl Divider<'_> {
    pub(super) fn deadlines(
        &self,
        lines: Vec<DeadlineLine>,
    ) -> Result<Vec<DeadlineLine>, ArchiveError> {
        let mut own = vec![];
        for line in lines {
            let position = (self.division.deadline_position)(&line.payload);
            if let Some(manager) = self.at_log_of(&line.manager, position)? {
                own.push(DeadlineLine { manager, ..line });
            }
        }
        Ok(own)
    }

    pub(super) fn parked(
        &mut self,
        lines: Vec<ParkedLine>,
    ) -> Result<Vec<ParkedLine>, ArchiveError> {
        let mut own = vec![];
        for line in lines {
            let before = (line.subscription.clone(), line.key.clone());
            let Some(subscription) = self.at_log_of(&line.subscription, line.since_position)?
            else {
                continue;
            };
            let line = ParkedLine { subscription, ..line };
            self.placed.insert((line.subscription.clone(), line.key.clone()));
            self.parked.insert(before, line.clone());
            own.push(line);
        }
        Ok(own)
    }

    /// The events behind parked keys. A key whose events are in several logs is parked at each of them.
    pub(super) fn waiting(
        &mut self,
        lines: Vec<WaitingLine>,
    ) -> Result<Vec<ArchiveBatch>, ArchiveError> {
        let (mut parked, mut own) = (vec![], vec![]);
        for line in lines {
            let Some(subscription) = self.at_log_of(&line.subscription, line.position)? else {
                continue;
            };
            let first = self.parked.get(&(line.subscription, line.key.clone()));
            if let Some(first) = first
                && self.placed.insert((subscription.clone(), line.key.clone()))
            {
                let (since_position, subscription) = (line.position, subscription.clone());
                parked.push(ParkedLine { subscription, since_position, ..first.clone() });
            }
            own.push(WaitingLine { subscription, ..line });
        }
        Ok(vec![ArchiveBatch::Parked(parked), ArchiveBatch::Waiting(own)])
    }

    pub(super) fn dropped(
        &self,
        lines: Vec<DroppedLine>,
    ) -> Result<Vec<DroppedLine>, ArchiveError> {
        let mut own = vec![];
        for line in lines {
            if let Some(subscription) = self.at_log_of(&line.subscription, line.position)? {
                own.push(DroppedLine { subscription, ..line });
            }
        }
        Ok(own)
    }
}
