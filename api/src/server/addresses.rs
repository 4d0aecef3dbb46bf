//! How much of the server one address uses. Every limit is for all callers together, and one address
//! gets no more than its share of it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A resource of the server whose use is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LimitedResource {
    /// Receiving the body of a request.
    Reading,
    /// Waiting for the views, for a decision, or for an outside service.
    Waiting,
    /// Following the events.
    Following,
    /// Working on a request.
    Working,
    /// Working on a read while all other places are taken.
    Reads,
}

/// What one address uses at the moment.
#[derive(Debug, Default)]
pub(crate) struct AddressUse {
    pub(super) connections: AtomicUsize,
    reading: AtomicUsize,
    waiting: AtomicUsize,
    following: AtomicUsize,
    working: AtomicUsize,
    reads: AtomicUsize,
    /// The table that lists it, and under which address.
    table: Option<(Weak<Table>, IpAddr)>,
}

impl AddressUse {
    fn new(table: Weak<Table>, address: IpAddr) -> Self {
        Self {
            connections: AtomicUsize::new(0),
            reading: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            following: AtomicUsize::new(0),
            working: AtomicUsize::new(0),
            reads: AtomicUsize::new(0),
            table: Some((table, address)),
        }
    }

    const fn of(&self, resource: LimitedResource) -> &AtomicUsize {
        match resource {
            LimitedResource::Reading => &self.reading,
            LimitedResource::Waiting => &self.waiting,
            LimitedResource::Following => &self.following,
            LimitedResource::Working => &self.working,
            LimitedResource::Reads => &self.reads,
        }
    }
}

type Table = Mutex<HashMap<IpAddr, Weak<AddressUse>>>;

/// The uses of all addresses that use anything. An address is in the table for as long as a connection, a
/// request or a follower of it holds its use, and not longer.
#[derive(Debug, Default)]
pub(super) struct Addresses(Arc<Table>);

impl Addresses {
    /// The use of this address.
    pub(super) fn of(&self, address: IpAddr) -> Arc<AddressUse> {
        let mut addresses = lock(&self.0);
        if let Some(known) = addresses.get(&address).and_then(Weak::upgrade) {
            return known;
        }
        let new = Arc::new(AddressUse::new(Arc::downgrade(&self.0), address));
        addresses.insert(address, Arc::downgrade(&new));
        new
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        lock(&self.0).len()
    }
}

fn lock(table: &Table) -> MutexGuard<'_, HashMap<IpAddr, Weak<AddressUse>>> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for AddressUse {
    fn drop(&mut self) {
        let Some((table, address)) = self.table.take() else { return };
        let Some(table) = table.upgrade() else { return };
        let mut addresses = lock(&table);
        // The address may have come back meanwhile: then its new use stays.
        if addresses.get(&address).is_some_and(|known| known.strong_count() == 0) {
            addresses.remove(&address);
        }
    }
}

/// The address that stands for a caller: of IPv6 the network, since one caller has all of its addresses.
pub(super) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
    }
}

/// A share of a limit, at least one.
pub(crate) fn share_of(most: usize, percent: usize) -> usize {
    most.saturating_mul(percent).div_euclid(100).max(1)
}

/// A limited number of places.
#[derive(Debug, Clone)]
pub(crate) struct Bound {
    resource: LimitedResource,
    places: Arc<Semaphore>,
    per_address: usize,
}

impl Bound {
    pub(crate) fn new(resource: LimitedResource, most: usize, percent: usize) -> Self {
        let places = Arc::new(Semaphore::new(most));
        Self { resource, places, per_address: share_of(most, percent) }
    }

    /// A place for this address; `None` if all are taken, or its share of them.
    pub(crate) fn place(&self, address: Option<&Arc<AddressUse>>) -> Option<Place> {
        let permit = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let resource = self.resource;
        let place = Place { _permit: permit, used: address.map(|of| (Arc::clone(of), resource)) };
        let before = address.map_or(0, |of| of.of(resource).fetch_add(1, Ordering::Relaxed));
        (before < self.per_address).then_some(place)
    }
}

/// One place, free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    used: Option<(Arc<AddressUse>, LimitedResource)>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some((address, resource)) = &self.used {
            address.of(*resource).fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_gets_its_share_and_others_get_the_rest() {
        let bound = Bound::new(LimitedResource::Reading, 4, 50);
        let (one, other) = (Arc::new(AddressUse::default()), Arc::new(AddressUse::default()));
        let of_one: Vec<_> = (0..3).filter_map(|_| bound.place(Some(&one))).collect();
        assert_eq!(of_one.len(), 2);
        let of_other = (bound.place(Some(&other)), bound.place(None), bound.place(None));
        assert!(of_other.0.is_some() && of_other.1.is_some() && of_other.2.is_none());
        drop(of_one);
        assert!(bound.place(Some(&one)).is_some());
    }

    #[test]
    fn ipv6_network_is_one_address() {
        let of = |text: &str| network_of(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:127.0.0.1"), of("127.0.0.1"));
    }
}
