//! `GET /events`: the market's events as they happen, as server-sent events. Every id is a token of the
//! log, so a reader that reconnects with its last id misses nothing and sees nothing twice, on any replica.
//!
//! A slow reader lags behind in the log and nowhere else; the stream of a reader that takes nothing for a
//! while ends. Events carry no names, and are sent without their origin.

mod pump;

use super::QueryState;
use crate::extract::caller::{LastEventId, Reader};
use crate::extract::query::Params;
use crate::http_options::HttpOptions;
use crate::problem::field_fault::{Fault, FieldFault};
use crate::problem::{Problem, kind};
use crate::server::Shutdown;
use crate::server::addresses::{Bound, LimitedResource, Place};
use crate::server::connection::Peer;
use axum::Extension;
use axum::extract::State;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use gdmarket_domain::{Actor, ItemNo, ReservationNo, event_names};
use gdmarket_projections::{About, EventView, Queries};
use http::{HeaderValue, header};
use pump::Pump;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::mpsc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How many events wait for one reader outside of the log.
const QUEUE_LENGTH: usize = 16;
/// When a reader that found no place may try again.
const FULL: Duration = Duration::from_secs(5);
/// The version of an aggregate's newest state.
const NEWEST: i64 = i64::MAX;

/// The places for streams, and when all of them end.
#[derive(Debug, Clone)]
pub(crate) struct EventStreams {
    places: Bound,
    shutdown: Shutdown,
    drain_delay: Duration,
    stalled_reader: Duration,
}

impl EventStreams {
    pub(crate) fn new(options: &HttpOptions, shutdown: Shutdown) -> Self {
        let (most, share) = (options.event_streams, options.address_share_percent);
        let places = Bound::new(LimitedResource::Following, most, share);
        let (drain_delay, stalled_reader) = (options.drain_delay, options.stalled_reader);
        Self { places, shutdown, drain_delay, stalled_reader }
    }

    fn place(&self, peer: Option<&Peer>) -> Result<Following, Problem> {
        let place = self.places.place(peer.map(|peer| &peer.address)).ok_or_else(|| {
            metrics::counter!("gdmarket_event_streams_refused_total").increment(1);
            Problem::new(&kind::OVERLOADED).retry_after(FULL)
        })?;
        let open = metrics::gauge!("gdmarket_event_streams_open");
        open.increment(1.0);
        Ok(Following { _place: place, open })
    }
}

/// One stream's place, given back when it ends.
struct Following {
    _place: Place,
    open: metrics::Gauge,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.open.decrement(1.0);
    }
}

pub(super) fn router() -> OpenApiRouter<QueryState> {
    OpenApiRouter::new().routes(routes!(events))
}

/// The market's events as they happen.
///
/// Server-sent events: `id` is a token, `data` the event. It begins now, after the event of
/// `Last-Event-ID` (which a browser sends by itself when it comes back), or after `after`. An event named
/// `reset` says that the `Last-Event-ID` was of another log: what is known from it must be read
/// again, and the stream continues from now. A comment comes every 15 s when nothing else does. Operators may
/// follow all events, an owner those of an item of theirs, a renter those of a
/// reservation of theirs: they name it.
#[utoipa::path(get, path = "/events", operation_id = "followEvents",
    tag = "events",
    params(
        ("itemNo" = Option<i64>, Query, description = "Only what is of this item or names it."),
        ("reservationNo" = Option<i64>, Query,
            description = "Only what is of this reservation or names it."),
        ("paymentNo" = Option<i64>, Query,
            description = "Only what is of this payment attempt or names it."),
        ("type" = Option<String>, Query, description = "Only events of this type."),
        ("after" = Option<String>, Query,
            description = "Begin after this: the `Gdmarket-At` of a write, or the id of an event."),
        ("Last-Event-ID" = Option<String>, Header,
            description = "The last id that was received; goes before `after`.")),
    responses((status = 200, description = "A stream that doesn't end.", body = EventView,
        content_type = "text/event-stream")))]
async fn events(
    State(state): State<QueryState>,
    Reader(actor): Reader,
    LastEventId(last): LastEventId,
    peer: Option<Extension<Peer>>,
    mut params: Params,
) -> Result<Response, Problem> {
    let about = About {
        item_no: params.number("itemNo"),
        reservation_no: params.number("reservationNo"),
        payment_no: params.number("paymentNo"),
        event_type: params.word("type", event_names()),
    };
    // A browser reconnects to the same address, whose `after` may be of a log that is gone by now.
    let reconnects = last.is_some();
    let position_of = |token: &str| state.tokens.position(token);
    let after =
        params.token("after", |token| if reconnects { Some(0) } else { position_of(token) });
    params.finish()?;
    if !may_follow(&state.queries, &actor, &about).await? {
        return Err(Problem::new(&kind::WRONG_ACTOR).with_detail(
            "Name an item that you own with itemNo, or a reservation of yours with reservationNo.",
            "내 물건은 itemNo로, 내 예약은 reservationNo로 지정하세요.",
        ));
    }
    let place = state.event_streams.place(peer.as_ref().map(|Extension(peer)| peer))?;
    let mut follower = state.queries.follow(about).await?;
    let is_known = match (last, after) {
        (Some(token), _) => position_of(&token).is_some_and(|last| follower.go_back_to(last)),
        (None, Some(after)) if !follower.go_back_to(after) => {
            return Err(Problem::invalid(vec![FieldFault::new("after", Fault::UnknownToken)]));
        }
        (None, Some(_) | None) => true,
    };
    let EventStreams { shutdown, drain_delay, stalled_reader, .. } = state.event_streams;
    let (events, received) = mpsc::channel(QUEUE_LENGTH);
    let pump = Pump { follower, tokens: state.tokens, events, stalled_reader };
    tokio::spawn(async move {
        pump.run(is_known, shutdown.stopped_accepting(drain_delay)).await;
        drop(place);
    });
    Ok(answer(received))
}

/// Whether an actor may follow what is about this; a problem if there is no such reservation or item.
async fn may_follow(queries: &Queries, actor: &Actor, about: &About) -> Result<bool, Problem> {
    if actor.acts_for_anyone() {
        return Ok(true);
    }
    if let Some(no) = about.reservation_no.and_then(|no| ReservationNo::new(no).ok()) {
        let found = queries.reservation_at(no, NEWEST).await?;
        let found = found.ok_or_else(|| Problem::new(&kind::RESERVATION_NOT_FOUND))?;
        let Some(request) = found.state.request() else { return Ok(false) };
        return Ok(actor.is_renter(request.renter_id)
            || owns(queries, actor, request.item_no).await? == Some(true));
    }
    if let Some(no) = about.item_no.and_then(|no| ItemNo::new(no).ok()) {
        let owns = owns(queries, actor, no).await?;
        return owns.ok_or_else(|| Problem::new(&kind::ITEM_NOT_FOUND));
    }
    Ok(false)
}

/// Whether an actor owns an item; `None` if there never was such an item.
async fn owns(queries: &Queries, actor: &Actor, no: ItemNo) -> Result<Option<bool>, Problem> {
    let item = queries.item_at(no, NEWEST).await?;
    Ok(item.map(|item| actor.is_owner(item.state.owner_id())))
}

fn answer(received: mpsc::Receiver<Event>) -> Response {
    let events = futures::stream::unfold(received, async |mut received| {
        let event = received.recv().await?;
        Some((Ok::<_, Infallible>(event), received))
    });
    let mut response = Sse::new(events).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // A proxy in between must not buffer what is to be seen at once.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
