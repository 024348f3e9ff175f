//! What a stack should be like.

use super::StackError;
use crate::sys;

/// What a context takes of a stack before anything runs there, at most. Of all but the smallest
/// stacks it takes that from what runs there.
pub(crate) const CONTEXT_ROOM: usize = 2 << 10;

/// What a stack should be like. Every option keeps the guard.
///
/// ```
/// use siding::stack::StackConfig;
///
/// const SMALL: StackConfig = StackConfig::with_size(32 << 10).guard(16 << 10);
/// let pinned = SMALL.lock(true);
/// assert_eq!((pinned.size, pinned.guard), (32 << 10, 16 << 10));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct StackConfig {
    /// Usable bytes; rounded up to whole pages. Reserved, and committed only as touched.
    pub size: usize,
    /// Bytes of guard below the stack; rounded up to whole pages. C code compiled without
    /// stack probes can step over a small guard.
    pub guard: usize,
    /// The options chosen, as bits: pools compare configurations whenever they are asked.
    options: u8,
}

impl StackConfig {
    /// 256 KiB of stack above 64 KiB of guard, left out of core dumps.
    pub const DEFAULT: StackConfig = StackConfig { size: 256 << 10, guard: 64 << 10, options: 0 };

    pub(super) const CORE_DUMP: u8 = 1;
    pub(super) const LOCK: u8 = 2;
    pub(super) const WIPE_ON_FORK: u8 = 4;

    /// The default with `size` usable bytes.
    pub const fn with_size(size: usize) -> Self {
        StackConfig { size, ..Self::DEFAULT }
    }

    /// The same with `guard` bytes of guard.
    #[must_use]
    pub const fn guard(self, guard: usize) -> Self {
        StackConfig { guard, ..self }
    }

    /// The same, shown in core dumps or not (the default, since stacks hold secrets).
    ///
    /// A program that runs with `SIDING_CORE_DUMP=1` in its environment shows all its stacks,
    /// so that a debugger finds its jobs there; not one that runs with a file's privileges
    /// (setuid).
    #[must_use]
    pub const fn core_dump(self, on: bool) -> Self {
        self.set(Self::CORE_DUMP, on)
    }

    /// The same with pages locked into memory once they are touched, or not.
    ///
    /// The guard counts against `RLIMIT_MEMLOCK` (often 8 MiB) as the stack does. Beyond
    /// the limit there is an error, never an unlocked stack. A forked child inherits no locks:
    /// its stacks are locked again when the next one is taken there.
    #[must_use]
    pub const fn lock(self, on: bool) -> Self {
        self.set(Self::LOCK, on)
    }

    /// The same, reading as zeros in forked children, or not.
    ///
    /// What is paused on such a stack is gone in the child, which must neither resume nor
    /// drop it, nor return from `main` with one in a thread-local. Only the stacks are
    /// wiped, since wiped guards would be gone too; so each costs two mappings, as with
    /// mprotect guards, and a limited number can be had: see
    /// [`StackError::TooManyMappings`].
    #[must_use]
    pub const fn wipe_on_fork(self, on: bool) -> Self {
        self.set(Self::WIPE_ON_FORK, on)
    }

    const fn set(self, option: u8, on: bool) -> Self {
        let options = if on { self.options | option } else { self.options & !option };
        StackConfig { options, ..self }
    }

    pub(super) const fn has(&self, option: u8) -> bool {
        self.options & option != 0
    }

    /// The smallest `size` that is accepted, in bytes: a signal frame of this machine
    /// and 8 KiB to work in.
    pub fn min_size() -> usize {
        sys::signal_frame_size() + (8 << 10)
    }

    /// The same in whole pages, with `room` more bytes, or why that is impossible. What is
    /// accepted is enough for a context.
    pub(super) fn in_pages(self, room: usize) -> Result<Self, StackError> {
        let StackConfig { size, guard, .. } = self;
        let min = Self::min_size();
        if size < min {
            return Err(StackError::TooSmall { size, min });
        }
        if guard == 0 {
            return Err(StackError::NoGuard);
        }
        let page = sys::page_size();
        let rounded = || {
            let size = size.max(min + CONTEXT_ROOM);
            let size = size.checked_add(room)?.checked_next_multiple_of(page)?;
            let guard = guard.checked_next_multiple_of(page)?;
            let stride = size.checked_add(guard)?;
            (stride <= isize::MAX as usize).then_some(StackConfig { size, guard, ..self })
        };
        rounded().ok_or(StackError::TooLarge { size, guard })
    }

    /// Bytes from one stack of this kind to the next; `self` is in whole pages.
    pub(super) fn stride(&self) -> usize {
        self.guard + self.size
    }
}

impl Default for StackConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}
