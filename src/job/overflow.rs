//! Saying which job has overflowed its stack, before the process dies of it.

use std::io;

use super::core::{self, Raw};
use crate::sys;

/// Has each overflow of a job's stack named on standard error: which job (by its
/// [name](super::Options::name), C's by their functions), its stack, its thread. Then the process dies by SIGSEGV, as it would have, or goes on in the handler that
/// was installed before.
///
/// For the whole process; but a thread must have an alternate signal stack for a handler to
/// run in when its stack is used up. Threads of Rust's have one; on others call this too.
///
/// # Errors
///
/// If the handler, or the alternate stack, cannot be had.
pub fn report_overflows() -> io::Result<()> {
    sys::ensure_alt_stack()?;
    sys::look_at_faults(look)
}

fn look(address: usize) {
    for job in core::running() {
        let (bottom, top) = job.bounds();
        let core = job.core();
        // Frames larger than the guard are not recognised: they fault beyond it.
        if (bottom.saturating_sub(core.stack.guard)..bottom).contains(&address) {
            let mut line = Line { text: [0; 240], len: 0 };
            line.push(b"siding: stack overflow in a job");
            match (function(job), core.name.get()) {
                (Some(function), _) => {
                    line.push(b" of the function 0x");
                    line.number(function, 16);
                }
                (None, Some(name)) => {
                    line.push(b" named ");
                    // All else fits the line.
                    line.push(&name.as_bytes()[..name.len().min(60)]);
                }
                (None, None) => line.push(b" without a name (Options::name)"),
            }
            line.push(b", run 0x");
            line.number(core.run.get() as usize, 16);
            line.push(b": ");
            line.number(top - bottom, 10);
            line.push(b" bytes of stack down to 0x");
            line.number(bottom, 16);
            line.push(b", on thread ");
            line.number(sys::thread_number(), 10);
            line.push(b"\n");
            sys::write_error(&line.text[..line.len]);
            return;
        }
    }
}

/// The function of a job that C has started.
#[cfg(feature = "capi")]
fn function(job: Raw) -> Option<usize> {
    let core = job.core();
    core.entry.get().filter(|entry| entry.is_live()).map(|_| core.function.get())
}

#[cfg(not(feature = "capi"))]
fn function(_: Raw) -> Option<usize> {
    None
}

/// Text that is put together without allocating.
struct Line {
    text: [u8; 240],
    len: usize,
}

impl Line {
    fn push(&mut self, text: &[u8]) {
        let text = &text[..text.len().min(self.text.len() - self.len)];
        self.text[self.len..self.len + text.len()].copy_from_slice(text);
        self.len += text.len();
    }

    fn number(&mut self, mut number: usize, base: usize) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b"0123456789abcdef"[number % base];
            number /= base;
            if number == 0 {
                break;
            }
        }
        self.push(&digits[at..]);
    }
}
