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
//! a stack without one is never handed out.
//!
//! # Safety
//!
//! This module owns address ranges; it never switches. The one unsafe interface is the
//! trait [`Stack`], by which callers supply memory of their own. Inside, a pointer to a
//! slab is valid because a slab is unmapped only when none of its stacks is out.
#![allow(unsafe_code)]

mod config;
mod error;
mod guard;
mod guarded;
mod listed;
mod mappings;
mod pool;
mod region;
mod slab;
mod stats;
mod used;
pub(crate) mod valgrind;

pub use config::StackConfig;
pub use error::StackError;
pub use guard::{GuardMode, guard_mode};
pub use guarded::GuardedStack;
pub use mappings::set_mapping_limit;
pub(crate) use pool::thread_has_ended;
pub use pool::{PooledStack, high_water_marks, reserve, set_pool_limit};
pub use stats::{Stats, stats};
pub(crate) use used::{depth, wipe};

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

/// The usable range of `stack`, its top rounded down as the ABI wants it; an error if
/// less than `needed` bytes remain, or if no switch is safe whatever the stack.
pub(crate) fn usable(stack: &impl Stack, needed: usize) -> Result<(usize, usize), StackError> {
    if sys::shadow_stack_active() {
        return Err(StackError::ShadowStack);
    }
    let bottom = stack.bottom().addr();
    let top = stack.top().addr() & !(STACK_ALIGN - 1);
    let size = top.saturating_sub(bottom);
    let min = StackConfig::min_size().saturating_add(needed);
    if size < min { Err(StackError::TooSmall { size, min }) } else { Ok((bottom, top)) }
}
