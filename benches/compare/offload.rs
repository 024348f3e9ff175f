//! A closure that does nothing, on another thread and back: `offload` in a job of siding,
//! `spawn_blocking` in a task of tokio (current-thread runtime), in turn.
//!
//! * one: a single job makes one round trip after the other.
//! * many: 1000 jobs at once make round trips; for each, the time that passes and the CPU
//!   time of the process, all threads together.
//!
//! tokio with its default of up to 512 threads, and with as many as siding has: one a core.
//!
//! `cargo bench --bench offload [-- --quick]`

use std::hint::black_box;
use std::mem;
use std::thread;
use std::time::Instant;

use siding::offload::offload;
use siding::scheduler::Scheduler;
use tokio::runtime::{Builder, Runtime};
use tokio::task;

/// Nanoseconds a round trip.
struct Sample {
    wall: f64,
    cpu: f64,
}

struct Case {
    name: &'static str,
    /// Makes round trips with that many jobs at once, and as many each.
    run: Box<dyn Fn(usize, usize)>,
    one: Vec<f64>,
    many: Vec<Sample>,
}

const MANY: usize = 1000;

fn main() {
    let has = |flag: &str| std::env::args().any(|arg| arg == flag);
    let rounds = if has("--test") {
        1
    } else if has("--quick") {
        10
    } else {
        60
    };
    let case = |name, run| Case { name, run, one: Vec::new(), many: Vec::new() };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let default = runtime(|builder| builder);
    let same = runtime(|builder| builder.max_blocking_threads(cores));
    let mut cases = [
        case("siding", Box::new(jobs)),
        case("tokio, its default", Box::new(move |count, trips| tasks(&default, count, trips))),
        case("tokio, one thread a core", Box::new(move |count, trips| tasks(&same, count, trips))),
    ];
    for _ in 0..rounds {
        for case in &mut cases {
            (case.run)(1, 10);
            case.one.push(measure(300, || (case.run)(1, 300)).wall);
            (case.run)(MANY, 1);
            case.many.push(measure(MANY * 20, || (case.run)(MANY, 20)));
        }
    }
    print(&cases);
}

fn jobs(count: usize, trips: usize) {
    let scheduler = Scheduler::new().expect("a poller");
    for _ in 0..count {
        let body = move || {
            for trip in 0..trips {
                black_box(offload(move || trip).expect("a worker"));
            }
        };
        scheduler.spawn(body).expect("a job");
    }
    scheduler.run().expect("no deadlock");
}

fn runtime(with: impl FnOnce(&mut Builder) -> &mut Builder) -> Runtime {
    with(&mut Builder::new_current_thread()).build().expect("a runtime")
}

fn tasks(runtime: &Runtime, count: usize, trips: usize) {
    let spawn = |_| {
        runtime.spawn(async move {
            for trip in 0..trips {
                black_box(task::spawn_blocking(move || trip).await.expect("no panic"));
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

fn measure(operations: usize, run: impl FnOnce()) -> Sample {
    let (start, before) = (Instant::now(), cpu_time());
    run();
    let (wall, cpu) = (start.elapsed().as_secs_f64(), cpu_time() - before);
    Sample { wall: wall * 1e9 / operations as f64, cpu: cpu * 1e9 / operations as f64 }
}

fn print(cases: &[Case]) {
    let least = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::MAX, f64::min);
    let median = |values: &mut dyn Iterator<Item = f64>| {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let figures = |case: &Case| {
        [
            least(&mut case.one.iter().copied()),
            median(&mut case.one.iter().copied()),
            least(&mut case.many.iter().map(|sample| sample.wall)),
            median(&mut case.many.iter().map(|sample| sample.wall)),
            least(&mut case.many.iter().map(|sample| sample.cpu)),
            median(&mut case.many.iter().map(|sample| sample.cpu)),
        ]
    };
    println!("ns a round trip, min and median; below, as a ratio of siding's to that");
    println!("{:<26}{:>20}{:>20}{:>20}", "", "one", "1000 at once", "their CPU time");
    let ours = figures(&cases[0]);
    for (n, case) in cases.iter().enumerate() {
        let theirs = figures(case);
        let pairs: Vec<_> =
            theirs.chunks(2).map(|pair| format!("{:>12.0}{:>8.0}", pair[0], pair[1])).collect();
        println!("{:<26}{}", case.name, pairs.concat());
        if n > 0 {
            let ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(a, b)| a / b).collect();
            let pairs: Vec<_> =
                ratios.chunks(2).map(|pair| format!("{:>12.2}{:>8.2}", pair[0], pair[1])).collect();
            println!("{:<26}{}", "", pairs.concat());
        }
    }
}

/// CPU time of this process in seconds.
#[allow(unsafe_code)]
fn cpu_time() -> f64 {
    // SAFETY: a plain struct of integers.
    let mut time: libc::timespec = unsafe { mem::zeroed() };
    // SAFETY: writes to the struct above.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}
