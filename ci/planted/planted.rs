//! Bugs inside jobs, by which the tools show that they see there.
//!
//!     planted          jobs that pause and end: nothing is to be found
//!     planted <bug>    the same with: heap, leak, race or unset
#![allow(unsafe_code, reason = "that is where bugs come from")]

use std::hint::black_box;
use std::mem::{self, MaybeUninit};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};
use std::{env, thread};

use siding::job::{self, Progress};

const JOBS: usize = 10;

/// What the job has given to `main`, which frees it while the job is paused.
static GIVEN: AtomicPtr<usize> = AtomicPtr::new(ptr::null_mut());
static mut COUNTER: usize = 0;

fn count() {
    // SAFETY: not at all, if somebody else counts.
    unsafe { COUNTER += 1 };
}

fn body(n: usize, bug: &str) -> usize {
    let held = black_box(Box::new(n)); // by a paused job alone
    job::pause().expect("not cancelled");
    match bug {
        "heap" => {
            let given = Box::into_raw(Box::new(n));
            GIVEN.store(given, Relaxed);
            job::pause().expect("not cancelled");
            // SAFETY: not at all.
            *held + unsafe { given.read() } - n
        }
        "leak" => {
            mem::forget(black_box(Box::new([n; 100])));
            *held
        }
        "race" => {
            count();
            *held
        }
        "unset" => {
            let unset = MaybeUninit::<[usize; 8]>::uninit();
            let unset: *const usize = black_box(&unset).as_ptr().cast();
            // SAFETY: not at all.
            if unsafe { unset.read() } == n { *held } else { n }
        }
        _ => *held,
    }
}

fn main() {
    let bug = env::args().nth(1).unwrap_or_default();
    let counting = thread::spawn(count);
    let start = |n| {
        let bug = bug.clone();
        let Ok(Progress::Paused(job)) = job::start(move || body(n, &bug)) else {
            panic!("a job pauses");
        };
        job
    };
    let mut paused: Vec<_> = (0..JOBS).map(start).collect();
    let mut sum = 0;
    while let Some(job) = paused.pop() {
        match job.resume() {
            Progress::Finished(n) => sum += n,
            Progress::Paused(job) => {
                // SAFETY: from a box.
                drop(unsafe { Box::from_raw(GIVEN.load(Relaxed)) });
                paused.push(job);
            }
        }
    }
    counting.join().expect("it counts");
    assert_eq!(sum, (0..JOBS).sum());
}
