//! Who relays a sale: a worker at a time, for as long as it says so again and again.
//!
//! A lease saves work and is no lock: what a worker does that has lost it and does not know yet is
//! harmless, because everything downstream of the relay takes repetitions for what they are.

/// A lease at most, ms: a worker that died holds its sales no longer than this.
pub const LEASE_MS_MAX: u64 = 60_000;

/// The lease of a sale, and who waits for it.
#[derive(Debug, Default)]
pub struct Lease {
    holder: Option<Claim>,
    /// Who last asked in vain.
    rival: Option<Claim>,
}

/// What a worker is told that asks for a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leased<'a> {
    /// Who has it now, if anybody.
    pub holder: Option<&'a str>,
    /// For how long still, ms.
    pub left_ms: u64,
    /// Who else has asked for it lately.
    pub rival: Option<&'a str>,
}

/// A worker's word, and for how long it counts.
#[derive(Debug)]
struct Claim {
    name: Box<str>,
    until_ms: u64,
    span_ms: u64,
}

// === impl Lease ===

impl Lease {
    /// Nobody's.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            holder: None,
            rival: None,
        }
    }

    /// A worker asks for the lease, for `span_ms` from now; 0: it gives back what it has. It is
    /// granted if nobody else has it.
    pub fn ask(&mut self, name: &str, span_ms: u64, now_ms: u64) -> Leased<'_> {
        for claim in [&mut self.holder, &mut self.rival] {
            claim.take_if(|claim| claim.name.as_ref() == name || claim.is_over(now_ms));
        }
        let place = if self.holder.is_none() {
            &mut self.holder
        } else {
            &mut self.rival
        };
        if span_ms > 0 {
            *place = Some(Claim {
                name: name.into(),
                until_ms: now_ms.saturating_add(span_ms),
                span_ms,
            });
        }
        let holder = self.holder.as_ref();
        Leased {
            holder: holder.map(|claim| &*claim.name),
            left_ms: holder.map_or(0, |claim| claim.until_ms.saturating_sub(now_ms)),
            rival: self.rival.as_ref().map(|claim| &*claim.name),
        }
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.claims().map(|claim| claim.name.len()).sum()
    }

    /// Pieces of memory.
    #[must_use]
    pub fn allocation_count(&self) -> usize {
        self.claims().count()
    }

    fn claims(&self) -> impl Iterator<Item = &Claim> {
        self.holder.iter().chain(&self.rival)
    }
}

// === impl Claim ===

impl Claim {
    /// Further ahead than its span it can only be after the clock went back: that would keep a dead
    /// worker's lease until the clock is there again.
    fn is_over(&mut self, now_ms: u64) -> bool {
        self.until_ms = self.until_ms.min(now_ms.saturating_add(self.span_ms));
        self.until_ms <= now_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who asks, for how long, when; and then who has it, for how long still, and who waits.
    type Step<'a> = (&'a str, u64, u64, Option<&'a str>, u64, Option<&'a str>);

    fn walk(steps: &[Step<'_>]) {
        let mut lease = Lease::new();
        for &(name, span_ms, now_ms, holder, left_ms, rival) in steps {
            let expected = Leased {
                holder,
                left_ms,
                rival,
            };
            assert_eq!(lease.ask(name, span_ms, now_ms), expected, "{now_ms}");
        }
    }

    #[test]
    fn one_worker_has_it_until_it_lapses() {
        walk(&[
            ("a", 3000, 1000, Some("a"), 3000, None),
            ("b", 3000, 2000, Some("a"), 2000, Some("b")),
            ("a", 3000, 2500, Some("a"), 3000, Some("b")),
            ("b", 3000, 5499, Some("a"), 1, Some("b")),
            ("b", 3000, 5500, Some("b"), 3000, None),
            ("a", 3000, 5600, Some("b"), 2900, Some("a")),
        ]);
    }

    #[test]
    fn what_is_given_back_is_free_at_once() {
        walk(&[
            ("a", 3000, 1000, Some("a"), 3000, None),
            ("b", 3000, 1100, Some("a"), 2900, Some("b")),
            ("b", 0, 1200, Some("a"), 2800, None),
            ("a", 0, 1300, None, 0, None),
            ("a", 0, 1400, None, 0, None),
            ("b", 3000, 1500, Some("b"), 3000, None),
        ]);
    }

    #[test]
    fn a_rival_that_is_gone_is_forgotten() {
        walk(&[
            ("a", 3000, 1000, Some("a"), 3000, None),
            ("b", 1000, 1000, Some("a"), 3000, Some("b")),
            ("a", 3000, 1999, Some("a"), 3000, Some("b")),
            ("a", 3000, 2000, Some("a"), 3000, None),
        ]);
    }

    #[test]
    fn a_clock_that_goes_back_keeps_a_dead_workers_lease_no_longer() {
        walk(&[
            ("a", 3000, 1_000_000, Some("a"), 3000, None),
            ("b", 3000, 5000, Some("a"), 3000, Some("b")),
            ("b", 3000, 7999, Some("a"), 1, Some("b")),
            ("b", 3000, 8000, Some("b"), 3000, None),
        ]);
    }

    #[test]
    fn names_are_counted() {
        let mut lease = Lease::new();
        assert_eq!((lease.heap_bytes(), lease.allocation_count()), (0, 0));
        lease.ask("ab", 1000, 0);
        lease.ask("c", 1000, 0);
        assert_eq!((lease.heap_bytes(), lease.allocation_count()), (3, 2));
    }
}
