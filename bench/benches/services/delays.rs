//! The time from an event's commit in one service to its effect in another: from a requested reservation in the reservation
//! service's log to the calendar's answer in the item service's log. Both logs are on one PostgreSQL server, whose clock stamps both.

use crate::people::People;
use anyhow::Context as _;
use gdmarket_testkit::SplitMarket;
use sqlx::PgPool;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep};

/// Events of one reservation: requested, held, reserved.
const PER_RESERVATION: f64 = 3.0;
const WARM_UP: Duration = Duration::from_secs(1);
/// The longest until all reservations are decided.
const SETTLED_WITHIN: Duration = Duration::from_mins(1);
/// Items, each reserved for another day in turn.
const ITEMS: usize = 200;

/// The delays at one rate.
pub(crate) struct Delays {
    pub(crate) events_per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

impl fmt::Display for Delays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { events_per_second, p50_ms, p99_ms } = self;
        write!(f, "{events_per_second:.0} events/s, delay p50 {p50_ms:.1} ms, p99 {p99_ms:.1} ms")
    }
}

/// Reserves in an open loop at this many events per second.
pub(crate) async fn measure(
    market: &SplitMarket,
    events: f64,
    measured: Duration,
) -> anyhow::Result<Delays> {
    let people = People::of(market);
    let mut items = Vec::with_capacity(ITEMS);
    for _ in 0..ITEMS {
        items.push(people.register().await?);
    }
    let mut tick = interval(Duration::from_secs_f64(PER_RESERVATION / events));
    let (started, mut reserving) = (Instant::now(), JoinSet::new());
    for n in 0.. {
        tick.tick().await;
        if started.elapsed() >= WARM_UP + measured {
            break;
        }
        let item_no = items.get(n % ITEMS).copied().context("an item")?;
        let (people, days) = (people.clone(), days(n / ITEMS));
        reserving.spawn(async move { people.reserve(item_no, Some(days)).await });
    }
    let elapsed = started.elapsed();
    let mut requested = 0_u32;
    while let Some(done) = reserving.join_next().await {
        done??;
        requested += 1;
    }
    let delays = delays(market, usize::try_from(requested)?).await?;
    let at = |per_mille: usize| {
        let index = (delays.len() * per_mille / 1_000).min(delays.len().saturating_sub(1));
        delays.get(index).copied().unwrap_or(f64::NAN)
    };
    let events_per_second = f64::from(requested) * PER_RESERVATION / elapsed.as_secs_f64();
    Ok(Delays { events_per_second, p50_ms: at(500), p99_ms: at(990) })
}

/// One day of its own for each round over the items.
fn days(round: usize) -> [String; 2] {
    let day = |round: usize| format!("2027-{:02}-{:02}", 1 + round / 28 % 12, 1 + round % 28);
    [day(round), day(round + 1)]
}

/// The delays of all reservations after the warm-up in milliseconds, sorted.
async fn delays(market: &SplitMarket, requested: usize) -> anyhow::Result<Vec<f64>> {
    let items = gdmarket_bench::database::connect(market.db("item").url()).await?;
    let reservations = gdmarket_bench::database::connect(market.db("reservation").url()).await?;
    let until = Instant::now() + SETTLED_WITHIN;
    let held = loop {
        let held = times(&items, "ItemHeld").await?;
        if held.len() >= requested {
            break held;
        }
        anyhow::ensure!(
            Instant::now() < until,
            "{} of {requested} reservations are held",
            held.len()
        );
        sleep(Duration::from_millis(100)).await;
    };
    let requested = times(&reservations, "ReservationRequested").await?;
    let first = requested.values().min().copied().unwrap_or(0);
    let warm = first + i64::try_from(WARM_UP.as_micros())?;
    let mut delays = vec![];
    for (number, at) in requested.into_iter().filter(|(_, at)| *at >= warm) {
        let micros = held.get(&number).context("an answer")? - at;
        delays.push(f64::from(i32::try_from(micros)?) / 1_000.0);
    }
    delays.sort_by(f64::total_cmp);
    Ok(delays)
}

/// When each reservation's event of this type was recorded, in microseconds.
async fn times(log: &PgPool, event_type: &str) -> anyhow::Result<BTreeMap<i64, i64>> {
    let sql = "SELECT (payload::jsonb -> $1 ->> 'reservationNo')::bigint, recorded_at FROM events WHERE event_type = $1";
    let rows: Vec<(i64, i64)> = sqlx::query_as(sql).bind(event_type).fetch_all(log).await?;
    Ok(rows.into_iter().collect())
}
