//! Stack memory: always guarded, pooled per thread.
//!
//! A stack has a **top**, the highest address, where it starts; a **bottom**, the lowest
//! usable address; and below the bottom a **guard** that kills the process with SIGSEGV
//! instead of letting an overflow reach other memory. Sizes are usable bytes, guard
//! excluded.
//!
//! # Safety
//!
//! This module owns address ranges; it never switches. The one unsafe interface is the
//! trait [`Stack`], by which callers supply memory of their own.
#![allow(unsafe_code)]

use std::fmt;
use std::io;

mod guarded;
mod pool;

pub use guarded::GuardedStack;
pub use pool::{PooledStack, set_pool_limit};

use crate::arch::STACK_ALIGN;
use crate::sys;

/// Memory that a coroutine or job may run on.
///
/// Implement it to supply memory of your own; [`GuardedStack`] is the usual choice.
///
/// # Safety
///
/// From construction until it is dropped, and wherever it is moved meanwhile:
/// * `bottom()..top()` is readable and writable memory that nothing else uses;
/// * both functions always return the same values;
/// * an overflow below `bottom()` is the implementor's responsibility: put a guard there,
///   or prove that it cannot happen.
pub unsafe trait Stack {
    /// One past the highest usable address.
    fn top(&self) -> *mut u8;
    /// The lowest usable address.
    fn bottom(&self) -> *mut u8;
}

/// What a stack should be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StackConfig {
    /// Usable bytes; rounded up to whole pages. Reserved, and committed only as touched.
    pub size: usize,
    /// Bytes of guard below the stack; rounded up to whole pages, at least one. C code
    /// compiled without stack probes can step over a small guard.
    pub guard: usize,
}

impl StackConfig {
    /// 256 KiB of stack above 64 KiB of guard.
    pub const DEFAULT: StackConfig = StackConfig { size: 256 << 10, guard: 64 << 10 };

    /// The default guard below `size` usable bytes.
    pub const fn with_size(size: usize) -> Self {
        StackConfig { size, ..Self::DEFAULT }
    }

    /// The smallest `size` that is accepted, in bytes: a signal frame of this machine
    /// and 8 KiB to work in.
    pub fn min_size() -> usize {
        sys::signal_frame_size() + (8 << 10)
    }

    /// The same in whole pages, or why that is impossible.
    fn in_pages(self) -> Result<Self, StackError> {
        if self.size < Self::min_size() {
            return Err(StackError::TooSmall { size: self.size, min: Self::min_size() });
        }
        let page = sys::page_size();
        let round = |n: usize| n.max(1).checked_next_multiple_of(page);
        match (round(self.size), round(self.guard)) {
            (Some(size), Some(guard))
                if size.checked_add(guard).is_some_and(|all| all <= isize::MAX as usize) =>
            {
                Ok(StackConfig { size, guard })
            }
            _ => Err(StackError::TooLarge { size: self.size, guard: self.guard }),
        }
    }
}

impl Default for StackConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Why there is no stack.
#[derive(Debug)]
#[non_exhaustive]
pub enum StackError {
    /// Smaller than [`StackConfig::min_size`], or than what the closure's captures need.
    TooSmall {
        /// Usable bytes asked for.
        size: usize,
        /// Usable bytes needed.
        min: usize,
    },
    /// Larger than the address space.
    TooLarge {
        /// Usable bytes asked for.
        size: usize,
        /// Guard bytes asked for.
        guard: usize,
    },
    /// The kernel gave no memory: out of address space, or of mappings
    /// (`vm.max_map_count`; an mprotect guard costs one).
    Map(io::Error),
    /// The kernel could not guard it; a stack is never handed out unguarded.
    Guard(io::Error),
    /// This thread runs with a hardware shadow stack (Intel CET, Arm GCS, RISC-V
    /// Zicfiss), which would kill the process at the first switch. Start the program
    /// without it, for example with `GLIBC_TUNABLES=glibc.cpu.x86_shstk=off`.
    ShadowStack,
}

impl fmt::Display for StackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSmall { size, min } => {
                write!(f, "a stack of {size} bytes is too small; at least {min} are needed")
            }
            Self::TooLarge { size, guard } => {
                write!(f, "a stack of {size} bytes with a guard of {guard} is too large")
            }
            Self::Map(e) => write!(f, "cannot map a stack: {e}"),
            Self::Guard(e) => write!(f, "cannot guard a stack: {e}"),
            Self::ShadowStack => write!(f, "this thread uses a hardware shadow stack"),
        }
    }
}

impl std::error::Error for StackError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Map(e) | Self::Guard(e) => Some(e),
            _ => None,
        }
    }
}

/// The usable range of `stack`, its top rounded down as the ABI wants it; an error if
/// less than `needed` bytes remain.
pub(crate) fn usable(stack: &impl Stack, needed: usize) -> Result<(usize, usize), StackError> {
    let bottom = stack.bottom().addr();
    let top = stack.top().addr() & !(STACK_ALIGN - 1);
    let size = top.saturating_sub(bottom);
    let min = StackConfig::min_size().saturating_add(needed);
    if size < min { Err(StackError::TooSmall { size, min }) } else { Ok((bottom, top)) }
}
