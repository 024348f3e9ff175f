//! The two words a thread has for the C ABI, where the assembly has none: how a thread-local
//! is reached there is a matter of the system's, or of its linker.

use core::cell::Cell;

thread_local! {
    static WORDS: Cell<[usize; 2]> = const { Cell::new([0; 2]) };
}

/// Valid for as long as the thread: there is nothing to drop.
#[inline(always)]
pub(crate) fn thread_words() -> *mut [usize; 2] {
    WORDS.with(Cell::as_ptr)
}
