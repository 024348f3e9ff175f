//! Many jobs, each of which pauses in a loop, resumed in turn: in the order in which they
//! were made, and in random order, as if woken by events. What a turn costs, and how much
//! memory each takes, page tables included.
//!
//! Each cell (a number of jobs of one library in one order) runs in a child of its own, all
//! cells in turn and that several times. A library that cannot make so many ends with what
//! it had by then; larger numbers are not tried.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::time::Duration;

use siding::job::Options;
use siding::scheduler::{Scheduler, yield_now};
use siding::stack::{self, PooledStack};

use super::tasks;
use crate::child::{self, Outcome};
use crate::harness::{least_and_median, thread_time};
use crate::peer::{Peer, Visitor, depth0};
use crate::peers::{self, CONFIG};
use crate::row::Row;

const COUNTS: [usize; 7] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000];

struct Cell {
    who: &'static str,
    run: fn(usize, bool, &mut Outcome) -> io::Result<()>,
}

/// Every cell that often; quick: only small ones, once.
pub fn run(quick: bool) -> io::Result<Vec<Row>> {
    // The message of a peer that panics is not of interest, that it does is.
    panic::set_hook(Box::new(|_| ()));
    let mut cells = Cells(Vec::new());
    peers::each(&mut cells);
    cells.0.retain(|cell| cell.who != "siding job");
    cells.0.insert(1, Cell { who: "siding jobs", run: jobs });
    cells.0.push(Cell { who: "tokio tasks", run: tokio });
    let (counts, rounds) = if quick { (&COUNTS[..5], 1) } else { (&COUNTS[..], 3) };
    let mut rows: Vec<Row> = Vec::new();
    for round in 0..rounds {
        for &count in counts {
            // The largest take memory by gigabytes, and time to match.
            if count == 1_000_000 && round == 2 {
                continue;
            }
            for order in ["in order", "random order"] {
                for cell in &cells.0 {
                    add(&mut rows, cell, count, order)?;
                }
            }
        }
    }
    Ok(rows)
}

fn add(rows: &mut Vec<Row>, cell: &Cell, count: usize, order: &str) -> io::Result<()> {
    let case = format!("{count} jobs, {order}");
    let ended = rows.iter().any(|row| row.who == cell.who && !row.note.is_empty());
    let known = rows.iter().position(|row| row.who == cell.who && row.case == case);
    // Made by now, and failed: at this number, or at a smaller one.
    if ended && known.is_none_or(|row| !rows[row].note.is_empty()) {
        return Ok(());
    }
    let at = known.unwrap_or_else(|| {
        rows.push(Row::new("many", &case, cell.who));
        rows.len() - 1
    });
    let row = &mut rows[at];
    match child::run(|out| (cell.run)(count, order == "random order", out))? {
        Ok(Outcome { min, median, bytes, .. }) => {
            row.min = row.min.min(min);
            row.median = row.median.min(median);
            // The first few are charged with all that is mapped for many.
            if count >= 1000 {
                row.bytes = row.bytes.min(bytes);
            }
        }
        Err(why) => row.note = why,
    }
    Ok(())
}

struct Cells(Vec<Cell>);

impl Visitor for Cells {
    fn visit<P: Peer>(&mut self) {
        self.0.push(Cell { who: P::NAME, run: resumed::<P> });
    }
}

/// Resumed by a loop, with a word to the cache some turns ahead where the library has one.
fn resumed<P: Peer>(count: usize, random: bool, out: &mut Outcome) -> io::Result<()> {
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
fn jobs(count: usize, random: bool, out: &mut Outcome) -> io::Result<()> {
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

/// tokio's tasks. They wait to be woken first: the order in which they are is theirs.
fn tokio(count: usize, random: bool, out: &mut Outcome) -> io::Result<()> {
    use std::future::poll_fn;
    use std::task::{Poll, Waker};
    thread_local! {
        static WAKERS: RefCell<Vec<Waker>> = const { RefCell::new(Vec::new()) };
        static TURNS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    }
    let runtime = tasks::runtime();
    let before = memory();
    for _ in 0..count {
        runtime.spawn(async {
            let mut woken = false;
            let registered = poll_fn(|context| {
                if std::mem::replace(&mut woken, true) {
                    return Poll::Ready(());
                }
                WAKERS.with_borrow_mut(|wakers| wakers.push(context.waker().clone()));
                Poll::Pending
            });
            registered.await;
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
