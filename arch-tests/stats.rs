//! `siding::stats()`, its events with the feature `trace`, and the marks of stacks.

use std::hint::black_box;
use std::thread;

use siding::job::{self, Progress};
use siding::stack::high_water_marks;
use siding::stats;

/// On a thread of its own, whose pool is empty.
fn fresh_thread(test: fn()) {
    thread::spawn(test).join().unwrap();
}

#[test]
fn jobs_are_counted_by_state() {
    fn counts() -> (usize, usize, usize) {
        let jobs = stats().jobs;
        (jobs.running, jobs.paused, jobs.free)
    }
    fresh_thread(|| {
        assert_eq!(counts(), (0, 0, 0));
        let paused = || match job::start(|| job::pause().unwrap()).unwrap() {
            Progress::Paused(job) => job,
            Progress::Finished(()) => unreachable!("it pauses"),
        };
        let (first, second) = (paused(), paused());
        assert_eq!(counts(), (0, 2, 0));
        let nested = job::start(|| {
            let inside = job::start(counts).unwrap();
            let Progress::Finished(counts) = inside else { panic!("it does not pause") };
            counts
        });
        let Progress::Finished(inside) = nested.unwrap() else { panic!("it does not pause") };
        assert_eq!(inside, (2, 2, 0));
        assert!(matches!(first.resume(), Progress::Finished(())));
        drop(second);
        assert_eq!(counts(), (0, 0, 4));
    });
}

#[test]
fn a_stack_remembers_how_deep_it_was_used() {
    fn deep() {
        black_box([1_u8; 100_000]);
    }
    fresh_thread(|| {
        assert!(high_water_marks().is_empty());
        job::start(|| ()).unwrap();
        let shallow = high_water_marks();
        assert!(matches!(shallow[..], [mark] if mark < 100_000), "{shallow:?}");
        job::start(deep).unwrap();
        let marks = high_water_marks();
        assert!(matches!(marks[..], [100_000..270_000]), "{marks:?}");
    });
}

#[cfg(feature = "scheduler")]
#[test]
fn a_scheduler_counts_turns_ends_and_wakes() {
    use siding::scheduler::{Scheduler, park, wake_handle, yield_now};
    use std::sync::mpsc;
    use std::time::Duration;

    let scheduler = Scheduler::new().unwrap();
    let now = Some(Duration::ZERO);
    // Enough for the queue to grow while some are taken out of the middle.
    let jobs: Vec<_> = (0..100).map(|_| scheduler.spawn(yield_now).unwrap()).collect();
    for job in jobs.into_iter().skip(90) {
        job.cancel();
    }
    assert_eq!(scheduler.stats().turns, 0);
    scheduler.turn(now).unwrap();
    let stats = scheduler.stats();
    assert_eq!((stats.live, stats.ready, stats.turns, stats.ended), (90, 90, 90, 10));
    for _ in 0..200 {
        scheduler.spawn(yield_now).unwrap();
    }
    scheduler.run().unwrap();
    let stats = scheduler.stats();
    assert_eq!((stats.live, stats.turns, stats.ended), (0, 90 + 90 + 400, 300));

    let (send, receive) = mpsc::channel();
    let job = scheduler.spawn(move || {
        send.send(wake_handle().unwrap()).unwrap();
        park().unwrap();
    });
    scheduler.turn(now).unwrap();
    receive.recv().unwrap().wake();
    scheduler.run().unwrap();
    job.unwrap().join().unwrap();
    assert_eq!(scheduler.stats().woken, 1);
}

#[cfg(feature = "trace")]
#[test]
fn events_of_a_thread_are_counted() {
    fresh_thread(|| {
        let job = match job::start(|| job::pause().unwrap()).unwrap() {
            Progress::Paused(job) => job,
            Progress::Finished(()) => unreachable!("it pauses"),
        };
        job.resume();
        drop(job::start(|| job::pause().unwrap()).unwrap());
        let events = stats().events;
        let entered = (events.started, events.resumed);
        assert_eq!((entered, events.paused, events.finished), ((2, 2), 2, 2));
        assert_eq!(events.cancelled, 1);
    });
}
