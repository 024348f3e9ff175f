//! Wakes of a job that a future drives: `src/job/wake.rs` in every order.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Waker};

use loom::sync::atomic::AtomicBool;
use loom::thread;

use siding_model_tests::check;
use siding_model_tests::drivers::Job;

/// A task that counts how often it is woken.
struct Task(AtomicUsize);

impl std::task::Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn task() -> (Arc<Task>, Waker) {
    let task = Arc::new(Task(AtomicUsize::new(0)));
    (Arc::clone(&task), Waker::from(task))
}

/// Whether a wake during the first poll is either seen by it or wakes the task.
fn a_wake_meets_a_poll(poll: fn(Job, &Waker) -> Poll<()>) {
    check(None, move || {
        let job = Job::awaited();
        let (task, waker) = task();
        let ticket = job.ticket();
        let waking = thread::spawn(move || ticket.wake());
        let seen = poll(job, &waker).is_ready();
        waking.join().unwrap();
        assert!(seen || task.0.load(Ordering::SeqCst) == 1, "a lost wake");
    });
}

/// Broken by a `wake` that calls the waker first and notes it afterwards.
#[test]
fn a_wake_during_a_poll_is_seen_or_wakes_the_task() {
    a_wake_meets_a_poll(Job::poll);
}

#[test]
#[should_panic = "a lost wake"]
fn the_model_would_find_a_lost_wake() {
    a_wake_meets_a_poll(Job::poll_badly);
}

/// Broken by an `is_notified` that is Relaxed, and by such an `update`.
#[test]
fn what_was_written_before_a_wake_is_read_after_it() {
    check(None, || {
        let job = Job::awaited();
        let data = Arc::new(AtomicBool::new(false));
        let waking = {
            let (data, ticket) = (Arc::clone(&data), job.ticket());
            thread::spawn(move || {
                data.store(true, Ordering::Relaxed);
                ticket.wake();
            })
        };
        let woken = job.is_notified();
        assert!(!woken || data.load(Ordering::Relaxed));
        waking.join().unwrap();
    });
}

/// Broken by a `wake` that calls nobody.
#[test]
fn two_wakers_and_a_task_that_moves_lose_nothing() {
    check(2, || {
        let job = Job::awaited();
        let (first, second) = (task(), task());
        assert!(job.poll(&first.1).is_pending());
        let ticket = job.ticket();
        let waking = [(); 2].map(|()| thread::spawn(move || ticket.wake()));
        let seen = job.poll(&second.1).is_ready();
        waking.into_iter().for_each(|waking| waking.join().unwrap());
        assert!(seen || second.0.0.load(Ordering::SeqCst) >= 1);
    });
}

/// Broken by an `end_job` that keeps the generation.
#[test]
fn a_wake_that_races_with_the_end_does_not_reach_the_next_job() {
    check(None, || {
        let job = Job::awaited();
        let (_, waker) = task();
        let _ = job.poll(&waker);
        let stale = job.ticket();
        let waking = thread::spawn(move || stale.wake());
        job.end();
        // The next job in the same place, which a stale handle must not note a wake for.
        let next = Job::awaited();
        assert!(next.is_in_place_of(job));
        let (_, waker) = task();
        let woken = next.poll(&waker).is_ready();
        waking.join().unwrap();
        assert!(!woken && !next.consume());
    });
}

/// Broken by a `consume` in two steps, a load and a store.
#[test]
fn a_wake_is_consumed_once() {
    check(None, || {
        let job = Job::awaited();
        let ticket = job.ticket();
        let waking = thread::spawn(move || ticket.wake());
        let early = job.consume();
        waking.join().unwrap();
        assert!(early != job.consume());
        assert!(!job.consume());
    });
}
