//! What `ci/count.sh` counts the instructions of: `count CASE N` makes N round trips;
//! `count` alone makes one of each case and prints its name.
//!
//! Depth d: the job pauses inside d functions that all return to its loop between pauses.
//! The resumer sends a `usize`, the job sends it back, the resumer subtracts one until it
//! is zero: no loop is shorter.

use std::env;
use std::mem;
use std::process::ExitCode;

// The raw switch is private to the crate: its sources are built into this program again.
#[allow(dead_code, unused_imports, reason = "only the inlined switch is counted")]
#[path = "../src/arch/mod.rs"]
mod arch;

type Case = (&'static str, fn(usize) -> usize);

const CASES: &[Case] = &[
    ("raw context", raw::round_trips),
    ("Coroutine depth 0", siding_coroutine::depth0),
    ("Coroutine depth 1", siding_coroutine::depth1),
    ("Coroutine depth 4", siding_coroutine::depth4),
    ("job pause and resume", jobs::pause_and_resume),
    ("job start and finish", jobs::start_and_finish),
    ("yield of 100 jobs", jobs::yields),
    #[cfg(not(any(target_arch = "powerpc64", target_arch = "s390x")))]
    ("corosensei depth 0", corosensei_coroutine::depth0),
    #[cfg(not(any(target_arch = "powerpc64", target_arch = "s390x")))]
    ("corosensei depth 1", corosensei_coroutine::depth1),
    #[cfg(not(any(target_arch = "powerpc64", target_arch = "s390x")))]
    ("corosensei depth 4", corosensei_coroutine::depth4),
];

#[allow(unsafe_code, reason = "below the safe interface")]
mod raw {
    use std::ops::Range;
    use std::ptr;

    use super::arch::{self, Landed, Link, Word, Words};

    #[repr(align(16))]
    struct Memory([u8; 32 << 10]);

    unsafe extern "C-unwind" fn job(word: Word, _: usize, link: *mut Link) -> Words {
        let mut word = word;
        loop {
            // SAFETY: entered by the resume below, on the stack of `link`.
            word = unsafe { arch::pause(link, word, 0) }.word;
        }
    }

    #[inline(never)]
    pub(super) fn round_trips(n: usize) -> usize {
        let mut memory = Box::new(Memory([0; 32 << 10]));
        let mut link = Link::new();
        let link = &raw mut link;
        let Range { start, end } = memory.0.as_mut_ptr_range();
        // SAFETY: the link is new, the memory aligned and used by nobody else.
        unsafe { arch::arm(link, arch::prepare(), job, start as usize..end as usize) };
        let mut landed = Landed { link, word: Word::new(ptr::null_mut()), tag: 0 };
        let mut value = n;
        while value != 0 {
            // SAFETY: armed, or paused by the job, which nobody else resumes.
            landed = unsafe { arch::resume(landed.link, Word::new(value as *mut ()), 0) };
            // SAFETY: the job hands back the word it was given.
            value = unsafe { landed.word.assume_init() } as usize - 1;
        }
        value
    }
}

/// `depth0`, `depth1`, `depth4` for a crate with corosensei's interface.
macro_rules! coroutine_cases {
    ($module:ident, $coroutine:ident, $yielder:ident, $yielded:path) => {
        mod $module {
            use super::*;
            type Inside = $yielder<usize, usize>;

            #[inline(always)]
            fn suspend(yielder: &Inside, value: usize) -> usize {
                yielder.suspend(value)
            }

            coroutine_cases!(@frames one => suspend, two => one, three => two, four => three);

            #[inline(never)]
            fn round_trips(
                n: usize,
                mut coroutine: $coroutine<usize, usize, usize>,
            ) -> usize {
                let mut value = n;
                while value != 0 {
                    let $yielded(answer) = coroutine.resume(value) else { unreachable!() };
                    value = answer - 1;
                }
                mem::forget(coroutine);
                value
            }

            coroutine_cases!(@depth $coroutine, depth0 => suspend, depth1 => one, depth4 => four);
        }
    };
    (@frames $($frame:ident => $inner:ident),+) => { $(
        #[inline(never)]
        fn $frame(yielder: &Inside, value: usize) -> usize {
            // Something is left to do after the call, so that it is one.
            std::hint::black_box(());
            let value = $inner(yielder, value);
            std::hint::black_box(());
            value
        }
    )+ };
    (@depth $coroutine:ident, $($depth:ident => $frame:ident),+) => { $(
        pub(super) fn $depth(n: usize) -> usize {
            round_trips(n, $coroutine::new(|yielder: &Inside, first| {
                let mut value = first;
                loop {
                    value = $frame(yielder, value);
                }
            }))
        }
    )+ };
}

#[cfg(not(any(target_arch = "powerpc64", target_arch = "s390x")))]
use corosensei::{Coroutine as Corosensei, CoroutineResult, Yielder as CorosenseiYielder};
use siding::coroutine::{Coroutine, CoroutineState, Yielder};

coroutine_cases!(siding_coroutine, Coroutine, Yielder, CoroutineState::Yielded);
#[cfg(not(any(target_arch = "powerpc64", target_arch = "s390x")))]
coroutine_cases!(corosensei_coroutine, Corosensei, CorosenseiYielder, CoroutineResult::Yield);

mod jobs {
    use super::mem;
    use siding::job::{self, Progress};
    use siding::scheduler::{Scheduler, yield_now};

    fn paused_for_ever() -> Progress<()> {
        job::start(|| while job::pause().is_ok() {}).expect("a job")
    }

    #[inline(never)]
    pub(super) fn pause_and_resume(n: usize) -> usize {
        let Progress::Paused(mut job) = paused_for_ever() else { unreachable!() };
        for _ in 0..n {
            let Progress::Paused(again) = job.resume() else { unreachable!() };
            job = again;
        }
        mem::forget(job);
        n
    }

    #[inline(never)]
    pub(super) fn start_and_finish(n: usize) -> usize {
        let mut value = n;
        while value != 0 {
            let Ok(Progress::Finished(answer)) = job::start(move || value) else { unreachable!() };
            value = answer - 1;
        }
        value
    }

    /// Each turn yields to another job.
    pub(super) fn yields(n: usize) -> usize {
        const JOBS: usize = 100;
        let scheduler = Scheduler::new().expect("a poller");
        for _ in 0..JOBS {
            let turns = n / JOBS;
            let body = move || (0..turns).for_each(|_| yield_now().expect("not cancelled"));
            scheduler.spawn(body).expect("a job");
        }
        scheduler.run().expect("no deadlock");
        n
    }
}

fn main() -> ExitCode {
    let mut args = env::args().skip(1).filter(|arg| arg != "--bench");
    let (Some(name), Some(n)) = (args.next(), args.next()) else {
        for (name, round_trips) in CASES {
            std::hint::black_box(round_trips(1));
            println!("{name}");
        }
        return ExitCode::SUCCESS;
    };
    let case = CASES.iter().find(|(case, _)| *case == name);
    let (Some((_, round_trips)), Ok(n)) = (case, n.parse()) else {
        eprintln!("usage: count [CASE N]");
        return ExitCode::FAILURE;
    };
    std::hint::black_box(round_trips(n));
    ExitCode::SUCCESS
}
