//! The writing half of the interface: checks what comes, sends one command, answers with what the log
//! says came of it. It holds no query; what it shows comes through [`Answers`].
//!
//! Waits are bounded: a write that isn't applied everywhere in time is answered all the same, with
//! 202 where its outcome isn't in.

mod bodies;
mod hand_overs;
mod items;
mod outcome;
mod payments;
mod reservations;
mod write_outcome;

use crate::answers::{Answers, NEWEST};
use crate::extract::body::Fields;
use crate::extract::caller::Caller;
use crate::extract::conditions::Tags;
use crate::problem::kind::Kind;
use crate::problem::{Problem, kind};
use crate::representation::Representation;
use crate::resource::{Versioned, Viewer};
use crate::server::places;
use axum::response::Response;
use chrono::NaiveDate;
use chrono_tz::Tz;
use gdmarket_commands::{CommandError, CommandMeta, Commands, http_command_id};
use gdmarket_domain::{ItemNo, ReservationNo};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use utoipa_axum::router::OpenApiRouter;

/// A response, or why there is none.
type Answer = Result<Response, Problem>;

/// How long an ordinary write waits until the views have applied it.
const VIEW_WAIT: Duration = Duration::from_millis(250);
/// How long an answer that surely comes is waited for: the item's to a request to reserve, and the
/// reservation's to a payment whose outcome is known.
const DECISION_WAIT: Duration = Duration::from_secs(5);

/// What the writing half works with.
#[derive(Clone)]
pub(crate) struct CommandState {
    pub(crate) commands: Commands,
    pub(crate) answers: Arc<dyn Answers>,
    pub(crate) time_zone: Tz,
    /// How long a payment's outcome is waited for.
    pub(crate) payment_wait: Duration,
}

/// All routes that write.
pub(crate) fn router(state: CommandState) -> OpenApiRouter {
    routes().with_state(state)
}

/// The routes alone, for the OpenAPI document.
pub(crate) fn routes() -> OpenApiRouter<CommandState> {
    OpenApiRouter::new()
        .merge(items::router())
        .merge(hand_overs::router())
        .merge(reservations::router())
        .merge(payments::router())
}

impl CommandState {
    fn today(&self) -> NaiveDate {
        self.commands.now().with_timezone(&self.time_zone).date_naive()
    }

    fn viewer(&self, caller: &Caller) -> Viewer {
        Viewer { actor: caller.actor.clone(), today: self.today() }
    }

    /// Waits until `depth` rounds of reactions to this position, and the views, are through.
    async fn settled(&self, position: i64, depth: u32, until: Instant) {
        if position > 0 {
            let reached = self.answers.reacted(position, depth, until).await;
            self.answers.viewed(reached, until).await;
        }
    }

    /// What goes with a command that changes an existing item.
    async fn item_meta(
        &self,
        caller: &Caller,
        fields: &Fields,
        no: ItemNo,
    ) -> Result<CommandMeta, Problem> {
        let mut meta = self.meta(caller, fields);
        if let Some(tags @ Tags::Listed(_)) = &caller.if_none_match {
            let current = self.answers.item_at(no, NEWEST, &self.viewer(caller)).await?;
            meta.precondition.none_of = named(tags, current.as_ref());
        }
        Ok(meta)
    }

    /// What goes with a command that changes an existing reservation.
    async fn reservation_meta(
        &self,
        caller: &Caller,
        fields: &Fields,
        no: ReservationNo,
    ) -> Result<CommandMeta, Problem> {
        let mut meta = self.meta(caller, fields);
        if let Some(tags @ Tags::Listed(_)) = &caller.if_none_match {
            let current = self.answers.reservation_at(no, NEWEST, &self.viewer(caller)).await?;
            meta.precondition.none_of = named(tags, current.as_ref());
        }
        Ok(meta)
    }

    /// What goes with the command of this request.
    fn meta(&self, caller: &Caller, fields: &Fields) -> CommandMeta {
        let Caller { actor, key, method, path, .. } = caller;
        let command_id = key.as_ref().map_or_else(
            || self.commands.new_id(),
            |key| http_command_id(actor, method, path, key, 0),
        );
        CommandMeta {
            command_id,
            correlation_id: caller.correlation_id,
            causation: None,
            actor: actor.clone(),
            traceparent: caller.traceparent.clone(),
            // Without a key nothing can be sent again, and there is nothing to compare.
            fingerprint: key.as_ref().map(|_| fields.fingerprint(method, path)).unwrap_or_default(),
            precondition: caller.precondition(),
            keyed: key.is_some(),
        }
    }
}

impl CommandState {
    /// The first day that a period may begin on: today, unless the very same request was answered
    /// before, on an earlier day.
    async fn first_day(&self, meta: &CommandMeta) -> Result<Option<NaiveDate>, Problem> {
        let is_repeat = meta.keyed && self.commands.was_done(meta).await?;
        Ok((!is_repeat).then(|| self.today()))
    }
}

/// When a wait that begins now is over; at once for a caller that requested it, and where too many
/// wait already.
fn until(caller: &Caller, wait: Duration) -> Instant {
    let now = Instant::now();
    if caller.respond_async || !places::wait() { now } else { now.checked_add(wait).unwrap_or(now) }
}

/// What doesn't exist yet has no version: `If-Match` can't hold.
fn refuse_if_match(caller: &Caller) -> Result<(), Problem> {
    match caller.if_match {
        Some(_) => Err(Problem::new(&kind::STALE_VERSION)),
        None => Ok(()),
    }
}

/// The version of this representation, if `If-None-Match` names the representation.
fn named<T: Serialize>(tags: &Tags, current: Option<&Versioned<T>>) -> Vec<i64> {
    let named = current.filter(|current| tags.name(&Representation::of(current).etag));
    named.map(|current| current.version).into_iter().collect()
}

/// Whether a command was refused for this reason.
fn is_refused(error: &CommandError, kind: &Kind) -> bool {
    matches!(error, CommandError::Refused { code, .. } if *code == kind.code)
}
