//! As `words.rs`. Windows clears the thread's last error when it looks a thread-local up; whoever
//! calls us may not have asked for theirs yet.

use core::arch::asm;
use core::cell::Cell;

thread_local! {
    static WORDS: Cell<[usize; 2]> = const { Cell::new([0; 2]) };
}

/// Valid for as long as the thread: there is nothing to drop.
#[inline(always)]
pub(crate) fn thread_words() -> *mut [usize; 2] {
    let last: u32;
    // SAFETY: reads LastErrorValue in the thread's block (the TEB).
    unsafe { asm!("mov {:e}, gs:[0x68]", out(reg) last, options(nostack, preserves_flags)) };
    let words = WORDS.with(Cell::as_ptr);
    // SAFETY: writes the same word, which is this thread's own.
    unsafe { asm!("mov gs:[0x68], {:e}", in(reg) last, options(nostack, preserves_flags)) };
    words
}
