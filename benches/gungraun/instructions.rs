//! Round trips under gungraun: instructions, and what callgrind makes of caches, of 1000 of
//! each. `ci/count.sh` counts exactly, on every architecture, and without gungraun.
//!
//! `cargo bench --package siding-gungraun-benches`; needs gungraun-runner and valgrind.

use std::hint::black_box;

use gungraun::{library_benchmark, library_benchmark_group, main};
use siding::coroutine::Coroutine;
use siding::job::{self, Job, Progress};

const ROUND_TRIPS: usize = 1000;

type Siding = Coroutine<usize, usize, ()>;
type Corosensei = corosensei::Coroutine<usize, usize, ()>;

/// A coroutine that has been resumed once.
macro_rules! paused {
    ($coroutine:ty) => {{
        let mut coroutine = <$coroutine>::new(|yielder, mut value| {
            loop {
                value = yielder.suspend(value);
            }
        });
        black_box(coroutine.resume(0));
        coroutine
    }};
}

#[library_benchmark]
#[bench::loops(paused!(Siding))]
fn coroutine(mut coroutine: Siding) {
    for i in 0..ROUND_TRIPS {
        black_box(coroutine.resume(i));
    }
    std::mem::forget(coroutine);
}

#[library_benchmark]
#[bench::loops(paused!(Corosensei))]
fn corosensei_coroutine(mut coroutine: Corosensei) {
    for i in 0..ROUND_TRIPS {
        black_box(coroutine.resume(i));
    }
    std::mem::forget(coroutine);
}

fn paused_job() -> Job<()> {
    match job::start(|| while job::pause().is_ok() {}) {
        Ok(Progress::Paused(job)) => job,
        _ => unreachable!("it pauses"),
    }
}

#[library_benchmark]
#[bench::loops(paused_job())]
fn job_pause_and_resume(mut job: Job<()>) {
    for _ in 0..ROUND_TRIPS {
        let Progress::Paused(again) = job.resume() else { unreachable!("it loops") };
        job = again;
    }
    std::mem::forget(job);
}

#[library_benchmark]
#[bench::after_one(paused_job())]
fn job_start_and_finish(warm: Job<()>) {
    for i in 0..ROUND_TRIPS {
        black_box(job::start(move || i).is_ok());
    }
    std::mem::forget(warm);
}

library_benchmark_group!(
    name = round_trips,
    benchmarks = [coroutine, corosensei_coroutine, job_pause_and_resume, job_start_and_finish]
);
main!(library_benchmark_groups = round_trips);
