//! [`UseCases`]: the one handle of this crate, cheap to clone.

use crate::context::{IncomingRequest, WriteContext};
use crate::error::UseCaseError;
use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use gdmarket_commands::{CommandError, Commands};
use gdmarket_domain::{ItemNo, Refusal, ReservationNo, Services};
use gdmarket_projections::{
    Applied, FoundItem, FoundReservation, NEWEST, ParkedWork, Projections, Queries,
};
use std::time::Duration;
use tokio::sync::watch;

/// The settings of the use cases.
#[derive(Debug, Clone)]
pub struct UseCaseOptions {
    /// The services of this process: it can read the streams of these alone.
    pub services: Services,
    /// The time zone of the market's days.
    pub time_zone: Tz,
    /// How long a request waits for the outcome of a payment.
    pub payment_wait: Duration,
}

/// The use cases of people and processes.
#[derive(Clone)]
pub struct UseCases {
    pub(crate) commands: Commands,
    pub(crate) queries: Queries,
    pub(crate) applied: Applied,
    pub(crate) parked: ParkedWork,
    /// The position of the newest event, as this process knows it.
    pub(crate) head: watch::Receiver<i64>,
    pub(crate) options: UseCaseOptions,
}

impl UseCases {
    /// Use cases over the two sides of one log, whose newest position `head` holds.
    pub fn new(
        commands: Commands,
        projections: &Projections,
        head: watch::Receiver<i64>,
        options: UseCaseOptions,
    ) -> Self {
        Self {
            commands,
            queries: projections.queries(),
            applied: projections.applied(),
            parked: projections.parked_work(),
            head,
            options,
        }
    }

    /// Gives a request its command id; equal requests with a key have the same one.
    pub fn context(&self, request: IncomingRequest) -> WriteContext {
        WriteContext::new(&self.commands, request)
    }

    /// The time by the clock that commands go by.
    pub fn now(&self) -> DateTime<Utc> {
        self.commands.now()
    }

    /// Today in the market's time zone.
    pub fn today(&self) -> NaiveDate {
        self.now().with_timezone(&self.options.time_zone).date_naive()
    }

    /// The first day that a period may begin on: today; `None` if the very same request was answered before,
    /// on an earlier day.
    pub async fn first_day(
        &self,
        context: &WriteContext,
    ) -> Result<Option<NaiveDate>, UseCaseError> {
        let meta = &context.meta;
        let is_repeat = meta.keyed && self.commands.was_done(meta).await?;
        Ok((!is_repeat).then(|| self.today()))
    }

    /// The item as it is now in the log, deleted or not.
    pub async fn item(&self, no: ItemNo) -> Result<Option<FoundItem>, UseCaseError> {
        Ok(self.queries.item_at(no, NEWEST).await?)
    }

    /// The reservation as it is now in the log.
    pub async fn reservation(
        &self,
        no: ReservationNo,
    ) -> Result<Option<FoundReservation>, UseCaseError> {
        Ok(self.queries.reservation_at(no, NEWEST).await?)
    }

    /// The item at the version that a write left.
    pub(crate) async fn written_item(
        &self,
        no: ItemNo,
        version: i64,
    ) -> Result<FoundItem, UseCaseError> {
        let found = self.queries.item_at(no, version).await.map_err(UseCaseError::AfterWrite)?;
        found.ok_or(UseCaseError::not_found("item-not-found"))
    }

    /// The reservation at the version that a write left.
    pub(crate) async fn written_reservation(
        &self,
        no: ReservationNo,
        version: i64,
    ) -> Result<FoundReservation, UseCaseError> {
        let found =
            self.queries.reservation_at(no, version).await.map_err(UseCaseError::AfterWrite)?;
        found.ok_or(UseCaseError::not_found("reservation-not-found"))
    }
}

/// Whether a command was refused for this reason.
pub(crate) fn is_refused(error: &CommandError, refusal: &impl Refusal) -> bool {
    matches!(error, CommandError::Refused { code, .. } if *code == refusal.code())
}
