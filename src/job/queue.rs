//! The jobs of one driver that can go on, in order.
//!
//! It lies between the driver's loop and `yield_now`, which hands over to the next job
//! directly: one switch for each job's turn instead of two.

use std::cell::{Cell, RefCell};

use super::core::Raw;

/// A ring of jobs. `head` and `len` count jobs; the ring's size is a power of two.
#[derive(Default)]
pub(crate) struct Queue {
    ring: RefCell<Box<[Option<Raw>]>>,
    head: Cell<usize>,
    len: Cell<usize>,
    /// Direct hand-overs left before the driver's loop must have a look.
    budget: Cell<usize>,
    /// A job with FP control words of its own is among the driver's: no hand-overs.
    forbidden: Cell<bool>,
}

/// How far ahead of its turn a job's control block is brought into the cache.
const AHEAD: usize = 8;

impl Queue {
    pub(crate) fn push(&self, job: Raw) {
        let mut ring = self.ring.borrow_mut();
        if self.len.get() == ring.len() {
            *ring = self.grown(&ring);
            self.head.set(0);
        }
        let mask = ring.len() - 1;
        ring[(self.head.get() + self.len.get()) & mask] = Some(job);
        self.len.update(|len| len + 1);
    }

    /// The next job, for the driver's loop.
    #[inline]
    pub(crate) fn pop(&self) -> Option<Raw> {
        self.len.set(self.len.get().checked_sub(1)?);
        let ring = self.ring.borrow();
        let head = self.advance();
        prefetch(&ring, head + AHEAD);
        ring[head & (ring.len() - 1)]
    }

    pub(crate) fn len(&self) -> usize {
        self.len.get()
    }

    /// Allows direct hand-overs from here on, no more than that; returns how many.
    pub(crate) fn allow_hand_overs(&self, most: usize) -> usize {
        let budget = if self.forbidden.get() { 0 } else { most };
        self.budget.set(budget);
        budget
    }

    /// Allows no more of them; returns how many were left.
    pub(crate) fn end_hand_overs(&self) -> usize {
        self.budget.take()
    }

    /// Leaves every turn to the driver's loop from here on.
    pub(super) fn forbid_hand_overs(&self) {
        self.forbidden.set(true);
        self.budget.set(0);
    }

    /// Puts `job` at the end and returns the first, if they may hand over directly.
    #[inline(always)]
    pub(super) fn rotate(&self, job: Raw) -> Option<Raw> {
        let (budget, len) = (self.budget.get(), self.len.get());
        if budget == 0 || len == 0 {
            return None;
        }
        self.budget.set(budget - 1);
        let mut ring = self.ring.try_borrow_mut().ok()?;
        let mask = ring.len().wrapping_sub(1);
        let head = self.advance();
        prefetch(&ring, head + AHEAD);
        let next = *ring.get(head & mask)?;
        // In a full ring this is the place just vacated.
        *ring.get_mut((head + len) & mask)? = Some(job);
        next
    }

    /// Takes out a job that is cancelled before its turn.
    pub(crate) fn remove(&self, job: Raw) {
        let waiting: Vec<_> = std::iter::from_fn(|| self.pop()).collect();
        waiting.into_iter().filter(|other| *other != job).for_each(|other| self.push(other));
    }

    /// Moves the head on; returns where it was.
    #[inline(always)]
    fn advance(&self) -> usize {
        let head = self.head.get();
        self.head.set(head.wrapping_add(1));
        head
    }

    /// A ring of twice the size, with the same jobs from its start.
    #[cold]
    fn grown(&self, ring: &[Option<Raw>]) -> Box<[Option<Raw>]> {
        let size = (ring.len() * 2).max(64);
        let jobs = (0..ring.len()).map(|i| ring[(self.head.get() + i) & (ring.len() - 1)]);
        jobs.chain(std::iter::repeat(None)).take(size).collect()
    }
}

/// Brings a job's control block into the cache, if it is there that one stands.
#[inline(always)]
fn prefetch(ring: &[Option<Raw>], at: usize) {
    if let Some(Some(soon)) = ring.get(at & ring.len().wrapping_sub(1)) {
        soon.prefetch();
    }
}
