//! Many on one thread that yield to each other through a run queue: `yield_now` in jobs of
//! a `Scheduler`, and in tasks of tokio. A turn is one switch for siding's jobs: each goes
//! on with the next.

use std::hint::black_box;
use std::io;
use std::time::Duration;

use siding::job::Options;
use siding::scheduler::{Scheduler, yield_now};

use super::tasks;
use crate::harness::{Bench, Effort};
use crate::peers::CONFIG;
use crate::row::Row;

pub fn run(effort: Effort) -> io::Result<Vec<Row>> {
    let mut bench = Bench::new("yield", effort);
    for count in [10, 100, 1000] {
        let name = format!("{count} of them");
        jobs(&mut bench, &name, count, d0)?;
        tasks::case(&mut bench, &name, count, tasks::d0);
        let name = format!("{count} of them, inside 4");
        jobs(&mut bench, &name, count, d4)?;
        tasks::case(&mut bench, &name, count, tasks::d4);
    }
    Ok(bench.run())
}

fn d0() {
    yield_now().expect("not cancelled");
}

macro_rules! depths {
    ($($name:ident $inner:ident),*) => {
        $(
            #[inline(never)]
            fn $name() {
                $inner();
                black_box(());
            }
        )*
    };
}
depths!(d1 d0, d2 d1, d3 d2, d4 d3);

fn jobs(
    bench: &mut Bench,
    name: &str,
    count: usize,
    yields: impl Fn() + Copy + 'static,
) -> io::Result<()> {
    let scheduler = Scheduler::new()?;
    for _ in 0..count {
        let endless = move || {
            loop {
                yields();
            }
        };
        let job = scheduler.spawn_with::<(), _>(&Options::new().stack(CONFIG), endless);
        job.map_err(|refused| io::Error::other(refused.error.to_string()))?;
    }
    bench.case(name, "siding", move |n| {
        for _ in 0..n / count {
            // One turn for each job.
            scheduler.turn(Some(Duration::ZERO)).expect("a turn");
        }
    });
    Ok(())
}
