//! A hash table that never stops to grow as a whole.
//!
//! A table that doubles moves every entry at once: at five million that is a third of a second in
//! which nobody is answered. This one is made of small tables, the segments. A full one is split in
//! two, by one more bit of its entries' hashes, and the rest stays where it is (extendible hashing),
//! so the longest wait is for [`SEGMENT_ENTRIES_MAX`] entries.
//!
//! The entries' keys live elsewhere: the caller hashes, and compares.

use hashbrown::HashTable;

/// Entries of a segment at most: seven eighths of 1024 buckets.
pub(crate) const SEGMENT_ENTRIES_MAX: usize = 896;

/// Bits of a hash that choose a segment at most; beyond it segments grow.
const DEPTH_MAX: u32 = 24;

/// Segments that the directory has room for, for each that the entries would fill. Hashes that
/// agree in many bits make their segment grow and not the directory.
const DIRECTORY_SLACK: usize = 16;

/// The directory takes its bits from here up. A segment uses the lowest and the top seven.
const DIRECTORY_SHIFT: u32 = 32;

pub(crate) struct Table<T> {
    /// The segment of each value of the lowest `depth` bits.
    directory: Vec<u32>,
    segments: Vec<Segment<T>>,
    depth: u32,
    len: usize,
    /// Of all segments' entries, on the heap.
    entry_bytes: usize,
}

struct Segment<T> {
    /// All its hashes agree in so many bits.
    depth: u32,
    entries: HashTable<T>,
}

// === impl Table ===

impl<T> Table<T> {
    pub(crate) const fn new() -> Self {
        Self {
            directory: Vec::new(),
            segments: Vec::new(),
            depth: 0,
            len: 0,
            entry_bytes: 0,
        }
    }

    /// A table that takes so many entries without a split.
    pub(crate) fn with_capacity(entries: usize) -> Self {
        // A tenth of room, because hashes do not fall evenly.
        let wanted = entries.div_ceil(SEGMENT_ENTRIES_MAX - SEGMENT_ENTRIES_MAX / 10);
        let depth = wanted.next_power_of_two().ilog2().min(DEPTH_MAX);
        let segments: Vec<_> = (0..1_u32 << depth)
            .map(|_| Segment {
                depth,
                entries: HashTable::with_capacity(entries >> depth),
            })
            .collect();
        Self {
            directory: (0..1 << depth).collect(),
            entry_bytes: segments.iter().map(|s| s.entries.allocation_size()).sum(),
            segments,
            depth,
            len: 0,
        }
    }

    #[cfg(test)]
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) const fn segment_count(&self) -> usize {
        self.segments.len()
    }

    pub(crate) const fn heap_bytes(&self) -> usize {
        self.entry_bytes
            + self.segments.capacity() * size_of::<Segment<T>>()
            + self.directory.capacity() * size_of::<u32>()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.segments.iter().flat_map(|s| s.entries.iter())
    }

    pub(crate) fn find(&self, hash: u64, is_it: impl FnMut(&T) -> bool) -> Option<&T> {
        let segment = self.segments.get(self.segment_of(hash)?)?;
        segment.entries.find(hash, is_it)
    }

    pub(crate) fn find_mut(&mut self, hash: u64, is_it: impl FnMut(&T) -> bool) -> Option<&mut T> {
        let at = self.segment_of(hash)?;
        self.segments.get_mut(at)?.entries.find_mut(hash, is_it)
    }

    /// Adds an entry, which must not be there.
    pub(crate) fn insert(&mut self, hash: u64, value: T, hash_of: impl Fn(&T) -> u64) {
        loop {
            let Some(at) = self.segment_of(hash) else {
                *self = Self::with_capacity(1);
                continue;
            };
            let may_split = self.may_split(at);
            let Some(Segment { entries, .. }) = self.segments.get_mut(at) else {
                return;
            };
            if entries.len() == entries.capacity() {
                if may_split {
                    self.split(at, hash, &hash_of);
                    continue;
                }
                let bytes_before = entries.allocation_size();
                entries.reserve(1, &hash_of);
                self.entry_bytes += entries.allocation_size() - bytes_before;
            }
            entries.insert_unique(hash, value, hash_of);
            self.len += 1;
            return;
        }
    }

    /// Whether adding an entry of this hash needs more room than its segment has.
    pub(crate) fn is_full_at(&self, hash: u64) -> bool {
        let segment = self.segment_of(hash).and_then(|at| self.segments.get(at));
        segment.is_some_and(|s| s.entries.len() >= SEGMENT_ENTRIES_MAX)
    }

    /// Splits a hash's segment before it is full.
    pub(crate) fn split_at(&mut self, hash: u64, hash_of: impl Fn(&T) -> u64) {
        if let Some(at) = self.segment_of(hash) {
            self.split(at, hash, &hash_of);
        }
    }

    /// The entries of a hash's segment.
    pub(crate) fn neighbours(&self, hash: u64) -> impl Iterator<Item = &T> {
        let segment = self.segment_of(hash).and_then(|at| self.segments.get(at));
        segment.into_iter().flat_map(|s| s.entries.iter())
    }

    /// Drops entries from a hash's segment.
    pub(crate) fn retain_neighbours(&mut self, hash: u64, mut keep: impl FnMut(&T) -> bool) {
        let at = self.segment_of(hash);
        if let Some(segment) = at.and_then(|at| self.segments.get_mut(at)) {
            let before = segment.entries.len();
            segment.entries.retain(|entry| keep(entry));
            self.len -= before - segment.entries.len();
        }
    }

    fn segment_of(&self, hash: u64) -> Option<usize> {
        let bits = (hash >> DIRECTORY_SHIFT) & ((1 << self.depth) - 1);
        let at = self.directory.get(usize::try_from(bits).ok()?)?;
        Some(*at as usize)
    }

    /// Whether a segment is split rather than made larger. Called for a full one.
    fn may_split(&self, at: usize) -> bool {
        let filled = self.len / SEGMENT_ENTRIES_MAX + 1;
        self.segments.get(at).is_some_and(|segment| {
            segment.entries.len() >= SEGMENT_ENTRIES_MAX
                && segment.depth < DEPTH_MAX
                && 1 << segment.depth < filled * DIRECTORY_SLACK
        })
    }

    /// Splits the segment at `old`, which is the one of `hash`, by its next bit.
    #[cold]
    fn split(&mut self, old: usize, hash: u64, hash_of: &impl Fn(&T) -> u64) {
        let Ok(new) = u32::try_from(self.segments.len()) else {
            return;
        };
        let Some(segment) = self.segments.get_mut(old) else {
            return;
        };
        let bit = segment.depth;
        segment.depth += 1;
        let depth = segment.depth;
        let entries = std::mem::take(&mut segment.entries);
        self.entry_bytes -= entries.allocation_size();

        // Half of the entries would hardly fit into half of the room: one of the two would grow at
        // once.
        let mut halves = [(); 2].map(|()| HashTable::with_capacity(SEGMENT_ENTRIES_MAX));
        for entry in entries {
            let hash = hash_of(&entry);
            let [zero, one] = &mut halves;
            let half = if has_bit(hash, bit) { one } else { zero };
            half.insert_unique(hash, entry, hash_of);
        }
        let [zero, one] = halves;
        self.entry_bytes += zero.allocation_size() + one.allocation_size();
        segment.entries = zero;
        self.segments.push(Segment {
            depth,
            entries: one,
        });
        if bit == self.depth {
            self.directory.extend_from_within(..);
            self.depth += 1;
        }
        // Every place that led to the old segment and has the bit leads to the new one.
        let first = usize::try_from((hash >> DIRECTORY_SHIFT) & ((1 << bit) - 1)).unwrap_or(0);
        let places = self.directory.iter_mut().skip(first | 1 << bit);
        for place in places.step_by(1 << depth) {
            *place = new;
        }
    }
}

const fn has_bit(hash: u64, bit: u32) -> bool {
    hash >> (DIRECTORY_SHIFT + bit) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use foldhash::quality::FixedState;
    use std::hash::BuildHasher;

    fn hash(n: &u64) -> u64 {
        FixedState::with_seed(5).hash_one(n)
    }

    fn check(table: &Table<u64>, count: u64) {
        assert_eq!(table.len() as u64, count);
        assert_eq!(table.iter().count() as u64, count);
        for n in 0..count {
            assert_eq!(table.find(hash(&n), |&m| m == n), Some(&n));
        }
        assert_eq!(table.find(hash(&count), |&m| m == count), None);
        let entry_bytes: usize = table
            .segments
            .iter()
            .map(|s| s.entries.allocation_size())
            .sum();
        assert_eq!(table.entry_bytes, entry_bytes);
    }

    #[test]
    fn whatever_was_added_is_found_however_often_it_was_split() {
        let mut table = Table::new();
        assert_eq!(table.find(hash(&1), |_| true), None);
        for n in 0..200_000 {
            table.insert(hash(&n), n, hash);
            if n.is_multiple_of(20_011) {
                check(&table, n + 1);
            }
        }
        check(&table, 200_000);
        let largest = table.segments.iter().map(|s| s.entries.len()).max();
        assert!(largest <= Some(SEGMENT_ENTRIES_MAX));
    }

    #[test]
    fn a_table_of_the_right_size_is_hardly_split() {
        let mut table = Table::with_capacity(100_000);
        let segments = table.segment_count();
        for n in 0..100_000 {
            table.insert(hash(&n), n, hash);
        }
        check(&table, 100_000);
        assert_eq!(table.segment_count(), segments);
    }

    #[test]
    fn hashes_that_all_agree_do_not_split_for_ever() {
        let mut table = Table::new();
        for n in 0..2000 {
            table.insert(7, n, |_| 7);
        }
        assert_eq!(table.find(7, |&m| m == 1999), Some(&1999));
        assert!(table.directory.len() <= 64, "{}", table.directory.len());
    }

    #[test]
    fn what_is_dropped_from_a_segment_is_gone() {
        let mut table = Table::new();
        for n in 0..2000 {
            table.insert(hash(&n), n, hash);
        }
        let at = hash(&5);
        let gone = table.neighbours(at).count();
        table.retain_neighbours(at, |_| false);
        assert_eq!(table.len(), 2000 - gone);
        assert_eq!(table.find(at, |&m| m == 5), None);
    }
}
