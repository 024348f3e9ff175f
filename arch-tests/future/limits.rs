//! More futures than jobs: they wait, in order, and are polled for a reason only.

use std::panic::{self, AssertUnwindSafe};
use std::task::Poll;
use std::thread;

use siding::future;
use siding::job;

use super::Hand;

fn parked() -> Hand<impl Future<Output = Result<(), siding::job::StartError>> + Unpin> {
    Hand::new(future::run(|| {
        job::park().unwrap();
    }))
}

/// Limits belong to a thread.
fn with_jobs(max: usize, test: fn()) {
    thread::spawn(move || {
        job::init_thread(max, 0).unwrap();
        test();
    })
    .join()
    .unwrap();
}

#[test]
fn the_next_in_line_is_woken_when_a_job_ends() {
    with_jobs(1, || {
        let mut running = Hand::new(future::run(|| job::yield_now().unwrap()));
        let (mut first, mut second) = (parked(), parked());
        assert!(running.poll().is_pending());
        assert!(first.poll().is_pending() && second.poll().is_pending());
        assert_eq!((first.woken(), second.woken()), (0, 0));
        assert!(running.poll().is_ready());
        assert_eq!((first.woken(), second.woken()), (1, 0));
        assert!(first.poll().is_pending(), "it runs now");
        drop(first);
        assert_eq!(second.woken(), 1);
        assert!(second.poll().is_pending());
    });
}

#[test]
fn one_that_leaves_the_line_passes_its_call_on() {
    with_jobs(1, || {
        let mut running = Hand::new(future::run(|| job::yield_now().unwrap()));
        let (mut first, mut second, mut third) = (parked(), parked(), parked());
        assert!(running.poll().is_pending());
        assert!(first.poll().is_pending() && second.poll().is_pending());
        assert!(third.poll().is_pending());
        drop(second); // not called yet
        assert!(running.poll().is_ready());
        assert_eq!((first.woken(), third.woken()), (1, 0));
        drop(first); // called, and never polled again
        assert_eq!(third.woken(), 1);
        assert!(third.poll().is_pending());
    });
}

#[test]
fn a_change_of_the_limit_does_not_forget_who_waits() {
    with_jobs(1, || {
        let mut running = Hand::new(future::run(|| job::yield_now().unwrap()));
        let mut waiting = parked();
        assert!(running.poll().is_pending());
        assert!(waiting.poll().is_pending());
        job::init_thread(1, 0).unwrap();
        let calls = waiting.woken();
        if calls > 0 {
            // It has looked whether that made room, and waits on.
            assert!(waiting.poll().is_pending());
        }
        assert!(running.poll().is_ready());
        assert_eq!(waiting.woken(), calls + 1);
    });
}

#[test]
fn a_job_counts_no_longer_though_its_waker_panics_when_it_is_dropped() {
    with_jobs(1, || {
        let mut last = parked();
        assert!(last.poll_for_a_bomb().is_pending());
        panic::catch_unwind(AssertUnwindSafe(|| drop(last))).unwrap_err();
        assert!(matches!(Hand::new(future::run(|| 5)).poll(), Poll::Ready(Ok(5))));
    });
}

#[test]
fn a_higher_limit_or_none_calls_the_next_in_line() {
    fn is_called_after(change: fn()) {
        let (mut running, mut waiting) = (parked(), parked());
        assert!(running.poll().is_pending());
        assert!(waiting.poll().is_pending());
        change();
        assert_eq!(waiting.woken(), 1);
        assert!(waiting.poll().is_pending());
        assert_eq!(siding::stats().jobs.paused, 2, "it runs now");
    }
    with_jobs(1, || is_called_after(|| job::init_thread(2, 0).unwrap()));
    with_jobs(1, || is_called_after(job::cleanup_thread));
}

#[test]
fn a_thousand_futures_share_three_jobs() {
    with_jobs(3, || {
        let mut tasks: Vec<_> = (0..1000)
            .map(|i| {
                Hand::new(future::run(move || {
                    job::yield_now().unwrap();
                    i
                }))
            })
            .collect();
        let (mut polls, mut done) = (0, Vec::new());
        let mut seen = vec![usize::MAX; tasks.len()];
        while done.len() < tasks.len() {
            let before = polls;
            for (i, task) in tasks.iter_mut().enumerate() {
                // Polled once at first, then whenever it was woken.
                if seen[i] != task.woken() && !done.contains(&i) {
                    seen[i] = task.woken();
                    polls += 1;
                    if let Poll::Ready(result) = task.poll() {
                        assert_eq!(result.unwrap(), i);
                        done.push(i);
                    }
                }
            }
            assert_ne!(polls, before, "all wait, and nobody will wake them");
        }
        assert!(done.is_sorted(), "in order");
        assert!(polls <= 4 * tasks.len(), "{polls} polls");
    });
}
