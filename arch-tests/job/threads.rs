//! Jobs on several threads, and threads that end with jobs on them.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use siding::job::{self, Job};

use super::{about_to, finished, pause, paused, start};

#[test]
fn eight_threads_run_jobs_side_by_side() {
    let work = |thread: usize| {
        let jobs: Vec<Job<usize>> = (0..50)
            .map(|n| {
                paused(start(move || {
                    let mut sum = thread;
                    for _ in 0..20 {
                        sum += n;
                        pause();
                    }
                    sum
                }))
            })
            .collect();
        let mut jobs: Vec<_> = jobs.into_iter().map(Some).collect();
        let mut total = 0;
        for _ in 0..20 {
            for slot in &mut jobs {
                match slot.take().map(Job::resume) {
                    Some(job::Progress::Paused(job)) => *slot = Some(job),
                    Some(job::Progress::Finished(sum)) => total += sum,
                    None => {}
                }
            }
        }
        total
    };
    let threads: Vec<_> = (0..8).map(|n| (n, thread::spawn(move || work(n)))).collect();
    for (n, thread) in threads {
        assert_eq!(thread.join().unwrap(), 50 * n + 20 * (49 * 50 / 2));
    }
}

#[test]
fn each_thread_has_a_current_job_of_its_own() {
    let none = finished(start(|| thread::spawn(job::current).join().unwrap()));
    assert_eq!(none, None);
}

thread_local! {
    static LEFT: RefCell<Vec<Job<()>>> = const { RefCell::new(Vec::new()) };
}

/// Ends a thread with jobs in thread-local storage; returns how many captures are left, of
/// eleven. `first` runs first on the thread: what it uses is torn down last or first.
fn thread_that_leaves_jobs(first: fn()) -> usize {
    let held = Arc::new(());
    let hold = Arc::clone(&held);
    let body = move || {
        first();
        for _ in 0..10 {
            let hold = Arc::clone(&hold);
            let job = about_to(move || drop(hold));
            LEFT.with_borrow_mut(|left| left.push(job));
        }
        LEFT.with_borrow_mut(|left| left.push(about_to(move || drop(hold))));
    };
    thread::spawn(body).join().unwrap();
    Arc::strong_count(&held) - 1
}

#[test]
fn a_thread_that_ends_cancels_the_jobs_in_its_thread_locals() {
    assert_eq!(thread_that_leaves_jobs(|| ()), 0);
    assert_eq!(thread_that_leaves_jobs(|| finished(start(|| ()))), 0);
}

/// Their frames may refer to thread-locals that are gone as well.
#[test]
fn it_leaks_them_when_the_pool_is_torn_down_first() {
    assert_eq!(thread_that_leaves_jobs(|| LEFT.with_borrow(|_| ())), 11);
}

static USED: AtomicUsize = AtomicUsize::new(0);

/// Uses everything when its thread ends.
struct Late;

impl Drop for Late {
    fn drop(&mut self) {
        finished(paused(start(pause)).resume());
        job::init_thread(0, 0).unwrap();
        job::cleanup_thread();
        finished(start(|| ()));
        USED.fetch_add(1, Ordering::Relaxed);
    }
}

thread_local! {
    static LATE: Late = const { Late };
}

#[test]
fn jobs_start_also_while_a_thread_ends() {
    for first in [|| LATE.with(|_| ()), || finished(start(|| ()))] {
        let body = move || {
            first();
            finished(start(|| LATE.with(|_| ())));
        };
        thread::spawn(body).join().unwrap();
    }
    assert_eq!(USED.load(Ordering::Relaxed), 2);
}
