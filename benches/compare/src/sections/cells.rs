//! What runs in a cell of `many`: so many jobs of one library, their turns timed and their
//! memory counted.

use std::cell::{Cell, RefCell};
use std::fs;
use std::future::poll_fn;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::task::{Poll, Waker};
use std::time::Duration;

use siding::job::Options;
use siding::scheduler::{Scheduler, yield_now};
use siding::stack::{self, PooledStack};

use super::tasks;
use crate::child::Outcome;
use crate::harness::{least_and_median, thread_time};
use crate::peer::{Peer, depth0};
use crate::peers::CONFIG;

/// Resumed by a loop, with a word to the cache some turns ahead where the library has one.
pub fn resumed<P: Peer>(count: usize, random: bool, out: &mut Outcome) -> io::Result<()> {
    const AHEAD: usize = 8;
    let mut all: Vec<P> = Vec::with_capacity(count);
    let before = memory();
    for _ in 0..count {
        // Some peers panic where others return an error.
        match panic::catch_unwind(AssertUnwindSafe(|| P::start(depth0::<P>, 0))) {
            Ok(started) => all.push(started?),
            Err(_) => return Err(io::Error::other("it panics")),
        }
        out.made = all.len();
    }
    out.bytes = (memory() - before) / count as f64;
    if random {
        shuffle(&mut all);
    }
    out.time(count, || {
        for i in 0..all.len() {
            if let Some(soon) = all.get(i + AHEAD) {
                soon.prefetch();
            }
            all[i].resume(i);
        }
        all.len()
    });
    std::mem::forget(all);
    Ok(())
}

/// siding's jobs, resumed by a scheduler.
pub fn jobs(count: usize, random: bool, out: &mut Outcome) -> io::Result<()> {
    let scheduler = Scheduler::new()?;
    let before = memory();
    if random {
        // The pool gives out the last one returned.
        let other = |error: stack::StackError| io::Error::other(error.to_string());
        stack::reserve(CONFIG, count).map_err(other)?;
        let stacks: Result<Vec<_>, _> = (0..count).map(|_| PooledStack::new(CONFIG)).collect();
        let mut stacks = stacks.map_err(other)?;
        shuffle(&mut stacks);
    }
    let options = Options::new().stack(CONFIG);
    for _ in 0..count {
        let job = scheduler.spawn_with(&options, || while yield_now().is_ok() {});
        job.map_err(|refused| io::Error::other(refused.error.to_string()))?;
        out.made += 1;
    }
    let turn = || {
        scheduler.turn(Some(Duration::ZERO)).expect("a turn");
        count
    };
    turn();
    out.bytes = (memory() - before) / count as f64;
    out.time(count, turn);
    std::mem::forget(scheduler);
    Ok(())
}

thread_local! {
    static WAKERS: RefCell<Vec<Waker>> = const { RefCell::new(Vec::new()) };
    static TURNS: Cell<usize> = const { Cell::new(0) };
}

/// Leaves a waker in `WAKERS`, and is ready when polled again.
async fn woken() {
    let mut left = false;
    let registered = poll_fn(|context| {
        if std::mem::replace(&mut left, true) {
            return Poll::Ready(());
        }
        WAKERS.with_borrow_mut(|wakers| wakers.push(context.waker().clone()));
        Poll::Pending
    });
    registered.await;
}

/// tokio's tasks. They wait to be woken first: the order in which they are is theirs.
pub fn tokio(count: usize, random: bool, out: &mut Outcome) -> io::Result<()> {
    let runtime = tasks::runtime();
    let before = memory();
    for _ in 0..count {
        runtime.spawn(async {
            woken().await;
            loop {
                TURNS.set(TURNS.get() + 1);
                tokio::task::yield_now().await;
            }
        });
        out.made += 1;
    }
    // The loop itself takes a turn now and then, after some sixty tasks.
    let turns = |least: usize| {
        let first = TURNS.get();
        runtime.block_on(async {
            while TURNS.get() - first < least {
                tokio::task::yield_now().await;
            }
        });
        TURNS.get() - first
    };
    runtime.block_on(async {
        while WAKERS.with_borrow(Vec::len) < count {
            tokio::task::yield_now().await;
        }
    });
    let mut wakers = WAKERS.take();
    if random {
        shuffle(&mut wakers);
    }
    wakers.drain(..).for_each(Waker::wake);
    drop(wakers);
    turns(count);
    out.bytes = (memory() - before) / count as f64;
    out.time(count, || turns(count));
    std::mem::forget(runtime);
    Ok(())
}

impl Outcome {
    /// The time of a turn, in rounds that do not take too long, some of them together if
    /// they are short. A round says how many turns it was.
    fn time(&mut self, count: usize, mut round: impl FnMut() -> usize) {
        const TURNS: usize = 50_000;
        let repeat = TURNS.div_ceil(count);
        let begin = thread_time();
        let mut times = Vec::new();
        while times.len() < 5 || times.len() < 30 && thread_time() - begin < 0.2 {
            let start = thread_time();
            let turns: usize = (0..repeat).map(|_| round()).sum();
            times.push((thread_time() - start) * 1e9 / turns as f64);
        }
        (self.min, self.median) = least_and_median(&mut times);
    }
}

/// What this process occupies, page tables included, in bytes.
fn memory() -> f64 {
    // `smaps_rollup` counts exactly; `statm` may be off by some pages a core.
    field("/proc/self/smaps_rollup", "Rss:") + field("/proc/self/status", "VmPTE:")
}

/// A number of kB, in bytes; 0 where the kernel does not tell.
fn field(file: &str, name: &str) -> f64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|kb| kb.parse().ok()).unwrap_or(0.0) * 1024.0
}

/// Puts them into an order that no prefetcher guesses; the same one each time.
fn shuffle<T>(items: &mut [T]) {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for i in (1..items.len()).rev() {
        // Marsaglia's xorshift.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        items.swap(i, (random % (i as u64 + 1)) as usize);
    }
}
