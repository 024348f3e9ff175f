//! A list of the slabs of all threads, for a debugger to start from.
//!
//! tools/gdb/siding.py walks it from `LISTED`, in core dumps too, and finds the control
//! block of each stack by its looks. So jobs need no list, and pay for none. Its nodes are
//! never freed, only used again, and there is no lock for a fork to leave taken.

use std::collections::TryReserveError;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::*};

use super::region::Region;
use crate::sys::try_box;

/// One slab, or none if `start` is at most [`CLAIMED`]. The debugger knows the layout.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Listed {
    start: AtomicUsize,
    stride: AtomicUsize,
    count: AtomicUsize,
    next: *const Listed,
}

// SAFETY: `next` does not change once others can see it, and what it names is never freed.
unsafe impl Sync for Listed {}

static LISTED: AtomicPtr<Listed> = AtomicPtr::new(ptr::null_mut());
const FREE: usize = 0;
const CLAIMED: usize = 1;

/// Puts a slab into the list; [`Listed::take_out`] ends that.
pub(super) fn list(region: &Region) -> Result<&'static Listed, TryReserveError> {
    let node = claim().map_or_else(append, Ok)?;
    node.stride.store(region.stride(), Relaxed);
    node.count.store(region.count(), Relaxed);
    node.start.store(region.start(), Release);
    Ok(node)
}

impl Listed {
    pub(super) fn take_out(&self) {
        self.start.store(FREE, Release);
    }
}

/// A free node of the list.
fn claim() -> Option<&'static Listed> {
    let mut at: *const Listed = LISTED.load(Acquire);
    // SAFETY: nodes are never freed.
    while let Some(node) = unsafe { at.as_ref() } {
        if node.start.compare_exchange(FREE, CLAIMED, Acquire, Relaxed).is_ok() {
            return Some(node);
        }
        at = node.next;
    }
    None
}

fn append() -> Result<&'static Listed, TryReserveError> {
    let nothing = || AtomicUsize::new(0);
    let node = Box::leak(try_box(Listed {
        start: AtomicUsize::new(CLAIMED),
        stride: nothing(),
        count: nothing(),
        next: ptr::null(),
    })?);
    let at: *mut Listed = node;
    let mut head = LISTED.load(Relaxed);
    loop {
        // SAFETY: nobody else has the node until the exchange succeeds.
        unsafe { (*at).next = head };
        match LISTED.compare_exchange_weak(head, at, Release, Relaxed) {
            // SAFETY: leaked above.
            Ok(_) => return Ok(unsafe { &*at }),
            Err(now) => head = now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{PooledStack, Stack, StackConfig};
    use super::*;

    /// Whether a slab in the list has this address.
    fn is_listed(address: usize) -> bool {
        let mut at: *const Listed = LISTED.load(Acquire);
        // SAFETY: nodes are never freed.
        while let Some(node) = unsafe { at.as_ref() } {
            let (start, len) = (node.start.load(Acquire), node.stride.load(Relaxed));
            if start > CLAIMED && address.wrapping_sub(start) < len * node.count.load(Relaxed) {
                return true;
            }
            at = node.next;
        }
        false
    }

    #[test]
    fn a_slab_is_listed_from_its_first_stack_to_the_end_of_its_thread() {
        let bottom = std::thread::spawn(|| {
            let stack = PooledStack::new(StackConfig::with_size(48 << 10)).unwrap();
            assert!(is_listed(stack.bottom().addr()));
            stack.bottom().addr()
        })
        .join();
        assert!(!is_listed(bottom.unwrap()));
    }
}
