//! What `ci/cfi.sh` single-steps: two jobs that take every path through `asm/<arch>.S`.
//!
//! Each round, on stacks A and B, with B above A so that its resumer once lies below it:
//! fresh entry by `resume` and by `hand_over`, resume and hand-over to a paused job, pause
//! to the resumer at home and on the other job's stack, the last switch of the trampoline.

use std::alloc::{self, Layout};

// The sources of the crate themselves, built with `--cfg siding_outline`: the record format
// and the calls of the stub are those of the library.
#[allow(dead_code, unused_imports, reason = "the driver uses the switch alone")]
#[path = "../../src/arch/mod.rs"]
mod arch;

use arch::{Entry, Link, Word, Words};

const STACK: usize = 64 << 10;
const GO: usize = 0;
const PAUSED: usize = 1;
const FINISHED: usize = 2;

/// Two stacks with their links at the top, B above A.
struct Jobs {
    a: *mut Link,
    b: *mut Link,
}

fn link_at_top(memory: *mut u8, stack: usize) -> *mut Link {
    // SAFETY: the caller allocated this many stacks.
    let link = unsafe { memory.add((stack + 1) * STACK - size_of::<Link>()) }.cast::<Link>();
    // SAFETY: inside the allocation, and aligned because a stack's size is.
    unsafe { link.write(Link::new()) };
    link
}

fn arm(link: *mut Link, entry: Entry) {
    let top = link as usize;
    // SAFETY: the job is new or has finished; frames start below its link.
    unsafe { arch::arm(link, arch::prepare(), entry, top + size_of::<Link>() - STACK..top) };
}

/// Resumes `link` and checks who comes back, and how.
#[inline(never)]
fn resume(link: *mut Link, jobs: &Jobs, from: *mut Link, tag: usize) {
    let word = Word::new((&raw const *jobs).cast_mut().cast());
    // SAFETY: the driver resumes only jobs that are armed or paused.
    let landed = unsafe { arch::resume(link, word, GO) };
    assert_eq!((landed.link, landed.tag), (from, tag));
}

#[inline(never)]
fn pause(link: *mut Link) {
    // SAFETY: called on the stack of `link` only.
    let words = unsafe { arch::pause(link, Word::new(link.cast()), PAUSED) };
    assert_eq!(words.tag, GO);
}

/// Puts `to` in the place of the running `from`.
#[inline(never)]
fn hand_over(from: *mut Link, to: *mut Link, jobs: &Jobs) {
    // SAFETY: both links are valid, and `to` does not run.
    unsafe { (&raw mut (*to).outer).copy_from(&raw const (*from).outer, 1) };
    let word = Word::new((&raw const *jobs).cast_mut().cast());
    // SAFETY: called on the stack of `from`; `to` is armed or paused.
    let words = unsafe { arch::hand_over(from, to, word, GO) };
    assert_eq!(words.tag, GO);
}

fn jobs<'a>(word: Word) -> &'a Jobs {
    // SAFETY: the driver hands nothing else into a job.
    let jobs = unsafe { word.assume_init() }.cast::<Jobs>();
    // SAFETY: they outlive every job.
    unsafe { &*jobs }
}

fn finished(link: *mut Link) -> Words {
    Words { word: Word::new(link.cast()), tag: FINISHED }
}

unsafe extern "C" fn run_a(word: Word, _: usize, a: *mut Link) -> Words {
    let jobs = jobs(word);
    resume(jobs.b, jobs, jobs.b, PAUSED);
    pause(a);
    resume(jobs.b, jobs, jobs.b, FINISHED);
    arm(jobs.b, run_b_again);
    hand_over(a, jobs.b, jobs);
    finished(a)
}

unsafe extern "C" fn run_b(_: Word, _: usize, b: *mut Link) -> Words {
    pause(b);
    finished(b)
}

unsafe extern "C" fn run_b_again(word: Word, _: usize, b: *mut Link) -> Words {
    pause(b);
    hand_over(b, jobs(word).a, jobs(word));
    finished(b)
}

fn main() {
    let rounds = std::env::args().nth(1).and_then(|n| n.parse().ok()).expect("driver ROUNDS");
    let layout = Layout::from_size_align(2 * STACK, STACK).expect("a small power of two");
    // SAFETY: the layout is not empty.
    let memory = unsafe { alloc::alloc(layout) };
    let jobs = Jobs { a: link_at_top(memory, 0), b: link_at_top(memory, 1) };
    for _ in 0..rounds {
        arm(jobs.a, run_a);
        arm(jobs.b, run_b);
        resume(jobs.a, &jobs, jobs.a, PAUSED);
        resume(jobs.a, &jobs, jobs.b, PAUSED);
        resume(jobs.b, &jobs, jobs.a, FINISHED);
        resume(jobs.b, &jobs, jobs.b, FINISHED);
    }
    // SAFETY: allocated above with this layout; both jobs have finished.
    unsafe { alloc::dealloc(memory, layout) };
}
