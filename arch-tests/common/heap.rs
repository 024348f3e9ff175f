//! A heap that refuses.
#![allow(unsafe_code, reason = "an allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;

use crate::common::{Ending, fork_and_listen};

struct Heap;

#[global_allocator]
static HEAP: Heap = Heap;

const ALL: usize = usize::MAX;

thread_local! {
    /// How many allocations of this thread are granted before some are refused, and how many
    /// that are.
    static GRANTED: Cell<usize> = const { Cell::new(0) };
    static REFUSED: Cell<usize> = const { Cell::new(0) };
}

fn refuses() -> bool {
    if REFUSED.get() == 0 {
        return false;
    }
    let granted = GRANTED.get() > 0;
    let counter = if granted { &GRANTED } else { &REFUSED };
    counter.set(counter.get() - 1);
    !granted
}

/// Calls `f`, to which nothing is granted.
pub fn without<T>(f: impl FnOnce() -> T) -> T {
    REFUSED.set(ALL);
    let value = f();
    REFUSED.set(0);
    value
}

// SAFETY: the system's, or null, which an allocator may return.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: by this function's contract.
        if refuses() { ptr::null_mut() } else { unsafe { System.alloc(layout) } }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: by this function's contract.
        if refuses() { ptr::null_mut() } else { unsafe { System.realloc(at, layout, size) } }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: by this function's contract.
        unsafe { System.dealloc(at, layout) }
    }
}

/// Calls `test` in children of which each is refused another allocation, and in children which
/// are refused all from there on: until one gets to the end of `test` without. Each then calls
/// `afterwards`, with all the memory there is.
pub fn refused_in_turn(test: fn(), afterwards: fn()) {
    const NOT_REFUSED: i32 = 3;
    for refusals in [1, ALL] {
        let child = |granted| {
            GRANTED.set(granted);
            REFUSED.set(refusals);
            test();
            GRANTED.set(0);
            let refused = REFUSED.replace(0) < refusals;
            afterwards();
            if !refused {
                // SAFETY: no preconditions.
                unsafe { libc::_exit(NOT_REFUSED) };
            }
        };
        for granted in 0.. {
            match fork_and_listen(|| child(granted)) {
                (Ending::Exited(0), _) => {}
                (Ending::Exited(NOT_REFUSED), _) => {
                    assert!(granted > 0, "nothing was allocated");
                    break;
                }
                (ending, words) => panic!("after {granted} allocations: {ending:?}, {words}"),
            }
        }
    }
}
