//! A closure that does nothing, on another thread and back: `offload` in jobs, and tokio's
//! `spawn_blocking` (with its default of up to 512 threads, and with one a core as siding
//! has). One job makes one round trip after the other, or 1000 jobs at once do.
//!
//! And jobs as futures, on a current-thread runtime: awaiting one that pauses once.

use std::future::{Future, ready};
use std::hint::black_box;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

use siding::future::{self, block_on};
use siding::job;
use siding::scheduler::Scheduler;
use tokio::runtime::{Builder, Runtime};
use tokio::task::spawn_blocking;

use super::tasks;
use crate::harness::{Bench, Effort, process_time, wall_time};
use crate::row::Row;

/// At once.
const MANY: usize = 1000;

pub fn run(effort: Effort) -> io::Result<Vec<Row>> {
    // A batch of many threads takes its time.
    let effort = Effort { rounds: effort.rounds.div_ceil(4), ..effort };
    let mut bench = Bench::new("offload", effort);
    let one_a_core = thread::available_parallelism().map_or(1, usize::from);
    for (name, clock, count) in [
        ("one after the other", wall_time as fn() -> f64, 1),
        ("1000 at once", wall_time, MANY),
        ("1000 at once, CPU time", process_time, MANY),
    ] {
        // Many at once make ten round trips each.
        let least = 10 * count;
        bench.case_by(clock, least, name, "siding", move |n| jobs(count, n.div_ceil(count)));
        for (who, threads) in [("tokio", 512), ("tokio, a thread a core", one_a_core)] {
            let runtime = Builder::new_current_thread().max_blocking_threads(threads).build()?;
            let run = move |n: usize| blocking(&runtime, count, n.div_ceil(count));
            bench.case_by(clock, least, name, who, run);
        }
    }
    futures(&mut bench);
    Ok(bench.run())
}

fn jobs(count: usize, trips: usize) {
    let scheduler = Scheduler::new().expect("a poller");
    for _ in 0..count {
        let body = move || {
            for trip in 0..trips {
                black_box(siding::offload::offload(move || trip).expect("a worker"));
            }
        };
        scheduler.spawn(body).expect("a job");
    }
    scheduler.run().expect("no deadlock");
}

fn blocking(runtime: &Runtime, count: usize, trips: usize) {
    let spawn = |_| {
        runtime.spawn(async move {
            for trip in 0..trips {
                black_box(spawn_blocking(move || trip).await.expect("no panic"));
            }
        })
    };
    let tasks: Vec<_> = (0..count).map(spawn).collect();
    runtime.block_on(async {
        for task in tasks {
            task.await.expect("no panic");
        }
    });
}

/// Pending once.
#[derive(Default)]
struct Once(bool);

impl Future for Once {
    type Output = usize;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(1);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

fn futures(bench: &mut Bench) {
    const AWAIT: &str = "await what is pending once";
    let runtime = tasks::runtime();
    bench.case(AWAIT, "siding", move |n| {
        runtime.block_on(async {
            for i in 0..n {
                let job = future::run(move || {
                    job::yield_now().expect("it is driven");
                    i
                });
                black_box(job.await.expect("a job"));
            }
        });
    });
    let runtime = tasks::runtime();
    bench.case(AWAIT, "a future by hand", move |n| {
        runtime.block_on(async {
            for _ in 0..n {
                black_box(Once::default().await);
            }
        });
    });
    inside(bench, "block_on in a job, ready", || block_on(ready(1)).is_ok());
    inside(bench, "block_on in a job, pending once", || block_on(Once::default()).is_ok());
}

/// An operation inside a job of a scheduler.
fn inside(bench: &mut Bench, name: &str, operation: impl Fn() -> bool + Copy + 'static) {
    bench.case(name, "siding", move |n| {
        let scheduler = Scheduler::new().expect("a poller");
        let body = move || (0..n).for_each(|_| assert!(black_box(operation())));
        scheduler.spawn(body).expect("a job");
        scheduler.run().expect("no deadlock");
    });
}
