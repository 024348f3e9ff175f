//! A heap that refuses.
#![allow(unsafe_code, reason = "an allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::common::{Ending, fork_and_listen};

struct Heap;

#[global_allocator]
static HEAP: Heap = Heap;

const NONE: usize = usize::MAX;
/// How many allocations are granted before some are refused, and how many that are.
static GRANTED: AtomicUsize = AtomicUsize::new(NONE);
static REFUSED: AtomicUsize = AtomicUsize::new(0);

/// Children have one thread, and others have nothing refused.
fn refuses() -> bool {
    match (GRANTED.load(Relaxed), REFUSED.load(Relaxed)) {
        (NONE, _) | (_, 0) => false,
        (0, left) => {
            REFUSED.store(left - 1, Relaxed);
            true
        }
        (left, _) => {
            GRANTED.store(left - 1, Relaxed);
            false
        }
    }
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
    for refusals in [1, NONE - 1] {
        let child = |granted| {
            REFUSED.store(refusals, Relaxed);
            GRANTED.store(granted, Relaxed);
            test();
            let refused = GRANTED.swap(NONE, Relaxed) == 0 && REFUSED.load(Relaxed) < refusals;
            afterwards();
            if !refused {
                std::process::exit(NOT_REFUSED);
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
