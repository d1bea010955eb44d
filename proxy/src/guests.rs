//! Who is connected: how many, and how many from each address.
//!
//! An IPv6 customer has a network of his own, so that its addresses count as one.

use crate::limits::Limits;
use crate::networks::customer;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Tables of addresses, so that connections that come at once seldom wait for each other.
const TABLES: usize = 64;

/// Everybody who is connected.
pub(crate) struct Guests {
    present: AtomicUsize,
    hasher: RandomState,
    tables: [Mutex<HashMap<IpAddr, usize>>; TABLES],
}

/// One connection, until it is dropped.
pub(crate) struct Guest {
    guests: Arc<Guests>,
    /// What it counts for, if that is limited.
    address: Option<IpAddr>,
}

// === impl Guests ===

impl Guests {
    /// Nobody yet.
    pub(crate) fn new() -> Self {
        Self {
            present: AtomicUsize::new(0),
            hasher: RandomState::new(),
            tables: std::array::from_fn(|_| Mutex::default()),
        }
    }

    /// How many are connected.
    pub(crate) fn present(&self) -> usize {
        self.present.load(Ordering::Acquire)
    }

    /// Lets one more in, if there is room. `address` is whom it is counted for, if for anybody.
    pub(crate) fn admit(
        self: &Arc<Self>,
        address: Option<IpAddr>,
        limits: &Limits,
    ) -> Option<Guest> {
        let before = self.present.fetch_add(1, Ordering::AcqRel);
        let mut guest = Guest {
            guests: Arc::clone(self),
            address: None,
        };
        if before >= limits.connections {
            return None;
        }
        if let Some(address) = address.map(customer) {
            let mut table = self.table(address);
            let count = table.entry(address).or_insert(0);
            if *count >= limits.connections_per_address {
                return None;
            }
            *count = count.saturating_add(1);
            guest.address = Some(address);
        }
        Some(guest)
    }

    fn table(&self, address: IpAddr) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        let hash = self.hasher.hash_one(address) % TABLES as u64;
        let at = usize::try_from(hash).unwrap_or(0);
        #[expect(
            clippy::indexing_slicing,
            reason = "the rest of a division by its length"
        )]
        let table = &self.tables[at];
        table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Guest ===

impl Drop for Guest {
    fn drop(&mut self) {
        if let Some(address) = self.address
            && let Entry::Occupied(mut entry) = self.guests.table(address).entry(address)
        {
            let rest = entry.get().saturating_sub(1);
            if rest == 0 {
                entry.remove();
            } else {
                entry.insert(rest);
            }
        }
        self.guests.present.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Mistakes;
    use crate::limits::LimitsTable;

    fn limits() -> Limits {
        let table = LimitsTable {
            connections: 4,
            connections_per_address: 2,
            ..LimitsTable::default()
        };
        Limits::new(&table, &mut Mistakes::default()).unwrap()
    }

    #[test]
    fn an_address_has_its_share_until_it_leaves() {
        let guests = Arc::new(Guests::new());
        let limits = limits();
        let admit = |address: &str| guests.admit(Some(address.parse().unwrap()), &limits);
        let first = admit("10.0.0.1");
        let _second = admit("::ffff:10.0.0.1");
        assert!(first.is_some() && admit("10.0.0.1").is_none());
        assert_eq!(guests.present(), 2);
        drop(first);
        assert!(admit("10.0.0.1").is_some());
        assert_eq!(guests.present(), 1);
    }

    #[test]
    fn the_addresses_of_a_network_are_one() {
        let guests = Arc::new(Guests::new());
        let limits = limits();
        let admit = |address: &str| guests.admit(Some(address.parse().unwrap()), &limits);
        let _one = admit("2001:db8::1");
        let _two = admit("2001:db8::ffff:0:0:2");
        assert!(admit("2001:db8::3").is_none());
        assert!(admit("2001:db8:0:1::3").is_some());
    }

    #[test]
    fn who_is_not_counted_still_takes_room() {
        let guests = Arc::new(Guests::new());
        let limits = limits();
        let all: Vec<_> = (0..4).map(|_| guests.admit(None, &limits)).collect();
        assert!(all.iter().all(Option::is_some));
        assert!(guests.admit(None, &limits).is_none());
        drop(all);
        assert_eq!(guests.present(), 0);
        assert!(
            guests
                .tables
                .iter()
                .all(|table| table.lock().unwrap().is_empty())
        );
    }
}
