//! What a stack has been used for: how deep, and forgetting it.

use std::hint::black_box;
use std::ops::Range;

use super::valgrind;
use crate::sys;

/// How many bytes at the top of `stack` are, or were, in use: down to the lowest byte that
/// is not zero. Counts from the last [`wipe`], or since the memory was fresh.
///
/// # Safety
/// The range is readable memory in which nothing runs.
pub(crate) unsafe fn depth(stack: Range<*mut u8>) -> usize {
    const WORD: usize = size_of::<usize>();
    let mut at = touched(&stack);
    valgrind::make_defined(at.addr()..stack.end.addr());
    while at.addr() + WORD <= stack.end.addr() {
        // SAFETY: a whole word of the range, by this function's contract.
        let word = unsafe { at.cast::<usize>().read_unaligned() };
        if word != 0 {
            break;
        }
        at = at.wrapping_add(WORD);
    }
    stack.end.addr() - at.addr()
}

/// Overwrites everything that was ever stored in `stack` with zeros.
///
/// # Safety
/// The range is writable memory in which nothing lives.
pub(crate) unsafe fn wipe(stack: Range<*mut u8>) {
    let first = touched(&stack);
    // SAFETY: by this function's contract.
    unsafe { first.write_bytes(0, stack.end.addr() - first.addr()) };
    // The zeros may be read: the compiler has to write them.
    black_box(first);
    // Whoever comes next has not written them.
    valgrind::make_undefined(first.addr()..stack.end.addr());
}

/// Where the touched part of `stack` begins: the lowest page with memory behind it.
/// (A page that was swapped out is not found: lock the stack, or do not swap.)
fn touched(stack: &Range<*mut u8>) -> *mut u8 {
    let page = sys::page_size();
    let whole = stack.start.addr().next_multiple_of(page);
    if whole != stack.start.addr() {
        // The caller's memory, with a part of a page at its bottom.
        return stack.start;
    }
    match sys::lowest_resident(whole..stack.end.addr()) {
        Ok(Some(lowest)) => stack.start.with_addr(lowest),
        Ok(None) => stack.end,
        Err(_) => stack.start,
    }
}
