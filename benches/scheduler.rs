//! What a scheduler's operations cost beside 10 to 1,000,000 other jobs: none may grow with
//! their number, but for the logarithm in a timer's.
//!
//! `cargo bench --bench scheduler` prints CPU time for one operation, the least of several
//! runs; without `--bench` (as `cargo test --benches` starts it) each case runs once and
//! small. Beyond what the caches hold, everything takes longer: that is no growth of ours.
//!
//! * spawn: the others themselves, on 16 KiB stacks that are there already.
//! * cancel queued, cancel waiting: jobs spread evenly among the others.
//! * wake: a `Wake`, and the turn in which its job runs and parks again.
//! * timer: a deadline earlier than those of all others, and the turn in which it has come.
//! * join: a job that ends at once, and another one that waits for it; spawned, too.

#![allow(unsafe_code)]

use std::cell::RefCell;
use std::hint::black_box;
use std::rc::Rc;
use std::time::{Duration, Instant};

use siding::job::Options;
use siding::scheduler::{
    JoinHandle, Scheduler, Wake, park, park_until, sleep, wake_handle, yield_now,
};
use siding::stack::{self, StackConfig};

const SMALL: StackConfig = StackConfig::with_size(16 << 10).guard(4 << 10);

/// Operations of a kind that are timed together.
const BATCH: usize = 1000;

/// Further ahead than this takes.
const LATER: Duration = Duration::from_secs(10_000);

fn main() {
    let full = std::env::args().any(|arg| arg == "--bench");
    let counts: &[usize] = if full { &[10, 1000, 100_000, 1_000_000] } else { &[10, 1000] };
    println!("ns of CPU time, the least of several runs");
    let names = ["spawn", "cancel queued", "cancel waiting", "wake", "timer", "join"];
    println!("{:>9}{}", "others", names.map(|name| format!("{name:>16}")).concat());
    for &count in counts {
        let runs = if full { (1_000_000 / count).clamp(2, 20) } else { 1 };
        let mut least = [f64::MAX; 6];
        for _ in 0..runs {
            for (least, time) in least.iter_mut().zip(operations(count)) {
                *least = least.min(time);
            }
        }
        println!("{count:>9}{}", least.map(|time| format!("{time:>16.0}")).concat());
    }
}

/// One figure for each name in `main`.
fn operations(others: usize) -> [f64; 6] {
    let scheduler = Scheduler::new().expect("a poller");
    stack::reserve(SMALL, others + 2 * BATCH).expect("stacks");
    let mut jobs: Vec<JoinHandle<()>> = Vec::with_capacity(others);
    let spawn = time_each(others, || {
        jobs.extend((0..others).map(|n| spawn(&scheduler, move || waits(LATER * (1 + n as u32)))));
    });
    let victims = others.min(BATCH) / 2;
    let cancel = |first: usize| {
        let victims: Vec<_> = jobs.iter().skip(first).step_by(others / victims).collect();
        time_each(victims.len(), || victims.into_iter().for_each(|job| assert!(job.cancel())))
    };
    let queued = cancel(0);
    turn(&scheduler);
    let waiting = cancel(1);
    [spawn, queued, waiting, wake(&scheduler), timer(&scheduler), join(&scheduler)]
}

fn waits(ahead: Duration) {
    let deadline = Instant::now() + ahead;
    while park_until(deadline).is_ok() {}
}

fn spawn<T: 'static>(scheduler: &Scheduler, job: impl FnOnce() -> T + 'static) -> JoinHandle<T> {
    scheduler.spawn_with(&Options::new().stack(SMALL), job).expect("a job")
}

fn wake(scheduler: &Scheduler) -> f64 {
    let handles: Rc<RefCell<Vec<Wake>>> = Rc::default();
    for _ in 0..BATCH {
        let handles = Rc::clone(&handles);
        let body = move || {
            handles.borrow_mut().extend(wake_handle());
            while park().is_ok() {}
        };
        spawn(scheduler, body);
    }
    turn(scheduler);
    time_each(BATCH, || {
        handles.borrow().iter().for_each(Wake::wake);
        turn(scheduler);
    })
}

fn timer(scheduler: &Scheduler) -> f64 {
    for _ in 0..BATCH {
        spawn(scheduler, || {
            yield_now().expect("not cancelled");
            sleep(Duration::from_nanos(1)).expect("not cancelled");
        });
    }
    turn(scheduler);
    time_each(BATCH, || {
        turn(scheduler);
        turn(scheduler);
    })
}

fn join(scheduler: &Scheduler) -> f64 {
    time_each(BATCH, || {
        for _ in 0..BATCH / 2 {
            let waits = scheduler.spawner();
            let body = move || {
                let options = Options::new().stack(SMALL);
                let job = waits.spawn_with(&options, || black_box(1)).expect("a job");
                job.join().expect("it ends")
            };
            spawn(scheduler, body);
        }
        for _ in 0..3 {
            turn(scheduler);
        }
    })
}

/// One turn for each job that can go on.
fn turn(scheduler: &Scheduler) {
    scheduler.turn(Some(Duration::ZERO)).expect("a turn");
}

/// Nanoseconds of CPU time for each of `count` operations.
fn time_each(count: usize, run: impl FnOnce()) -> f64 {
    let start = cpu_time();
    run();
    (cpu_time() - start) * 1e9 / count as f64
}

/// CPU time of this thread in seconds: the machine may have other things to do.
fn cpu_time() -> f64 {
    // SAFETY: a plain struct of integers.
    let mut time: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: writes to the struct above.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}
