//! Jobs as futures, against what else there is; all in turn, on one current-thread tokio.
//!
//! * await of a job that pauses once, `spawn_blocking`, a future written by hand that is
//!   pending once; each pending one wakes itself.
//! * inside a job: `block_on` of a future that is ready, and of one that is pending once.
//!
//! `cargo bench --bench future [-- --quick]`

use std::future::{Future, ready};
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use siding::future::{self, block_on};
use siding::job;
use siding::scheduler::Scheduler;
use tokio::runtime::Runtime;
use tokio::task;

struct Case {
    name: &'static str,
    operations: u32,
    /// Nanoseconds for that many operations.
    run: Box<dyn Fn(u32) -> u128>,
    samples: Vec<f64>,
}

/// Pending once.
#[derive(Default)]
struct Once(bool);

impl Future for Once {
    type Output = u32;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u32> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(1);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

fn main() {
    let has = |flag: &str| std::env::args().any(|arg| arg == flag);
    let rounds = if has("--test") {
        1
    } else if has("--quick") {
        20
    } else {
        100
    };
    let case = |name, operations, run| Case { name, operations, run, samples: Vec::new() };
    let mut cases = [
        case("spawn_blocking", 300, on_tokio(|n| Box::pin(blocking(n)))),
        case("a job that pauses once", 3000, on_tokio(|n| Box::pin(jobs(n)))),
        case("a job that does not pause", 3000, on_tokio(|n| Box::pin(short_jobs(n)))),
        case("a future by hand", 3000, on_tokio(|n| Box::pin(by_hand(n)))),
        case("the job, polled by hand", 3000, Box::new(polled)),
        case(
            "block_on, ready",
            10_000,
            Box::new(|n| in_a_job(n, || black_box(block_on(ready(1))).is_ok())),
        ),
        case(
            "block_on, pending once",
            3000,
            Box::new(|n| in_a_job(n, || block_on(Once::default()).is_ok())),
        ),
        case("a yield in a job", 10_000, Box::new(|n| in_a_job(n, || job::yield_now().is_ok()))),
    ];
    for _ in 0..rounds {
        for case in &mut cases {
            (case.run)(10);
            case.samples.push((case.run)(case.operations) as f64 / f64::from(case.operations));
        }
    }
    print(&mut cases);
}

fn print(cases: &mut [Case]) {
    println!("{:<30}{:>10}{:>10}   ns, min and median", "", "min", "median");
    for case in &mut *cases {
        case.samples.sort_by(f64::total_cmp);
        let (min, median) = case.figures();
        println!("{:<30}{min:>10.1}{median:>10.1}", case.name);
    }
    let ((min, median), (their_min, their_median)) = (cases[1].figures(), cases[0].figures());
    println!(
        "a job that pauses once, of spawn_blocking: {:.3} {:.3}",
        min / their_min,
        median / their_median
    );
}

impl Case {
    fn figures(&self) -> (f64, f64) {
        (self.samples[0], self.samples[self.samples.len() / 2])
    }
}

type Work = Pin<Box<dyn Future<Output = ()>>>;

/// Runs `work` on a current-thread runtime.
fn on_tokio(work: fn(u32) -> Work) -> Box<dyn Fn(u32) -> u128> {
    let runtime: Runtime =
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    Box::new(move |n| {
        let start = Instant::now();
        runtime.block_on(work(n));
        start.elapsed().as_nanos()
    })
}

async fn blocking(n: u32) {
    for i in 0..n {
        black_box(task::spawn_blocking(move || i).await.expect("no panic"));
    }
}

async fn jobs(n: u32) {
    for i in 0..n {
        let job = future::run(move || {
            job::yield_now().expect("it is driven");
            i
        });
        black_box(job.await.expect("a job"));
    }
}

async fn short_jobs(n: u32) {
    for i in 0..n {
        black_box(future::run(move || i).await.expect("a job"));
    }
}

async fn by_hand(n: u32) {
    for _ in 0..n {
        black_box(Once::default().await);
    }
}

/// The same without a runtime's share.
fn polled(n: u32) -> u128 {
    let mut cx = Context::from_waker(Waker::noop());
    let start = Instant::now();
    for i in 0..n {
        let mut job = pin!(future::run(move || {
            job::yield_now().expect("it is driven");
            i
        }));
        while black_box(job.as_mut().poll(&mut cx)).is_pending() {}
    }
    start.elapsed().as_nanos()
}

/// Inside a job of a scheduler.
fn in_a_job(n: u32, operation: impl Fn() -> bool + 'static) -> u128 {
    let scheduler = Scheduler::new().expect("a poller");
    let timed = move || {
        let start = Instant::now();
        (0..n).for_each(|_| assert!(operation()));
        start.elapsed().as_nanos()
    };
    let time = scheduler.spawn(timed).expect("a job");
    scheduler.run().expect("no deadlock");
    time.join().expect("no panic")
}
