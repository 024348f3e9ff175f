//! Stack memory: always guarded, pooled per thread.
//!
//! A stack has a **top**, the highest address, where it starts; a **bottom**, the lowest
//! usable address; and below the bottom a **guard** that kills the process with SIGSEGV
//! instead of letting an overflow reach other memory. Sizes are usable bytes, guard
//! excluded.
//!
//! [`PooledStack`] is the usual one: many lie in one mapping (a slab), each thread reuses
//! the last one returned, and what stays idle is given back. [`GuardedStack`] has a
//! mapping of its own. How guards are made is up to the kernel, see [`guard_mode`];
//! a stack without one is never handed out. Only [`UnguardedStack`], over memory of the
//! caller's, leaves overflows to the caller: where there is no kernel, without the feature
//! `std`, it is the one there is.
//!
//! # Safety
//!
//! This module owns address ranges; it never switches. The one unsafe interface is the
//! trait [`Stack`], by which callers supply memory of their own. Inside, a pointer to a
//! slab is valid because a slab is unmapped only when none of its stacks is out.
#![allow(unsafe_code)]

#[cfg(feature = "std")]
mod config;
mod error;
#[cfg(feature = "std")]
mod guard;
#[cfg(feature = "std")]
mod guarded;
#[cfg(feature = "std")]
mod listed;
#[cfg(feature = "std")]
mod mappings;
#[cfg(feature = "std")]
mod pool;
#[cfg(feature = "std")]
mod region;
#[cfg(feature = "std")]
mod slab;
#[cfg(feature = "std")]
mod stats;
mod unguarded;
#[cfg(feature = "std")]
mod used;
#[cfg(feature = "std")]
pub(crate) mod valgrind;

#[cfg(feature = "std")]
pub(crate) use config::CONTEXT_ROOM;
#[cfg(feature = "std")]
pub use config::StackConfig;
pub use error::StackError;
#[cfg(feature = "std")]
pub use guard::{GuardMode, guard_mode};
#[cfg(feature = "std")]
pub use guarded::GuardedStack;
#[cfg(feature = "std")]
pub use mappings::set_mapping_limit;
#[cfg(feature = "std")]
pub(crate) use pool::thread_has_ended;
#[cfg(feature = "std")]
pub use pool::{PooledStack, high_water_marks, reserve, set_pool_limit};
#[cfg(feature = "std")]
pub use stats::{Stats, stats};
pub use unguarded::UnguardedStack;
#[cfg(feature = "std")]
pub(crate) use used::{depth, wipe};

use crate::arch::STACK_ALIGN;
#[cfg(feature = "std")]
use crate::sys::shadow_stack_active as kernel_has_given_one;

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

/// The usable range of `stack`, its top rounded down as the ABI wants it; an error if
/// less than `needed` bytes remain, or if no switch is safe whatever the stack.
pub(crate) fn usable(stack: &impl Stack, needed: usize) -> Result<(usize, usize), StackError> {
    if shadow_stack_active() {
        return Err(StackError::ShadowStack);
    }
    let bottom = stack.bottom().addr();
    let top = stack.top().addr() & !(STACK_ALIGN - 1);
    let size = top.saturating_sub(bottom);
    let min = min_size().saturating_add(needed);
    if size < min { Err(StackError::TooSmall { size, min }) } else { Ok((bottom, top)) }
}

/// The least that must remain of a stack for whatever runs there.
#[cfg(feature = "std")]
pub(crate) fn min_size() -> usize {
    StackConfig::min_size()
}

/// The same where no signals are delivered: some frames, of an unoptimized build, too.
#[cfg(not(feature = "std"))]
pub(crate) fn min_size() -> usize {
    2 << 10
}

/// Whether this thread runs with a hardware shadow stack, which no switch of ours keeps in
/// step: the first `ret` after one would end the process.
pub(crate) fn shadow_stack_active() -> bool {
    kernel_has_given_one() || crate::arch::shadow_stack_active()
}

/// As in `sys`: here there is no kernel.
#[cfg(not(feature = "std"))]
fn kernel_has_given_one() -> bool {
    false
}

/// As in `pool.rs`: here there are no thread-locals.
#[cfg(not(feature = "std"))]
pub(crate) fn thread_has_ended() -> bool {
    false
}
