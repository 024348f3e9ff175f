//! The cases, for any way of measuring.

use std::hint::black_box;

use criterion::Criterion;
use criterion::measurement::Measurement;
use siding::coroutine::{Coroutine, CoroutineState};
use siding::job::{self, Progress};
use siding::scheduler::{Scheduler, yield_now};

pub fn all<M: Measurement + 'static>(c: &mut Criterion<M>) {
    coroutines(c);
    jobs(c);
    scheduler(c);
}

fn coroutines<M: Measurement + 'static>(c: &mut Criterion<M>) {
    let mut coroutine: Coroutine<usize, usize, ()> = Coroutine::new(|yielder, mut value| {
        loop {
            value = yielder.suspend(value);
        }
    });
    c.bench_function("coroutine resume + suspend", |b| {
        b.iter(|| match coroutine.resume(black_box(1)) {
            CoroutineState::Yielded(value) => value,
            CoroutineState::Complete(()) => unreachable!("it loops for ever"),
        });
    });
    c.bench_function("coroutine new + resume + complete", |b| {
        b.iter(|| Coroutine::<usize, (), usize>::new(|_, value| value).resume(black_box(1)));
    });
}

fn jobs<M: Measurement + 'static>(c: &mut Criterion<M>) {
    c.bench_function("job start + finish", |b| {
        b.iter(|| match job::start(|| black_box(1)) {
            Ok(Progress::Finished(value)) => value,
            _ => unreachable!("it does not pause"),
        });
    });
    c.bench_function("job start + pause + resume + finish", |b| {
        b.iter(|| match job::start(job::pause) {
            Ok(Progress::Paused(job)) => matches!(job.resume(), Progress::Finished(Ok(()))),
            _ => unreachable!("it pauses"),
        });
    });
}

fn scheduler<M: Measurement + 'static>(c: &mut Criterion<M>) {
    c.bench_function("scheduler, 100 jobs that yield 100 times each", |b| {
        b.iter(|| {
            let scheduler = Scheduler::new().expect("a poller");
            for _ in 0..100 {
                let yields = || (0..100).for_each(|_| yield_now().expect("not cancelled"));
                scheduler.spawn(yields).expect("a job");
            }
            scheduler.run().expect("no deadlock");
        });
    });
}
