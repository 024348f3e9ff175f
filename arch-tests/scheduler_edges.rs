//! Where schedulers are likely to break: driven by another loop, several waits at once,
//! cancelling in every state, one inside another.
#![allow(unsafe_code, reason = "polls")]

use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, Read, Write};
#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use crate::stream::{Stream, pair};
use siding::job::{self, AsyncFd, CancelMode, Options, WaitCtx, WaitError, Wake};
use siding::scheduler::{
    Interest, JoinError, JoinHandle, RunError, Scheduler, Turn, park, sleep, wait_fd, wake_handle,
    yield_now,
};

fn scheduler() -> Scheduler {
    Scheduler::new().expect("a scheduler")
}

const NOT_AT_ALL: Option<Duration> = Some(Duration::ZERO);

fn turn(scheduler: &Scheduler) -> Turn {
    scheduler.turn(NOT_AT_ALL).unwrap()
}

/// Runs until a job has ended, and fails if that takes much too long.
fn run_until_finished<T>(scheduler: &Scheduler, job: &JoinHandle<T>) {
    let start = Instant::now();
    while !job.is_finished() {
        assert!(start.elapsed() < Duration::from_secs(20), "{job:?} hangs");
        scheduler.turn(Some(Duration::from_secs(5))).unwrap();
    }
}

/// Where a job leaves its wake handle, and a job that leaves it and parks.
type Left = Rc<RefCell<Option<Wake>>>;

fn parks(scheduler: &Scheduler) -> (Left, JoinHandle<Result<(), WaitError>>) {
    let left = Left::default();
    let leaves = Rc::clone(&left);
    let body = move || {
        *leaves.borrow_mut() = wake_handle();
        park()
    };
    let job = scheduler.spawn(body).unwrap();
    (left, job)
}

// It polls the scheduler: on Windows there is no descriptor for that.
#[cfg(unix)]
mod embedding;

mod turns {
    use super::*;

    /// Jobs that count their turns and yield for ever.
    fn yielders(scheduler: &Scheduler, options: &Options, jobs: usize) -> Vec<Rc<Cell<u32>>> {
        let spawn = |_| {
            let count = Rc::new(Cell::new(0));
            let counts = Rc::clone(&count);
            let body = move || {
                loop {
                    counts.set(counts.get() + 1);
                    yield_now().unwrap();
                }
            };
            let _: JoinHandle<()> = scheduler.spawn_with(options, body).unwrap();
            count
        };
        (0..jobs).map(spawn).collect()
    }

    fn all_at(counts: &[Rc<Cell<u32>>], turns: u32) -> bool {
        counts.iter().all(|count| count.get() == turns)
    }

    #[test]
    fn in_one_turn_each_job_runs_once() {
        let scheduler = scheduler();
        let counts = yielders(&scheduler, &Options::new(), 300);
        for turns in 1..5 {
            assert_eq!(turn(&scheduler), Turn::Busy);
            assert!(all_at(&counts, turns));
        }
    }

    #[test]
    fn in_one_turn_each_job_runs_once_also_beside_fp_control_words_of_their_own() {
        let scheduler = scheduler();
        let mut counts = yielders(&scheduler, &Options::new(), 200);
        counts.extend(yielders(&scheduler, &Options::new().save_fp_control(true), 1));
        counts.extend(yielders(&scheduler, &Options::new(), 99));
        for turns in 1..5 {
            assert_eq!(turn(&scheduler), Turn::Busy);
            assert!(all_at(&counts, turns));
        }
    }

    #[test]
    fn a_job_spawned_in_a_turn_runs_in_the_next() {
        let scheduler = scheduler();
        let spawner = scheduler.spawner();
        let ran = Rc::new(Cell::new(false));
        let runs = Rc::clone(&ran);
        let parent =
            scheduler.spawn(move || spawner.spawn(move || runs.set(true)).is_ok()).unwrap();
        assert_eq!(turn(&scheduler), Turn::Busy);
        assert!(parent.join().unwrap());
        assert!(!ran.get());
        assert_eq!(turn(&scheduler), Turn::Idle);
        assert!(ran.get());
    }
}

mod waits;

mod limits;

mod fairness;

mod queueing;

mod cancelling;

mod one_inside_another {
    use super::*;

    #[test]
    fn a_job_may_wait_for_a_job_of_another_scheduler() {
        let (one, two) = (scheduler(), scheduler());
        let (left, first) = parks(&two);
        let joins = one.spawn(move || first.join().unwrap().is_ok()).unwrap();
        turn(&one);
        turn(&two);
        left.take().unwrap().wake();
        turn(&two);
        turn(&one);
        assert!(joins.join().unwrap());
    }

    #[test]
    fn a_job_is_current_again_when_the_jobs_of_its_scheduler_handed_over_to_each_other() {
        let Ok(job::Progress::Finished(current_again)) = job::start(|| {
            let me = job::current();
            let inner = scheduler();
            for _ in 0..3 {
                inner.spawn(yield_now).unwrap();
            }
            assert_eq!(turn(&inner), Turn::Busy);
            job::current() == me
        }) else {
            panic!("it does not pause")
        };
        assert!(current_again);
    }

    #[test]
    fn a_job_that_drops_a_scheduler_of_its_own_stays_current() {
        let outer = scheduler();
        let job = outer
            .spawn(|| {
                let me = job::current();
                let inner = scheduler();
                inner.spawn(park).unwrap();
                turn(&inner);
                drop(inner);
                yield_now().unwrap();
                job::current() == me
            })
            .unwrap();
        outer.run().unwrap();
        assert!(job.join().unwrap());
    }

    #[test]
    fn a_plain_job_may_run_a_scheduler_and_pause_between_turns() {
        let body = || {
            let inner = scheduler();
            let job = inner.spawn(|| (0..3).for_each(|_| yield_now().unwrap())).unwrap();
            while !job.is_finished() {
                turn(&inner);
                job::pause().unwrap();
            }
        };
        let mut progress = job::start(body).unwrap();
        let mut pauses = 0;
        while let job::Progress::Paused(job) = progress {
            pauses += 1;
            progress = job.resume();
        }
        assert_eq!(pauses, 4);
    }

    #[test]
    fn a_plain_job_inside_a_job_pauses_to_that_one_and_waits_for_nobody() {
        let outer = scheduler();
        let job = outer
            .spawn(|| {
                let nested = || {
                    let refused = matches!(park(), Err(WaitError::NotDriven));
                    yield_now().unwrap();
                    job::pause().unwrap();
                    refused
                };
                let Ok(job::Progress::Paused(nested)) = job::start(nested) else {
                    panic!("it pauses")
                };
                yield_now().unwrap();
                matches!(nested.resume(), job::Progress::Finished(true))
            })
            .unwrap();
        outer.run().unwrap();
        assert!(job.join().unwrap());
    }
}
