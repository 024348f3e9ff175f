//! The jobs of one driver that can go on, in order.
//!
//! It lies between the driver's loop and `yield_now`, which hands over to the next job
//! directly: one switch for each job's turn instead of two.

use std::cell::{Cell, UnsafeCell};
use std::ptr;

use super::core::Raw;

/// A ring of places, whose number is a power of two. Each job knows its place; where one
/// was cancelled, the place stays empty until its turn comes.
pub(crate) struct Queue {
    ring: UnsafeCell<Box<[Place]>>,
    /// The place of the next job, counted on and on.
    head: Cell<usize>,
    /// Places from the head to the last job's.
    span: Cell<usize>,
    /// Jobs in them.
    len: Cell<usize>,
    /// The place behind the last one of the present round.
    stop: Cell<usize>,
    /// A job with FP control words of its own is among the driver's: no hand-overs.
    forbidden: Cell<bool>,
    /// Places before those of the present ring ...
    passed: Cell<u64>,
    /// ... and how many of all were empty.
    empty: Cell<u64>,
}

type Place = Cell<Option<Raw>>;

thread_local! {
    /// The queue whose jobs may hand over to each other; null, or nobody's address, if none may.
    /// A job knows its queue, too; but what is found through the job must wait for that to be
    /// loaded, turn after turn.
    static ACTIVE: Cell<*const Queue> = const { Cell::new(ptr::null()) };
}

/// How many turns ahead a job is brought into the cache ...
const AHEAD: usize = 8;
/// ... unless there are so few that they stay there.
const FEW: usize = 128;

impl Default for Queue {
    fn default() -> Self {
        Queue {
            ring: UnsafeCell::new(ring(64)),
            head: Cell::new(0),
            span: Cell::new(0),
            len: Cell::new(0),
            stop: Cell::new(0),
            forbidden: Cell::new(false),
            passed: Cell::new(0),
            empty: Cell::new(0),
        }
    }
}

impl Queue {
    pub(crate) fn push(&self, job: Raw) {
        if self.span.get() == self.ring().len() {
            self.rebuild();
        }
        let place = self.end();
        job.core().place.set(place);
        at(self.ring(), place).set(Some(job));
        self.span.update(|span| span + 1);
        self.len.update(|len| len + 1);
    }

    /// How many jobs have left it for their turn, ever: no turn has to be counted, since the
    /// head moves on by one at each.
    pub(crate) fn turns(&self) -> u64 {
        self.passed.get() + self.head.get() as u64 - self.empty.get()
    }

    pub(crate) fn len(&self) -> usize {
        self.len.get()
    }

    /// One turn for each job that is in the queue now: those that the answer names, and
    /// those to which they hand over meanwhile.
    pub(crate) fn round(&self) -> Round<'_> {
        self.stop.set(self.end());
        Round { queue: self, outer: ACTIVE.replace(self.mark()) }
    }

    /// Leaves every turn to the driver's loop from here on.
    pub(super) fn forbid_hand_overs(&self) {
        self.forbidden.set(true);
        if self.is_innermost() {
            ACTIVE.set(self.mark());
        }
    }

    /// What a round of this queue makes active: while hand-overs are forbidden no queue, but an
    /// odd address of this one's own.
    fn mark(&self) -> *const Queue {
        ptr::from_ref(self).wrapping_byte_add(usize::from(self.forbidden.get()))
    }

    /// Whether the last round to begin, or to be gone back to, is one of this queue.
    fn is_innermost(&self) -> bool {
        ACTIVE.get().addr() & !1 == ptr::from_ref(self).addr()
    }

    /// Puts `job` at the end of its queue and returns the first of that, if they may hand
    /// over directly.
    #[inline(always)]
    pub(super) fn next_after(job: Raw) -> Option<Raw> {
        let active = ACTIVE.get();
        if active != job.core().queue.get() || job.core().blocked.get() != 0 {
            return None;
        }
        // SAFETY: what a job has is a queue, kept by whoever attached it, or NO_QUEUE, which is
        // never active.
        unsafe { &*active }.rotate(job)
    }

    #[inline(always)]
    fn rotate(&self, job: Raw) -> Option<Raw> {
        let head = self.head.get();
        if head == self.stop.get() {
            return None;
        }
        let ring = self.ring();
        let next = at(ring, head).take()?;
        // In a full ring this is the place just vacated.
        let place = self.end();
        at(ring, place).set(Some(job));
        job.core().place.set(place);
        if self.span.get() > FEW {
            prefetch(ring, head);
        }
        self.head.set(head.wrapping_add(1));
        Some(next)
    }

    /// Takes out a job that is cancelled before its turn.
    pub(crate) fn remove(&self, job: Raw) {
        let place = job.core().place.get();
        // Not there if it runs: it has ended the process, and its scheduler is dropped.
        let queued = place.wrapping_sub(self.head.get()) < self.span.get();
        if queued && at(self.ring(), place).get() == Some(job) {
            at(self.ring(), place).set(None);
            self.len.update(|len| len - 1);
        }
    }

    #[inline(always)]
    fn ring(&self) -> &[Place] {
        // SAFETY: only `rebuild` writes to it, at a time when nobody here holds a reference.
        unsafe { &*self.ring.get() }
    }

    /// The place behind the last job's.
    #[inline(always)]
    fn end(&self) -> usize {
        self.head.get().wrapping_add(self.span.get())
    }

    /// Makes room: a ring of twice as many places as there are jobs, at its start.
    #[cold]
    fn rebuild(&self) {
        let new = ring((2 * self.len.get()).next_power_of_two().max(64));
        let (mut jobs, mut stop) = (0, 0);
        for place in 0..self.span.get() {
            let place = self.head.get().wrapping_add(place);
            if let Some(job) = at(self.ring(), place).get() {
                job.core().place.set(jobs);
                new[jobs].set(Some(job));
                jobs += 1;
            }
            if place.wrapping_add(1) == self.stop.get() {
                stop = jobs;
            }
        }
        self.passed.update(|passed| passed + self.head.get() as u64);
        self.head.set(0);
        self.span.set(jobs);
        self.stop.set(stop);
        // SAFETY: no reference to the old one is left.
        unsafe { *self.ring.get() = new };
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // In the middle of a round when a job has ended the process.
        if self.is_innermost() {
            ACTIVE.set(ptr::null());
        }
    }
}

/// A turn for each job of a [`Queue`]: see [`Queue::round`].
pub(crate) struct Round<'a> {
    queue: &'a Queue,
    outer: *const Queue,
}

impl Iterator for Round<'_> {
    type Item = Raw;

    #[inline]
    fn next(&mut self) -> Option<Raw> {
        let Queue { head, span, stop, len, .. } = self.queue;
        loop {
            let place = head.get();
            if place == stop.get() {
                return None;
            }
            if span.get() > FEW {
                prefetch(self.queue.ring(), place);
            }
            head.set(place.wrapping_add(1));
            span.update(|span| span - 1);
            if let Some(job) = at(self.queue.ring(), place).take() {
                len.update(|len| len - 1);
                return Some(job);
            }
            self.queue.empty.update(|empty| empty + 1);
        }
    }
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        // Otherwise the job that it runs in has paused meanwhile, and been resumed inside a round
        // that began later.
        if self.queue.is_innermost() {
            ACTIVE.set(self.outer);
        }
    }
}

/// Brings jobs into the cache that will have their turns soon: where a stack goes on is
/// written in the control block, which is brought there before.
#[inline(always)]
fn prefetch(ring: &[Place], head: usize) {
    if let Some(soon) = at(ring, head.wrapping_add(2 * AHEAD)).get() {
        soon.prefetch();
    }
    if let Some(soon) = at(ring, head.wrapping_add(AHEAD)).get() {
        soon.prefetch_frame();
    }
}

#[inline(always)]
fn at(ring: &[Place], place: usize) -> &Place {
    // SAFETY: the remainder, as the size is a power of two.
    unsafe { ring.get_unchecked(place & (ring.len() - 1)) }
}

fn ring(places: usize) -> Box<[Place]> {
    vec![const { Cell::new(None) }; places].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As when a job that runs a scheduler of its own pauses in the middle of a turn, and is
    /// resumed later.
    #[test]
    fn a_round_that_ends_late_does_not_bring_back_hand_overs_that_are_forbidden_by_now() {
        let (outer, inner) = (Queue::default(), Queue::default());
        let first = outer.round();
        let late = inner.round();
        drop(first);
        outer.forbid_hand_overs();
        let _second = outer.round();
        drop(late);
        assert!(!ptr::eq(ACTIVE.get(), &outer));
    }
}
