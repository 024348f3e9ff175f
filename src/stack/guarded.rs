//! One stack in a mapping of its own.

use super::region::Region;
use super::{Stack, StackConfig, StackError};

/// A stack in a mapping of its own, with its guard below it. Unmapped on drop.
#[derive(Debug)]
pub struct GuardedStack(Region);

impl GuardedStack {
    /// Maps and guards a stack.
    ///
    /// # Errors
    ///
    /// Sizes out of range, no memory or no mapping left, no guard or option possible, or
    /// an active hardware shadow stack: see [`StackError`].
    pub fn new(config: StackConfig) -> Result<Self, StackError> {
        let region = Region::new(config.in_pages(0)?, 1)?;
        region.prepare(0..1)?;
        Ok(GuardedStack(region))
    }

    /// Usable bytes.
    pub fn size(&self) -> usize {
        self.top().addr() - self.bottom().addr()
    }
}

// SAFETY: the mapping is owned, private and never moves; the range is above the guard.
unsafe impl Stack for GuardedStack {
    fn top(&self) -> *mut u8 {
        self.0.top(0)
    }

    fn bottom(&self) -> *mut u8 {
        self.0.bottom(0)
    }
}
