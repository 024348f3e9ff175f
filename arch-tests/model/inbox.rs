//! Wakes of jobs that a scheduler or a thread of C's drives: `src/job/wake.rs` and
//! `src/job/inbox.rs` in every order. What is said to break a model was tried on the code.
//! Without a limit to the preemptions it takes too long: with two threads 3 or 4, with three
//! threads 2, at which all that is said here shows up.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use loom::sync::atomic::AtomicBool;
use loom::thread;

use siding_model_tests::check;
use siding_model_tests::drivers::{Driver, Job, Later};

/// Each of these has gone on once more: those whose tokens a driver was told.
fn go_on(jobs: &[Job], woken: Vec<usize>) {
    for token in woken {
        jobs[token].consume();
    }
}

/// A scheduler has its turns until it waits for its event.
fn run(driver: Driver, jobs: &[Job]) {
    loop {
        go_on(jobs, driver.look());
        if driver.may_sleep() {
            if !driver.is_called() {
                return;
            }
            go_on(jobs, driver.wake_up());
        }
    }
}

/// After all wakers are done: what is left is known to the driver.
fn nothing_is_lost(driver: Driver, jobs: &[Job]) {
    if driver.is_called() {
        run(driver, jobs);
    }
    assert!(!jobs.iter().any(|job| job.is_notified()), "a lost wake");
}

fn a_wake_meets(driving: fn(Driver, &[Job])) {
    check(4, move || {
        let driver = Driver::new();
        let jobs = [Job::driven(driver, 0)];
        // Not counted: the drop of a counted one would call the driver anyhow.
        let ticket = jobs[0].ticket();
        let waking = thread::spawn(move || ticket.wake());
        driving(driver, &jobs);
        waking.join().unwrap();
        nothing_is_lost(driver, &jobs);
    });
}

/// Broken by any order weaker than SeqCst where there is one in `may_sleep`, `push` and
/// `look_again`; by a `push` that calls nobody.
#[test]
fn a_wake_while_the_driver_falls_asleep_is_not_lost() {
    a_wake_meets(run);
}

#[test]
#[should_panic = "a lost wake"]
fn the_model_would_find_a_lost_wake() {
    a_wake_meets(|driver, jobs| {
        go_on(jobs, driver.look());
        // It sleeps, whatever the answer.
        driver.may_sleep();
    });
}

/// The descriptor, and what there is each time when it is readable. Called in vain at most once
/// for each wake: a call that is late does not keep it readable.
///
/// Broken as the first, by an `announce` that does not notify, and by a `refill` that clears
/// the event only if it finds SIGNALLED.
#[test]
fn a_wake_while_c_asks_for_the_descriptor_is_not_lost() {
    check(3, || {
        let driver = Driver::new();
        let jobs = [Job::driven(driver, 0)];
        let ticket = jobs[0].ticket();
        let waking = thread::spawn(move || ticket.wake());
        // `woken::fd`.
        let woken = driver.refill();
        if !driver.may_sleep() || !woken.is_empty() {
            driver.announce();
        }
        go_on(&jobs, woken);
        if driver.is_called() {
            next_until_none(driver, &jobs);
        }
        waking.join().unwrap();
        for _ in 0..2 {
            if driver.is_called() {
                next_until_none(driver, &jobs);
            }
        }
        assert!(!driver.is_called(), "it spins");
        assert!(!jobs[0].is_notified(), "a lost wake");
    });
}

/// `Woken::next` until it has no more.
fn next_until_none(driver: Driver, jobs: &[Job]) {
    loop {
        go_on(jobs, driver.refill());
        if driver.may_sleep() {
            return;
        }
    }
}

/// Assured twice, by the state and by the list: no single order that is Relaxed breaks it.
#[test]
fn what_was_written_before_a_wake_is_read_after_it() {
    check(None, || {
        let driver = Driver::new();
        let job = Job::driven(driver, 0);
        let data = Arc::new(AtomicBool::new(false));
        let waking = {
            let (data, ticket) = (Arc::clone(&data), job.ticket());
            thread::spawn(move || {
                data.store(true, Relaxed);
                ticket.wake();
            })
        };
        let woken = driver.look();
        assert!(woken.is_empty() || (job.consume() && data.load(Relaxed)));
        waking.join().unwrap();
    });
}

/// Broken by a `wake` that does not look at QUEUED, by a `taken_out` that does not clear it.
#[test]
fn two_wakers_of_one_job_lose_nothing() {
    check(2, || {
        let driver = Driver::new();
        let jobs = [Job::driven(driver, 0)];
        let ticket = jobs[0].ticket();
        let waking = [(); 2].map(|()| thread::spawn(move || ticket.wake()));
        run(driver, &jobs);
        waking.into_iter().for_each(|waking| waking.join().unwrap());
        nothing_is_lost(driver, &jobs);
    });
}

/// Broken by a `drain` that hands out one only.
#[test]
fn wakes_of_two_jobs_are_not_lost() {
    check(3, || {
        let driver = Driver::new();
        let jobs = [Job::driven(driver, 0), Job::driven(driver, 1)];
        let tickets = jobs.map(Job::ticket);
        let waking = thread::spawn(move || tickets.into_iter().for_each(Later::wake));
        run(driver, &jobs);
        waking.join().unwrap();
        nothing_is_lost(driver, &jobs);
    });
}

/// A job that is woken again while the driver goes through the list that it is in.
///
/// Broken by a `drain` that reads `next` after `taken_out`.
#[test]
fn a_wake_while_the_driver_takes_out_the_job_loses_no_other() {
    check(3, || {
        let driver = Driver::new();
        let jobs = [Job::driven(driver, 0), Job::driven(driver, 1)];
        let tickets = jobs.map(Job::ticket);
        tickets.iter().for_each(|ticket| ticket.wake());
        let waking = thread::spawn(move || tickets[0].wake());
        run(driver, &jobs);
        waking.join().unwrap();
        nothing_is_lost(driver, &jobs);
    });
}

/// The successor has the slot at once, or another because the slot is still queued.
///
/// Broken by an `end_job` that does not look at QUEUED, or keeps the generation; by a
/// `taken_out` that tells of the abandoned, or never frees them.
#[test]
fn a_wake_that_races_with_the_end_is_for_nobody() {
    check(3, || {
        let driver = Driver::new();
        let ended = Job::driven(driver, 0);
        let stale = ended.ticket();
        let waking = thread::spawn(move || stale.wake());
        ended.end();
        let next = Job::driven(driver, 1);
        assert_eq!(driver.take_woken(), []);
        assert!(!next.is_notified());
        // It is woken by its own handles, in spite of a stale one that is in the way.
        next.ticket().wake();
        assert_eq!(driver.take_woken(), [1]);
        waking.join().unwrap();
        assert_eq!(driver.take_woken(), []);
        // Now the slot is free; that of a job is not.
        let third = Job::driven(driver, 2);
        assert!(!third.is_in_place_of(next));
        assert!(third.is_in_place_of(ended) || next.is_in_place_of(ended));
    });
}

/// The driver is gone, and another has its inbox.
///
/// Broken by an `end_job` that does not look at QUEUED.
#[test]
fn a_wake_that_comes_when_job_and_driver_are_gone_disturbs_nobody() {
    check(3, || {
        let gone = Driver::new();
        let ended = Job::driven(gone, 0);
        let stale = ended.ticket();
        let waking = thread::spawn(move || stale.wake());
        ended.end();
        gone.release();
        let driver = Driver::new();
        let jobs = [Job::driven(driver, 0)];
        jobs[0].ticket().wake();
        run(driver, &jobs);
        assert!(!jobs[0].is_notified());
        waking.join().unwrap();
        nothing_is_lost(driver, &jobs);
    });
}

/// As when a job waits for another in its place: the same thread has both inboxes, and passes
/// on what is in the first.
///
/// Broken by a `drain` that does not forward, a `forward` that does not look at QUEUED, a
/// `connect` that is Relaxed.
#[test]
fn a_wake_that_races_with_a_change_of_drivers_follows_the_job() {
    check(3, || {
        let first = Driver::new();
        let jobs = [Job::driven(first, 0)];
        let ticket = jobs[0].ticket();
        let waking = thread::spawn(move || [ticket; 2].into_iter().for_each(Later::wake));
        let second = Driver::new();
        jobs[0].connect(second, 0);
        assert_eq!(first.take_woken(), []);
        run(second, &jobs);
        waking.join().unwrap();
        // Wakes that are late are passed on by the next turn of the first.
        assert_eq!(first.take_woken(), []);
        nothing_is_lost(second, &jobs);
    });
}

/// As when a job is given up: nobody looks at the first any more but once, in case it was woken
/// before.
///
/// Broken by a `push` that does not look where its job's wakes go by now, or looks first; by any
/// order weaker than SeqCst in the swap of `adopt`, in that look, in `put` or `take_out`.
#[test]
fn a_wake_that_races_with_the_giving_up_of_its_job_is_not_left_behind() {
    check(3, || {
        let (first, second) = (Driver::new(), Driver::new());
        let jobs = [Job::driven(first, 0)];
        let ticket = jobs[0].ticket();
        let waking = thread::spawn(move || [ticket; 2].into_iter().for_each(Later::wake));
        if jobs[0].adopt(second, 0) {
            jobs[0].consume();
        }
        assert_eq!(first.take_woken(), []);
        run(second, &jobs);
        waking.join().unwrap();
        nothing_is_lost(second, &jobs);
        // Nor is the next one, for want of a place in the queue.
        ticket.wake();
        nothing_is_lost(second, &jobs);
    });
}

/// Whoever waits for nothing but handles is told when there is none: `RunError::Deadlock`.
///
/// Broken by a drop that does not have the driver look again, or counts wrongly; by any order
/// weaker than SeqCst in `has_handles`, `update`, `look_again` or the swap of `may_sleep`.
#[test]
fn the_drop_of_the_last_handle_calls_a_driver_that_waits_for_it() {
    check(3, || {
        let driver = Driver::new();
        let job = Job::driven(driver, 0);
        let handle = job.handle();
        let dropping = [handle.clone(), handle].map(|handle| thread::spawn(move || drop(handle)));
        let mut knows = false;
        assert_eq!(driver.look(), []);
        if driver.may_sleep() {
            knows = !job.has_handles();
        }
        dropping.into_iter().for_each(|dropping| dropping.join().unwrap());
        assert!(!job.has_handles());
        assert!(knows || driver.is_called(), "it waits for nobody");
    });
}

/// One that is used before it is dropped: no deadlock, for the job can go on.
///
/// Broken by a driver that does not take out the woken once more when it has found no handle
/// (`scheduler::Core::collect`).
#[test]
fn where_no_handle_is_left_a_wake_has_come_before() {
    check(3, || {
        let driver = Driver::new();
        let job = Job::driven(driver, 0);
        let handle = job.handle();
        let waking = thread::spawn(move || handle.wake());
        let mut woken = driver.look();
        if woken.is_empty() && driver.may_sleep() && !job.has_handles() {
            woken = driver.look();
            assert_eq!(woken, [0], "a deadlock, and the wake has come");
        }
        waking.join().unwrap();
    });
}

/// A handle that wakes and is dropped leaves both to be seen.
#[test]
fn a_wake_by_the_last_handle_is_not_lost() {
    check(3, || {
        let driver = Driver::new();
        let jobs = [Job::driven(driver, 0)];
        let handle = jobs[0].handle();
        let waking = thread::spawn(move || handle.wake());
        run(driver, &jobs);
        waking.join().unwrap();
        nothing_is_lost(driver, &jobs);
        assert!(!jobs[0].has_handles());
    });
}

/// Of a job that C has started and whose thread has ended, while another adopts it. One wake
/// has come before that end; one comes now, from a waker that may have found no inbox.
///
/// Broken by a `release` that does not drain; by an `adopt` that loads instead of changing; by a
/// `noted` that does not look for an inbox.
#[test]
fn a_wake_that_races_with_an_adoption_is_not_lost() {
    check(3, || {
        let (ended, driver) = (Driver::new(), Driver::new());
        let jobs = [Job::driven(ended, 0)];
        let ticket = jobs[0].ticket();
        ticket.wake();
        jobs[0].disconnect();
        ended.release();
        let waking = thread::spawn(move || ticket.wake());
        assert!(jobs[0].adopt(driver, 0));
        jobs[0].consume();
        run(driver, &jobs);
        waking.join().unwrap();
        nothing_is_lost(driver, &jobs);
    });
}

/// A waker that has found the inbox of a thread is held up until that has ended, and another has
/// adopted the job: it finds nobody, and passes its wake on.
///
/// Broken by a `look_again` that does not pass on; by a `release` that does not say that nobody is
/// there, or says so after it has drained; by a `pass_on` that leaves QUEUED.
#[test]
fn a_wake_held_up_over_the_end_of_its_driver_is_not_lost() {
    check(3, || {
        let (ended, driver) = (Driver::new(), Driver::new());
        let jobs = [Job::driven(ended, 0)];
        let ticket = jobs[0].ticket();
        let waking = thread::spawn(move || ticket.wake());
        jobs[0].disconnect();
        ended.release();
        if jobs[0].adopt(driver, 0) {
            jobs[0].consume();
        }
        run(driver, &jobs);
        waking.join().unwrap();
        nothing_is_lost(driver, &jobs);
        // Nor is the next one, for want of a place in the queue.
        ticket.wake();
        nothing_is_lost(driver, &jobs);
    });
}

/// The inbox where it was held up has the next driver by then, who may drive the same job.
///
/// Broken by a `pass_on` that takes a job of the next driver for nobody's.
#[test]
fn a_wake_held_up_until_its_inbox_is_used_again_is_not_lost() {
    check(3, || {
        let ended = Driver::new();
        let jobs = [Job::driven(ended, 0)];
        let ticket = jobs[0].ticket();
        let waking = thread::spawn(move || ticket.wake());
        jobs[0].disconnect();
        ended.release();
        let driver = Driver::new();
        if jobs[0].adopt(driver, 0) {
            jobs[0].consume();
        }
        // While the first may still be in the queue, and its waker about to pass it on.
        ticket.wake();
        run(driver, &jobs);
        waking.join().unwrap();
        nothing_is_lost(driver, &jobs);
    });
}
