//! Stacks that wait for their next user: per thread, last in first out, bounded.

use std::cell::RefCell;
use std::mem::ManuallyDrop;

use super::{GuardedStack, Stack, StackConfig, StackError};

struct Pool {
    free: Vec<(StackConfig, GuardedStack)>,
    limit: usize,
    colour: usize,
}

thread_local! {
    static POOL: RefCell<Pool> =
        const { RefCell::new(Pool { free: Vec::new(), limit: 64, colour: 0 }) };
}

/// Cache lines by which tops are staggered: page-aligned tops would put the hot line of
/// every stack into one L1 set. In sequence, so that the prefetcher can follow.
const COLOURS: usize = 32;
const LINE: usize = 64;

/// Sets how many idle stacks this thread keeps for reuse (64 unless told); surplus ones
/// are unmapped at once.
pub fn set_pool_limit(stacks: usize) {
    POOL.with_borrow_mut(|pool| {
        pool.limit = stacks;
        pool.free.truncate(stacks);
    });
}

/// A [`GuardedStack`] that returns to its thread's pool when dropped.
#[derive(Debug)]
pub struct PooledStack {
    config: StackConfig,
    stack: ManuallyDrop<GuardedStack>,
    colour: usize,
}

impl PooledStack {
    /// The most recently returned stack of this kind, or a new one.
    ///
    /// # Errors
    ///
    /// As [`GuardedStack::new`].
    pub fn new(config: StackConfig) -> Result<Self, StackError> {
        let taken = POOL.try_with(|pool| pool.borrow_mut().take(config));
        // Without a pool (the thread is ending) the stack is simply not recycled.
        let (recycled, colour) = taken.unwrap_or((None, 0));
        let stack = match recycled {
            Some(stack) => stack,
            None => GuardedStack::new(config)?,
        };
        Ok(PooledStack { config, stack: ManuallyDrop::new(stack), colour })
    }
}

impl Pool {
    fn take(&mut self, config: StackConfig) -> (Option<GuardedStack>, usize) {
        let found = self.free.iter().rposition(|(kind, _)| *kind == config);
        self.colour = (self.colour + 1) % COLOURS;
        (found.map(|i| self.free.remove(i).1), self.colour)
    }
}

impl Drop for PooledStack {
    fn drop(&mut self) {
        // SAFETY: dropped once, and never used again: `self` is going away.
        let stack = unsafe { ManuallyDrop::take(&mut self.stack) };
        // If the pool is gone or full, dropping `stack` unmaps it.
        let _ = POOL.try_with(move |pool| {
            let mut pool = pool.borrow_mut();
            if pool.free.len() < pool.limit {
                pool.free.push((self.config, stack));
            }
        });
    }
}

// SAFETY: the memory is the guarded stack's; the top is only lowered, by a constant.
unsafe impl Stack for PooledStack {
    fn top(&self) -> *mut u8 {
        self.stack.top().wrapping_sub(self.colour * LINE)
    }

    fn bottom(&self) -> *mut u8 {
        self.stack.bottom()
    }
}
