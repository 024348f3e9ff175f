//! How much stack a closure needs: for tests that assert a bound.
//!
//! # Safety
//!
//! The job is this frame's alone, and its stack is looked at when it has ended.
#![allow(unsafe_code)]

use std::panic;

use super::{NotStarted, Options, room};
use crate::context::tag;
use crate::stack;

/// Runs `closure` as a job to its end, resuming it whenever it pauses; returns its value and
/// how many bytes of its stack it has used, to the word. Nobody drives it: to
/// [wait](super::wait()) inside is an error.
///
/// # Errors
///
/// As [`start`](super::start).
///
/// # Panics
///
/// With the closure's own panic.
pub fn stack_use<T, F>(options: &Options, closure: F) -> Result<(T, usize), NotStarted<F>>
where
    T: 'static,
    F: FnOnce() -> T + 'static,
{
    let job = match options.reserve(room::<F, T>()) {
        Ok(job) => job,
        Err(error) => return Err(NotStarted { error, closure }),
    };
    // SAFETY: free.
    unsafe { job.clean() };
    // SAFETY: reserved for this closure.
    unsafe { job.arm(&options.clone().driven(false), closure) };
    let back = loop {
        // SAFETY: armed or paused, and nobody drives it by a queue.
        let back = unsafe { job.enter(tag::GO) };
        if !back.is_paused() {
            break back;
        }
    };
    // SAFETY: it has ended.
    let used = unsafe { stack::depth(job.below_control()) };
    // SAFETY: it has ended, and returns a T.
    match unsafe { back.end() } {
        Ok(value) => Ok((value, used)),
        Err(payload) => panic::resume_unwind(payload),
    }
}

/// Asserts that `closure`, run as by [`stack_use`] on a stack of the default size, uses no more
/// than `bytes`; returns its value. What an optimized build uses says little about another.
///
/// ```
/// siding::job::assert_stack_use(16 << 10, || [1_u8; 4096].iter().count());
/// ```
///
/// # Panics
///
/// If it uses more, or there is no stack; with the closure's own panic.
#[track_caller]
pub fn assert_stack_use<T, F>(bytes: usize, closure: F) -> T
where
    T: 'static,
    F: FnOnce() -> T + 'static,
{
    let (value, used) = stack_use(&Options::new(), closure).expect("a job to measure");
    assert!(used <= bytes, "the job used {used} bytes of its stack; {bytes} are allowed");
    value
}
