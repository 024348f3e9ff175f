//! A mapping with one or more guarded stacks in it.
//!
//! ```text
//! start                                                  start + count * stride
//!   | guard | stack 0      | guard | stack 1      | ...  |
//!           bottom      top
//! ```

use std::io::ErrorKind;
use std::ops::Range;
use std::sync::atomic::AtomicUsize;

use super::guard::{self, GuardMode};
use super::mappings::Charge;
use super::{StackConfig, StackError, stats};
use crate::sys::{self, Advice, Mapping};

#[derive(Debug)]
pub(super) struct Region {
    map: Mapping,
    /// In whole pages.
    config: StackConfig,
    count: usize,
    mode: GuardMode,
    charge: Charge,
}

impl Region {
    /// Maps `count` stacks of a kind given in whole pages, not guarded yet.
    pub(super) fn new(config: StackConfig, count: usize) -> Result<Self, StackError> {
        if super::shadow_stack_active() {
            return Err(StackError::ShadowStack);
        }
        let StackConfig { size, guard, .. } = config;
        let len = config.stride().checked_mul(count).filter(|&len| len <= isize::MAX as usize);
        let len = len.ok_or(StackError::TooLarge { size, guard })?;
        let charge = Charge::new(1)?;
        let map = Mapping::reserve(len).map_err(StackError::Map)?;
        stats::reserved(len);
        let region = Region { map, config, count, mode: guard::guard_mode(), charge };
        region.map.name(c"siding stacks");
        if !config.has(StackConfig::CORE_DUMP) && !dumped_all_the_same() {
            // Best effort: a kernel that cannot do it still gives a sound stack.
            let _ = region.map.advise(Advice::DontDump, 0..len);
        }
        Ok(region)
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn start(&self) -> usize {
        self.map.start().addr()
    }

    /// Bytes from one stack to the next, its guard included.
    pub(super) fn stride(&self) -> usize {
        self.config.stride()
    }

    pub(super) fn mode(&self) -> GuardMode {
        self.mode
    }

    /// One past the highest byte of a stack.
    #[inline]
    pub(super) fn top(&self, stack: usize) -> *mut u8 {
        self.map.start().wrapping_add((stack + 1) * self.config.stride())
    }

    /// The lowest byte of a stack.
    #[inline]
    pub(super) fn bottom(&self, stack: usize) -> *mut u8 {
        self.top(stack).wrapping_sub(self.config.size)
    }

    /// Does for some stacks all that must have been done before anyone may run there.
    /// If that fails half-way, it can be tried again with fewer.
    pub(super) fn prepare(&self, stacks: Range<usize>) -> Result<(), StackError> {
        let wipe_on_fork = self.config.has(StackConfig::WIPE_ON_FORK);
        if wipe_on_fork {
            self.charge.raise_to(2 * stacks.end + 1)?;
        }
        self.guard(stacks.clone())?;
        if wipe_on_fork {
            self.wipe_on_fork(stacks.clone())?;
        }
        if self.config.has(StackConfig::LOCK) {
            // After the guards: the kernel installs none in locked memory.
            self.lock(stacks)?;
        }
        Ok(())
    }

    /// Keeps stacks in memory once they are touched.
    pub(super) fn lock(&self, stacks: Range<usize>) -> Result<(), StackError> {
        let stride = self.config.stride();
        let all = stacks.start * stride..stacks.end * stride;
        self.map.lock_on_fault(all).map_err(StackError::Lock)
    }

    fn guard(&self, stacks: Range<usize>) -> Result<(), StackError> {
        let StackConfig { guard, .. } = self.config;
        let stride = self.config.stride();
        let mut guards = stacks.clone().map(|i| i * stride..i * stride + guard);
        if self.mode == GuardMode::Madvise {
            match self.map.advise_all(Advice::InstallGuard, guards.clone()) {
                // The program has locked all its memory since the kernel was asked (mlockall),
                // and in locked memory it installs none.
                Err(e) if e.kind() == ErrorKind::InvalidInput => {}
                outcome => return outcome.map_err(StackError::Guard),
            }
        }
        self.charge.raise_to(2 * stacks.end + 1)?;
        guards.try_for_each(|guard| self.map.deny(guard)).map_err(StackError::Guard)
    }

    fn wipe_on_fork(&self, stacks: Range<usize>) -> Result<(), StackError> {
        if !guard::advice_is_heeded() {
            let unheeded = ErrorKind::Unsupported.into();
            return Err(StackError::WipeOnFork(unheeded));
        }
        let bodies = stacks.map(|i| self.body(i));
        self.map.advise_all(Advice::WipeOnFork, bodies).map_err(StackError::WipeOnFork)
    }

    /// Gives the memory of idle stacks back to the system; their guards stay.
    pub(super) fn discard(&self, stacks: impl ExactSizeIterator<Item = usize> + Clone) {
        let bodies = stacks.map(|i| self.body(i));
        // Memory may be locked by others, too (mlockall).
        if self.config.has(StackConfig::LOCK)
            || self.map.advise_all(Advice::Discard, bodies.clone()).is_err()
        {
            // Where that fails, the memory stays: no harm done.
            let _ = self.map.advise_all(Advice::DiscardLocked, bodies);
        }
    }

    /// Touches the highest page of some stacks, where all of them start.
    pub(super) fn populate(&self, stacks: impl ExactSizeIterator<Item = usize>) {
        let page = sys::page_size();
        let tops = stacks.map(|i| self.body(i).end - page..self.body(i).end);
        // Where that fails, the first use does it.
        let _ = self.map.advise_all(Advice::Populate, tops);
    }

    /// Bytes from the lowest page of a stack with memory behind it up to its top.
    pub(super) fn touched(&self, stack: usize) -> usize {
        let body = self.bottom(stack).addr()..self.top(stack).addr();
        let lowest = sys::lowest_resident(body.clone()).ok().flatten();
        lowest.map_or(0, |lowest| body.end - lowest)
    }

    fn body(&self, stack: usize) -> Range<usize> {
        let end = (stack + 1) * self.config.stride();
        end - self.config.size..end
    }
}

/// For whoever debugs a program that he cannot change.
fn dumped_all_the_same() -> bool {
    static TOLD: AtomicUsize = AtomicUsize::new(0);
    const NO: usize = 1;
    let ask = || NO + usize::from(sys::environment_says("SIDING_CORE_DUMP"));
    sys::asked_once(&TOLD, ask) != NO
}

impl Drop for Region {
    fn drop(&mut self) {
        stats::unreserved(self.map.len());
    }
}
