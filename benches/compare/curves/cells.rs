//! One cell: some jobs of one library, their turns timed and their memory counted.

use std::cell::Cell;
use std::error::Error;
use std::mem;
use std::time::Duration;

use corosensei::stack::DefaultStack;
use siding::coroutine::Coroutine;
use siding::job::Options;
use siding::scheduler::{Scheduler, yield_now};
use siding::stack::{self, PooledStack, StackConfig};

use super::measure::{self, Usage};

mod openssl;

type Run = fn(usize) -> Result<(), Box<dyn Error>>;

pub const CASES: [(&str, Run); 4] = [
    ("siding coroutines", siding_coroutines),
    ("siding jobs", siding_jobs),
    ("corosensei", corosensei),
    ("OpenSSL ASYNC", openssl::jobs),
];

const STACK: StackConfig = StackConfig::with_size(16 << 10).guard(4 << 10);

/// Prints the least and the median time of a turn, and the memory of each job.
pub fn run(case: &str, jobs: usize) -> Result<(), Box<dyn Error>> {
    let (_, run) = CASES.iter().find(|(name, _)| *name == case).ok_or("no such case")?;
    run(jobs)
}

thread_local! {
    static BEFORE: Cell<Usage> = Cell::default();
}

/// From here on memory counts.
fn begin() {
    BEFORE.set(Usage::now());
}

fn report(jobs: usize, round: impl FnMut()) {
    let used = Usage::now() - BEFORE.get();
    let (min, median) = measure::rounds(jobs, round);
    println!("{min} {median} {}", (used.resident + used.page_tables) / jobs as i64);
}

fn siding_coroutines(jobs: usize) -> Result<(), Box<dyn Error>> {
    const AHEAD: usize = 8;
    let mut all: Vec<Coroutine<(), (), ()>> = Vec::with_capacity(jobs);
    begin();
    for _ in 0..jobs {
        let coroutine = Coroutine::try_new(STACK, |yielder, ()| {
            loop {
                yielder.suspend(());
            }
        });
        let mut coroutine = coroutine.map_err(|refused| refused.error)?;
        coroutine.resume(());
        all.push(coroutine);
    }
    measure::shuffle(&mut all);
    report(jobs, || {
        for i in 0..all.len() {
            if let Some(soon) = all.get(i + AHEAD) {
                soon.prefetch();
            }
            all[i].resume(());
        }
    });
    mem::forget(all);
    Ok(())
}

fn siding_jobs(jobs: usize) -> Result<(), Box<dyn Error>> {
    let scheduler = Scheduler::new()?;
    begin();
    // The pool gives out the last one returned.
    stack::reserve(STACK, jobs)?;
    let stacks: Result<Vec<_>, _> = (0..jobs).map(|_| PooledStack::new(STACK)).collect();
    let mut stacks = stacks?;
    measure::shuffle(&mut stacks);
    drop(stacks);
    let options = Options::new().stack(STACK);
    for _ in 0..jobs {
        let job = scheduler.spawn_with(&options, || while yield_now().is_ok() {});
        job.map_err(|refused| refused.error)?;
    }
    let turn = || drop(scheduler.turn(Some(Duration::ZERO)));
    turn();
    report(jobs, turn);
    mem::forget(scheduler);
    Ok(())
}

fn corosensei(jobs: usize) -> Result<(), Box<dyn Error>> {
    let mut all: Vec<corosensei::Coroutine<(), (), ()>> = Vec::with_capacity(jobs);
    begin();
    for _ in 0..jobs {
        let stack = DefaultStack::new(STACK.size)?;
        let mut coroutine = corosensei::Coroutine::with_stack(stack, |yielder, ()| {
            loop {
                yielder.suspend(());
            }
        });
        coroutine.resume(());
        all.push(coroutine);
    }
    measure::shuffle(&mut all);
    report(jobs, || {
        for coroutine in &mut all {
            coroutine.resume(());
        }
    });
    mem::forget(all);
    Ok(())
}
