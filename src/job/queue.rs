//! The jobs of one driver that can go on, in order.
//!
//! It lies between the driver's loop and `yield_now`, which hands over to the next job
//! directly: one switch for each job's turn instead of two.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use super::core::Raw;

/// See the module documentation.
#[derive(Default)]
pub(crate) struct Queue {
    jobs: RefCell<VecDeque<Raw>>,
    /// Direct hand-overs left before the driver's loop must have a look.
    budget: Cell<usize>,
}

/// How far ahead of its turn a job's control block is brought into the cache.
const AHEAD: usize = 8;

impl Queue {
    pub(crate) fn push(&self, job: Raw) {
        self.jobs.borrow_mut().push_back(job);
    }

    /// The next job, for the driver's loop.
    #[inline]
    pub(crate) fn pop(&self) -> Option<Raw> {
        let mut jobs = self.jobs.borrow_mut();
        if let Some(soon) = jobs.get(AHEAD) {
            soon.prefetch();
        }
        jobs.pop_front()
    }

    pub(crate) fn len(&self) -> usize {
        self.jobs.borrow().len()
    }

    /// Allows that many direct hand-overs from here on; returns how many were left.
    pub(crate) fn allow_hand_overs(&self, budget: usize) -> usize {
        self.budget.replace(budget)
    }

    /// Puts `job` at the end and returns the first, if they may hand over directly.
    #[inline]
    pub(super) fn rotate(&self, job: Raw) -> Option<Raw> {
        let budget = self.budget.get().checked_sub(1)?;
        let mut jobs = self.jobs.borrow_mut();
        let next = *jobs.front()?;
        if !(job.shares_fp_control() && next.shares_fp_control()) {
            return None;
        }
        self.budget.set(budget);
        if let Some(soon) = jobs.get(AHEAD) {
            soon.prefetch();
        }
        jobs.pop_front();
        jobs.push_back(job);
        Some(next)
    }

    /// Takes out a job that is cancelled before its turn.
    pub(crate) fn remove(&self, job: Raw) {
        self.jobs.borrow_mut().retain(|other| *other != job);
    }
}
