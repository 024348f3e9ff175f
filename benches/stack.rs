//! What stacks cost: taking and returning one, and making many.
//!
//! `cargo bench --bench stack` prints the least of several runs; without `--bench` (as
//! `cargo test --benches` starts it) each case runs once and small.
//!
//! * take + return: `PooledStack::new` and drop, the stack warm; nothing is run on it.
//! * start + finish: a job that uses this much of its stack, which is wiped or not.
//! * new: many stacks of 16 KiB are made and kept, a word written at the top of each, in a
//!   process of its own; `reserved` asks for all of them beforehand. Resident memory, page
//!   tables and mappings are what the process gained, per stack. Times are CPU times.

#![allow(unsafe_code)]

use std::fs;
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::time::Instant;

use siding::job::{Options, Progress};
use siding::stack::{self, PooledStack, Stack, StackConfig};

const SMALL: StackConfig = StackConfig::with_size(16 << 10);

fn main() {
    let full = std::env::args().any(|arg| arg == "--bench");
    println!("guards by {:?}", stack::guard_mode());
    take_and_return(if full { 2000 } else { 1 });
    start_and_finish(if full { 200 } else { 1 });
    let counts: &[usize] = if full { &[10_000, 100_000, 1_000_000] } else { &[1000] };
    for &count in counts {
        for reserved in [false, true] {
            for _ in 0..if full { 3 } else { 1 } {
                in_child(|| many(count, reserved));
            }
        }
    }
}

fn take_and_return(batches: u32) {
    let rounds = 10_000;
    for (name, config) in [("default", StackConfig::DEFAULT), ("16 KiB", SMALL)] {
        let mut least = f64::MAX;
        for _ in 0..batches {
            let start = Instant::now();
            for _ in 0..rounds {
                let stack = PooledStack::new(black_box(config)).expect("a stack");
                black_box(stack.top());
            }
            least = least.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(rounds));
        }
        println!("take + return, {name}: {least:.2} ns");
    }
}

fn start_and_finish(batches: u32) {
    let rounds = 1000;
    for (used, body) in
        [(1, touch::<{ 1 << 10 }> as fn()), (8, touch::<{ 8 << 10 }>), (64, touch::<{ 64 << 10 }>)]
    {
        let mut least = [f64::MAX; 2];
        for _ in 0..batches {
            for (least, wipe) in least.iter_mut().zip([false, true]) {
                let options = Options::new().wipe(wipe);
                let start = Instant::now();
                for _ in 0..rounds {
                    assert!(matches!(options.start(body), Ok(Progress::Finished(()))));
                }
                *least = least.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(rounds));
            }
        }
        let [plain, wiped] = least;
        println!("start + finish, {used} KiB of stack: {plain:.0} ns, wiped {wiped:.0} ns");
    }
}

#[inline(never)]
fn touch<const BYTES: usize>() {
    let mut frame = MaybeUninit::<[u8; BYTES]>::uninit();
    // The lowest byte is as good as all of them.
    // SAFETY: inside the array.
    unsafe { frame.as_mut_ptr().cast::<u8>().write_volatile(1) };
    black_box(&frame);
}

fn many(count: usize, reserved: bool) {
    let mut stacks = Vec::with_capacity(count);
    let before = [status("VmRSS"), status("VmPTE")];
    let mappings = mapping_count();
    let start = cpu_time();
    if reserved && let Err(e) = stack::reserve(SMALL, count) {
        return println!("{count:>8} new, reserved: {e}");
    }
    for _ in 0..count {
        match PooledStack::new(SMALL) {
            Ok(stack) => {
                // SAFETY: the last word of a stack nobody runs on.
                unsafe { stack.top().cast::<usize>().wrapping_sub(1).write(1) };
                stacks.push(stack);
            }
            Err(e) => {
                println!("{count:>8} new: ended after {}: {e}", stacks.len());
                break;
            }
        }
    }
    let count = stacks.len();
    let made = (cpu_time() - start) / count as f64;
    let per_stack = |name, then: usize| (status(name) - then) * 1024 / count;
    let [resident, tables] = [per_stack("VmRSS", before[0]), per_stack("VmPTE", before[1])];
    let mappings = mapping_count() - mappings;
    let slabs = stack::stats().slabs;
    let start = cpu_time();
    drop(stacks);
    let returned = (cpu_time() - start) / count as f64;
    let how = if reserved { "reserved" } else { "one by one" };
    println!(
        "{count:>8} new, {how:10}: {made:5.2} us, returned {returned:5.2} us, \
         {resident} + {tables} bytes each, {mappings} mappings, {slabs} slabs",
    );
}

/// CPU time of this process in microseconds: the machine may have other things to do.
fn cpu_time() -> f64 {
    // SAFETY: a plain struct of integers.
    let mut time: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: writes to the struct above.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 * 1e-3
}

/// A figure of `/proc/self/status`, in KiB.
fn status(name: &str) -> usize {
    let text = fs::read_to_string("/proc/self/status").expect("procfs");
    let line = text.lines().find(|line| line.starts_with(name)).expect("a line for it");
    line.split_whitespace().nth(1).expect("a figure").parse().expect("a number")
}

fn mapping_count() -> usize {
    fs::read_to_string("/proc/self/maps").expect("procfs").lines().count()
}

fn in_child(run: impl FnOnce()) {
    // SAFETY: this process has one thread.
    match unsafe { libc::fork() } {
        0 => {
            run();
            // SAFETY: no preconditions.
            unsafe { libc::_exit(0) }
        }
        child => {
            let mut status = 0;
            // SAFETY: waits for the child just made.
            unsafe { libc::waitpid(child, &raw mut status, 0) };
            assert_eq!(status, 0, "the measuring process failed");
        }
    }
}
