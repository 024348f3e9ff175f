//! One stack in a mapping of its own.

use memmap2::MmapMut;

use super::{Stack, StackConfig, StackError};
use crate::sys;

/// A stack in a mapping of its own, with its guard below it. Unmapped on drop.
#[derive(Debug)]
pub struct GuardedStack {
    map: MmapMut,
    guard: usize,
}

impl GuardedStack {
    /// Maps and guards a stack.
    ///
    /// # Errors
    ///
    /// Sizes out of range, no memory or no mapping left, no guard possible, or an active
    /// hardware shadow stack: see [`StackError`].
    pub fn new(config: StackConfig) -> Result<Self, StackError> {
        let StackConfig { size, guard } = config.in_pages()?;
        if sys::shadow_stack_active() {
            return Err(StackError::ShadowStack);
        }
        let map = sys::map_reserve(guard + size).map_err(StackError::Map)?;
        let mut stack = GuardedStack { map, guard };
        sys::guard_start(&mut stack.map, guard).map_err(StackError::Guard)?;
        // Best effort: an old kernel that cannot do it still gives a sound stack.
        let _ = sys::exclude_from_core_dump(&mut stack.map);
        Ok(stack)
    }

    /// Usable bytes.
    pub fn size(&self) -> usize {
        self.map.len() - self.guard
    }
}

// SAFETY: the mapping is owned, private and never moves; the range is above the guard.
unsafe impl Stack for GuardedStack {
    fn top(&self) -> *mut u8 {
        self.map.as_ptr().wrapping_add(self.map.len()).cast_mut()
    }

    fn bottom(&self) -> *mut u8 {
        self.map.as_ptr().wrapping_add(self.guard).cast_mut()
    }
}
