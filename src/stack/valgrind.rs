//! What valgrind has to be told about stacks (`valgrind.h`, `memcheck.h`).
//!
//! Outside of it a request costs a few instructions that do nothing.

use std::ops::Range;

use crate::arch::client_request;

const RUNNING_ON_VALGRIND: usize = 0x1001;
const STACK_REGISTER: usize = 0x1501;
const STACK_DEREGISTER: usize = 0x1502;
/// Requests of memcheck's begin with its initials.
const MEMCHECK: usize = (b'M' as usize) << 24 | (b'C' as usize) << 16;
const MAKE_UNDEFINED: usize = MEMCHECK + 1;
const MAKE_DEFINED: usize = MEMCHECK + 2;

/// Whether any of its tools is.
pub(crate) fn is_running() -> bool {
    client_request(&[RUNNING_ON_VALGRIND, 0, 0, 0, 0, 0]) != 0
}

/// Whether memcheck is looking: other tools, which count or time, are not to be noticed.
pub(crate) fn is_memcheck() -> bool {
    client_request(&[MAKE_DEFINED, 0, 0, 0, 0, 0]) != 0
}

/// From here to there is a stack: the stack pointer that goes there is on another one.
/// Returns what valgrind calls it.
pub(crate) fn register(stack: Range<usize>) -> u32 {
    // The address past the end would be on its neighbour, too.
    client_request(&[STACK_REGISTER, stack.start, stack.end - 1, 0, 0, 0]) as u32
}

pub(crate) fn deregister(stack: u32) {
    client_request(&[STACK_DEREGISTER, stack as usize, 0, 0, 0, 0]);
}

/// Reading it is no error, whatever it has been used for.
pub(crate) fn make_defined(memory: Range<usize>) {
    client_request(&[MAKE_DEFINED, memory.start, memory.len(), 0, 0, 0]);
}

/// It may be written to, and has no value until then.
pub(crate) fn make_undefined(memory: Range<usize>) {
    client_request(&[MAKE_UNDEFINED, memory.start, memory.len(), 0, 0, 0]);
}
