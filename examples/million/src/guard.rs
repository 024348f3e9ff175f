//! Whether the guard of a stack is there: found out by hitting it, in a forked child.

use std::hint::black_box;

use siding::stack::StackConfig;

/// Overflows the stack that this code runs on, in a child; whether SIGSEGV ended that.
///
/// The child goes down by the size of a stack and its guard and no further. Without a guard
/// it would get there, through the stack below, and exit.
#[allow(unsafe_code)]
pub fn kills(stack: StackConfig) -> bool {
    // SAFETY: the child only touches its stack, and exits.
    match unsafe { libc::fork() } {
        0 => {
            let here = 0_u8;
            descend((&raw const here).addr() - stack.size - stack.guard);
            // SAFETY: ends the child.
            unsafe { libc::_exit(0) }
        }
        child => {
            let mut status = 0;
            // SAFETY: waits for the child just made, if there is one.
            let ended = unsafe { libc::waitpid(child, &raw mut status, 0) };
            ended == child
                && child > 0
                && libc::WIFSIGNALED(status)
                && libc::WTERMSIG(status) == libc::SIGSEGV
        }
    }
}

/// Calls itself until a frame lies below `depth`.
#[inline(never)]
fn descend(depth: usize) -> u8 {
    let frame = black_box([1_u8; 512]);
    if (&raw const frame).addr() < depth { frame[0] } else { descend(depth) + black_box(frame)[1] }
}
