//! The connections that are open, and how many there may be: in all, and of one address.
//!
//! When there are too many, one that waits for a request is closed for a new one. When none waits, a few
//! more are accepted for monitors alone, so that health checks work whatever callers do.

use super::activity::Activity;
use super::addresses::{AddressUse, Addresses, network_of, share_of};
use super::connection_watch::Timeouts;
use crate::http_options::HttpOptions;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Connections beyond the limit, for monitors.
pub(super) const SPARE: usize = 32;
/// How many of the oldest connections that wait for a request are considered for closing.
const CANDIDATES: usize = 256;
/// How often a full table is reported.
const REPORT_INTERVAL: Duration = Duration::from_mins(1);

/// All connections of a server.
#[derive(Debug)]
pub(super) struct Connections {
    most: usize,
    per_address: usize,
    timeouts: Timeouts,
    addresses: Addresses,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    open: BTreeMap<u64, Entry>,
    by_address: HashMap<IpAddr, BTreeSet<u64>>,
    spare: BTreeMap<u64, Arc<Activity>>,
    reported: Option<Instant>,
}

#[derive(Debug)]
struct Entry {
    address: IpAddr,
    of_address: Arc<AddressUse>,
    activity: Arc<Activity>,
}

impl Entry {
    /// Whether the connection waits for a request: nothing is being answered, and its client has taken
    /// all that was.
    fn is_waiting(&self) -> bool {
        !self.activity.is_answering() && !self.activity.is_blocked()
    }
}

/// One connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Connection {
    connections: Arc<Connections>,
    number: u64,
    pub(super) activity: Arc<Activity>,
    pub(super) address: Arc<AddressUse>,
    pub(super) is_spare: bool,
    pub(super) timeouts: Timeouts,
    open: metrics::Gauge,
}

impl Connections {
    /// The table of a server that may have this many files open.
    pub(super) fn new(options: &HttpOptions, files: usize) -> Arc<Self> {
        let most = options.connections.min(files.saturating_sub(SPARE)).max(1);
        let per_address = share_of(most, options.address_share_percent);
        let (addresses, table) = (Addresses::default(), Mutex::default());
        let timeouts = Timeouts::of(options);
        Arc::new(Self { most, per_address, timeouts, addresses, table })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a new connection; `None` if it can't be served at all.
    pub(super) fn open(self: &Arc<Self>, address: IpAddr) -> Option<Connection> {
        let address = network_of(address);
        let of_address = self.addresses.of(address);
        let activity = Activity::new();
        let mut table = self.table();
        let is_over_its_share = of_address.connections.load(Ordering::Relaxed) >= self.per_address;
        let is_full = is_over_its_share || table.open.len() >= self.most;
        let is_spare = is_full && !table.close_waiting(is_over_its_share.then_some(address));
        if is_full && table.is_report_due() {
            let open = table.open.len();
            self.report(
                open,
                is_over_its_share.then(|| of_address.connections.load(Ordering::Relaxed)),
            );
        }
        if is_spare && !table.has_spare_place() {
            metrics::counter!("gdmarket_http_connections_refused_total").increment(1);
            return None;
        }
        let number = table.next;
        table.next = number.saturating_add(1);
        if is_spare {
            table.spare.insert(number, Arc::clone(&activity));
        } else {
            of_address.connections.fetch_add(1, Ordering::Relaxed);
            table.by_address.entry(address).or_default().insert(number);
            let (of_address, activity) = (Arc::clone(&of_address), Arc::clone(&activity));
            table.open.insert(number, Entry { address, of_address, activity });
        }
        let open = metrics::gauge!("gdmarket_http_connections_open");
        open.increment(1.0);
        let (connections, timeouts) = (Arc::clone(self), self.timeouts);
        let address = of_address;
        Some(Connection { connections, number, activity, address, is_spare, timeouts, open })
    }

    fn report(&self, open: usize, of_one_address: Option<usize>) {
        let (most, per_address) = (self.most, self.per_address);
        if let Some(of_address) = of_one_address {
            tracing::warn!(
                of_address,
                per_address,
                "one address has its share of the connections: those of it that wait for a request are closed \
                 for new ones; behind a gateway, where all callers have one address, set \
                 server.address_share_percent to 100"
            );
        } else {
            tracing::warn!(
                open,
                most,
                "connections are at their limit: those that wait for a request are closed for new ones"
            );
        }
    }

    fn close(&self, number: u64) {
        let mut table = self.table();
        table.spare.remove(&number);
        table.remove(number);
    }
}

impl Table {
    /// Closes a connection that waits for a request, one that never sent any before others; of this
    /// address if one is given. `false` if there is none.
    fn close_waiting(&mut self, address: Option<IpAddr>) -> bool {
        let found = match address {
            Some(address) => {
                let numbers = self.by_address.get(&address).into_iter().flatten();
                waiting_connection(
                    numbers.filter_map(|number| Some((*number, self.open.get(number)?))),
                )
            }
            None => waiting_connection(self.open.iter().map(|(number, entry)| (*number, entry))),
        };
        let Some(number) = found else { return false };
        if let Some(entry) = self.open.get(&number) {
            entry.activity.cut();
        }
        metrics::counter!("gdmarket_http_connections_cut_total", "reason" => "room").increment(1);
        self.remove(number)
    }

    /// Whether one more connection for monitors can be taken, after closing a silent one if need be.
    fn has_spare_place(&mut self) -> bool {
        if self.spare.len() < SPARE {
            return true;
        }
        let silent = self.spare.iter().find(|(_, activity)| !activity.is_answering());
        let silent = silent.map(|(number, activity)| (*number, Arc::clone(activity)));
        silent.is_some_and(|(number, activity)| {
            activity.cut();
            self.spare.remove(&number).is_some()
        })
    }

    /// Removes a connection; `false` if it wasn't there.
    fn remove(&mut self, number: u64) -> bool {
        let Some(Entry { address, of_address, .. }) = self.open.remove(&number) else {
            return false;
        };
        of_address.connections.fetch_sub(1, Ordering::Relaxed);
        if let Some(numbers) = self.by_address.get_mut(&address) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.by_address.remove(&address);
            }
        }
        true
    }

    fn is_report_due(&mut self) -> bool {
        let now = Instant::now();
        let is_due = self.reported.is_none_or(|last| now.duration_since(last) >= REPORT_INTERVAL);
        if is_due {
            self.reported = Some(now);
        }
        is_due
    }
}

/// The connection to close: of the oldest ones that wait for a request the first that never sent any, else
/// the first.
fn waiting_connection<'a>(oldest_first: impl Iterator<Item = (u64, &'a Entry)>) -> Option<u64> {
    let waiting = oldest_first.filter(|(_, entry)| entry.is_waiting());
    let waiting: Vec<_> = waiting.take(CANDIDATES).collect();
    let never_requested = waiting.iter().find(|(_, entry)| !entry.activity.has_requested());
    never_requested.or_else(|| waiting.first()).map(|(number, _)| *number)
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.open.decrement(1.0);
        self.connections.close(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::addresses::{Bound, LimitedResource};

    /// A table in which one address gets half of the connections, or all when there are 1 or 301.
    fn table(connections: usize) -> Arc<Connections> {
        let address_share_percent = if matches!(connections, 1 | 301) { 100 } else { 50 };
        let options = HttpOptions { connections, address_share_percent, ..HttpOptions::default() };
        Connections::new(&options, 1_000)
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[tokio::test]
    async fn silent_connection_is_closed_for_a_new_one_of_its_address() {
        let connections = table(4);
        let first = connections.open(address(1)).unwrap();
        let busy = connections.open(address(1)).unwrap();
        let _answering = busy.activity.begin();
        let other = connections.open(address(2)).unwrap();
        let third = connections.open(address(1)).unwrap();
        assert!(!third.is_spare && !other.is_spare);
        first.activity.is_cut().await;
        let _answering = third.activity.begin();
        assert!(connections.open(address(1)).unwrap().is_spare, "the share of the address is busy");
        assert!(!connections.open(address(2)).unwrap().is_spare);
    }

    #[tokio::test]
    async fn some_spare_connections_are_accepted_when_all_are_busy() {
        let connections = table(2);
        let busy: Vec<_> = (1..=2).map(|n| connections.open(address(n)).unwrap()).collect();
        let _answering: Vec<_> = busy.iter().map(|busy| busy.activity.begin()).collect();
        let spare: Vec<_> = (0..SPARE).filter_map(|_| connections.open(address(3))).collect();
        assert!(spare.len() == SPARE && spare.iter().all(|one| one.is_spare));
        let _asking: Vec<_> = spare.iter().skip(1).map(|one| one.activity.begin()).collect();
        assert!(
            connections.open(address(4)).is_some_and(|one| one.is_spare),
            "the silent connection is closed"
        );
        spare.first().unwrap().activity.is_cut().await;
        let _last = spare.first().unwrap().activity.begin();
        drop(busy);
        assert!(!connections.open(address(4)).unwrap().is_spare);
    }

    #[tokio::test]
    async fn idle_connection_behind_many_busy_ones_is_closed() {
        let connections = table(301);
        let busy: Vec<_> = (0..300).map(|_| connections.open(address(1)).unwrap()).collect();
        let _answering: Vec<_> = busy.iter().map(|busy| busy.activity.begin()).collect();
        let idle = connections.open(address(1)).unwrap();
        assert!(!connections.open(address(1)).unwrap().is_spare);
        idle.activity.is_cut().await;
    }

    #[tokio::test]
    async fn connection_with_an_unread_answer_is_not_closed() {
        let connections = table(1);
        let sending = connections.open(address(1)).unwrap();
        drop(sending.activity.begin());
        sending.activity.has_written(None);
        assert!(connections.open(address(1)).unwrap().is_spare);
        sending.activity.has_written(Some(1));
        assert!(!connections.open(address(1)).unwrap().is_spare);
        sending.activity.is_cut().await;
    }

    #[tokio::test]
    async fn addresses_are_tracked_only_while_they_have_connections_or_places() {
        let connections = table(1);
        let first = connections.open(address(1)).unwrap();
        let _answering = first.activity.begin();
        let spare: Vec<_> = (0..SPARE).filter_map(|_| connections.open(address(2))).collect();
        let _asking: Vec<_> = spare.iter().map(|one| one.activity.begin()).collect();
        for last in 3..=250 {
            assert!(connections.open(address(last)).is_none(), "all places are taken");
        }
        assert_eq!(connections.addresses.count(), 2);
        drop(spare);
        assert_eq!(connections.addresses.count(), 1);
    }

    #[tokio::test]
    async fn address_keeps_its_use_beyond_its_last_connection() {
        let connections = table(2);
        let bound = Bound::new(LimitedResource::Following, 2, 50);
        let first = connections.open(address(1)).unwrap();
        let following = bound.place(Some(&first.address)).unwrap();
        drop(first);
        let again = connections.open(address(1)).unwrap();
        assert!(bound.place(Some(&again.address)).is_none(), "the share of the address is one");
        drop(following);
        assert!(bound.place(Some(&again.address)).is_some());
    }
}
