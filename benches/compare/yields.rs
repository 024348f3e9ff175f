//! Round robin: what a turn costs when many on one thread yield to each other.
//!
//! * siding: `yield_now` in jobs of a `Scheduler`, at depth 0 and inside four functions.
//! * tokio: `yield_now` in tasks of a current-thread runtime, at the same depths.
//! * loop: coroutines resumed one after the other by a loop written for the purpose. No
//!   run queue, no wakes and nobody who could be woken, so less than the two above.
//!
//! tokio's tasks are spawned anew for each batch, which is a small part of it.
//!
//! `cargo bench --bench yields [-- --quick]`

use std::hint::black_box;
use std::time::Duration;

use siding::scheduler::{JoinHandle, Scheduler, yield_now};
use tokio::runtime::Runtime;

#[path = "../harness/mod.rs"]
#[allow(dead_code)]
mod harness;

use harness::Bench;

/// The same four functions around a `yield_now`, with `async` or without.
macro_rules! depths {
    ($($async:ident)? | $yield:expr $(, $await:tt)?) => {
        #[inline(never)]
        pub $($async)? fn d1() {
            $yield;
            black_box(());
        }
        #[inline(never)]
        pub $($async)? fn d2() {
            d1() $(.$await)?;
            black_box(());
        }
        #[inline(never)]
        pub $($async)? fn d3() {
            d2() $(.$await)?;
            black_box(());
        }
        #[inline(never)]
        pub $($async)? fn d4() {
            d3() $(.$await)?;
            black_box(());
        }
    };
}

mod jobs {
    use super::*;
    depths!(| yield_now().expect("not cancelled"));
}

mod tasks {
    use super::*;
    depths!(async | tokio::task::yield_now().await, await);
}

fn jobs(bench: &mut Bench, group: &'static str, count: usize, yields: impl Fn() + Copy + 'static) {
    let scheduler = Scheduler::new().expect("a poller");
    for _ in 0..count {
        let _: JoinHandle<()> = scheduler
            .spawn(move || {
                loop {
                    yields();
                }
            })
            .expect("a job");
    }
    bench.case(group, "siding jobs", move |n| {
        for _ in 0..n / count {
            // One turn for each job.
            scheduler.turn(Some(Duration::ZERO)).expect("a turn");
        }
    });
}

fn tasks<F>(
    bench: &mut Bench,
    group: &'static str,
    count: usize,
    yields: impl Fn() -> F + Send + Copy + 'static,
) where
    F: Future<Output = ()> + Send,
{
    let runtime: Runtime =
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    bench.case(group, "tokio tasks", move |n| {
        let turns = n / count;
        let spawn = |_| {
            runtime.spawn(async move {
                for _ in 0..turns {
                    yields().await;
                }
            })
        };
        let tasks: Vec<_> = (0..count).map(spawn).collect();
        runtime.block_on(async {
            for task in tasks {
                task.await.expect("no panic");
            }
        });
    });
}

/// A loop over coroutines of a library with corosensei's interface.
macro_rules! coroutines {
    ($bench:ident, $group:ident, $count:ident, $name:literal, $Coroutine:path, $Yielder:path) => {{
        use $Coroutine as Coroutine;
        use $Yielder as Yielder;
        type C = Coroutine<(), (), ()>;
        let body = |yielder: &Yielder<(), ()>, ()| {
            loop {
                yielder.suspend(());
            }
        };
        let mut all: Vec<C> = (0..$count).map(|_| C::new(body)).collect();
        $bench.case($group, $name, move |n| {
            for _ in 0..n / $count {
                for coroutine in &mut all {
                    black_box(coroutine.resume(()));
                }
            }
        });
    }};
}

fn main() {
    let mut bench = Bench::from_args();
    for (count, depth0, depth4) in [
        (10, "10, depth 0", "10, depth 4"),
        (100, "100, depth 0", "100, depth 4"),
        (1000, "1000, depth 0", "1000, depth 4"),
    ] {
        jobs(&mut bench, depth0, count, || yield_now().expect("not cancelled"));
        tasks(&mut bench, depth0, count, tokio::task::yield_now);
        coroutines!(
            bench,
            depth0,
            count,
            "corosensei loop",
            corosensei::Coroutine,
            corosensei::Yielder
        );
        coroutines!(
            bench,
            depth0,
            count,
            "siding loop",
            siding::coroutine::Coroutine,
            siding::coroutine::Yielder
        );
        jobs(&mut bench, depth4, count, jobs::d4);
        tasks(&mut bench, depth4, count, tasks::d4);
    }
    bench.run();
    println!("ns a turn; smaller is better; a ratio below 1 is faster than tokio");
    bench.print("tokio tasks");
    // corosensei unwinds what is dropped suspended; not part of this.
    std::mem::forget(bench);
}
