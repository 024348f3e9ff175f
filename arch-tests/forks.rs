//! Processes: a forked child has the parent's jobs, but neither its schedulers nor its
//! descriptors; and jobs may end a process.
#![allow(unsafe_code, reason = "forks, and polls")]

use std::cell::RefCell;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

use siding::job::{self, Job, Progress, StartError};
use siding::scheduler::{
    Interest, JoinHandle, RunError, Scheduler, Turn, park, sleep, wait_fd, wake_handle, yield_now,
};

use crate::common;

mod exit;
mod locks;

fn scheduler() -> Scheduler {
    Scheduler::new().expect("a scheduler")
}

fn turn(scheduler: &Scheduler) -> Turn {
    scheduler.turn(Some(Duration::ZERO)).unwrap()
}

/// Runs until a job has ended, and fails if that takes much too long.
fn run_until_finished<T>(scheduler: &Scheduler, job: &JoinHandle<T>) {
    let start = Instant::now();
    while !job.is_finished() {
        assert!(start.elapsed() < Duration::from_secs(20), "{job:?} hangs");
        scheduler.turn(Some(Duration::from_secs(5))).unwrap();
    }
}

#[test]
fn parent_and_child_both_finish_a_paused_job() {
    let Ok(Progress::Paused(job)) = job::start(|| {
        job::pause().unwrap();
        5
    }) else {
        panic!("it pauses")
    };
    let mut job = Some(job);
    let mut finish = || matches!(job.take().unwrap().resume(), Progress::Finished(5));
    common::passes(|| assert!(finish()));
    assert!(finish());
}

#[test]
fn a_job_may_fork() {
    let Ok(Progress::Finished(())) = job::start(|| {
        common::passes(|| {
            let Ok(Progress::Finished(3)) = job::start(|| 3) else { panic!("it runs") };
        });
    }) else {
        panic!("it does not pause")
    };
}

/// A scheduler with a job that waits for data and one that sleeps.
struct Parent {
    scheduler: Scheduler,
    reads: JoinHandle<bool>,
    sleeps: JoinHandle<bool>,
    writer: UnixStream,
}

impl Parent {
    fn new() -> Self {
        let scheduler = scheduler();
        let (reader, writer) = UnixStream::pair().unwrap();
        let body = move || wait_fd(&reader, Interest::Readable, None).is_ok();
        let reads = scheduler.spawn(body).unwrap();
        let sleeps = scheduler.spawn(|| sleep(Duration::from_millis(50)).is_ok()).unwrap();
        assert_eq!(turn(&scheduler), Turn::Waiting);
        Parent { scheduler, reads, sleeps, writer }
    }

    /// What a child did has disturbed nothing.
    fn finish(mut self) {
        self.writer.write_all(b"x").unwrap();
        run_until_finished(&self.scheduler, &self.reads);
        run_until_finished(&self.scheduler, &self.sleeps);
    }
}

#[test]
fn a_child_that_drops_the_scheduler_does_not_disturb_the_parent() {
    let mut parent = Some(Parent::new());
    common::passes(|| drop(parent.take()));
    parent.unwrap().finish();
}

#[test]
fn a_child_that_cancels_a_job_of_the_scheduler_does_not_disturb_the_parent() {
    let parent = Parent::new();
    common::passes(|| assert!(parent.reads.cancel()));
    parent.finish();
}

#[test]
fn in_a_child_the_jobs_of_a_dropped_scheduler_are_unwound() {
    let held = Rc::new(());
    let holds = Rc::clone(&held);
    let scheduler = scheduler();
    let body = move || {
        let _holds = holds;
        let _ = park();
    };
    scheduler.spawn(body).unwrap();
    turn(&scheduler);
    let mut scheduler = Some(scheduler);
    common::passes(|| {
        drop(scheduler.take());
        assert_eq!(Rc::strong_count(&held), 1);
    });
}

#[test]
fn a_child_is_refused_until_it_makes_a_scheduler_of_its_own() {
    let parent = Parent::new();
    common::passes(|| {
        assert!(matches!(parent.scheduler.run(), Err(RunError::Forked)));
        let refused = parent.scheduler.spawn(|| ()).map(drop).map_err(|refused| refused.error);
        assert!(matches!(refused, Err(StartError::NoScheduler)), "nothing would run it");
        Parent::new().finish();
    });
    parent.finish();
}

/// A scheduler that was dropped has left an inbox for the next one to use.
#[test]
fn wakes_in_a_child_are_not_seen_in_the_parent() {
    drop(scheduler());
    common::passes(|| {
        let scheduler = scheduler();
        let left = Rc::new(RefCell::new(None));
        let leaves = Rc::clone(&left);
        let body = move || {
            *leaves.borrow_mut() = wake_handle();
            park()
        };
        scheduler.spawn(body).unwrap();
        assert_eq!(turn(&scheduler), Turn::Waiting);
        left.take().unwrap().wake();
        std::mem::forget(scheduler);
    });
    let scheduler = scheduler();
    let fd = scheduler.as_fd().as_raw_fd();
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd.
    assert_eq!(unsafe { libc::poll(&raw mut poll, 1, 0) }, 0);
}

/// Unwinding it would be a panic in a destructor during a panic.
#[test]
fn cancelling_a_job_that_paused_in_a_destructor_while_it_panicked_aborts() {
    struct Pauses;
    impl Drop for Pauses {
        fn drop(&mut self) {
            let _ = job::pause();
        }
    }
    common::dies_by(libc::SIGABRT, || {
        let body = || {
            let _pauses = Pauses;
            panic!("on purpose");
        };
        let Ok(Progress::Paused(job)) = job::start::<(), _>(body) else { panic!("it pauses") };
        job.cancel();
    });
}
