//! `process::exit` destroys the thread-locals of its thread: here those that own jobs, in a
//! job; and the end of a thread destroys them, too.

use std::cell::Cell;
use std::{process, thread};

use std::sync::Mutex;

use siding::scheduler::Wake;

use super::*;

thread_local! {
    static PAUSED: RefCell<Option<Job<()>>> = const { RefCell::new(None) };
    static SCHEDULER: RefCell<Option<Scheduler>> = const { RefCell::new(None) };
}

#[test]
fn a_job_may_exit_the_process_while_others_are_paused() {
    common::exits_with(7, || {
        let Ok(Progress::Paused(job)) = job::start(|| job::pause().unwrap()) else {
            panic!("it pauses")
        };
        PAUSED.set(Some(job));
        let _ = job::start(|| process::exit(7));
    });
}

#[test]
fn a_job_of_a_scheduler_may_exit_the_process() {
    common::exits_with(7, || {
        let scheduler = scheduler();
        scheduler.spawn(park).unwrap();
        scheduler.spawn(|| process::exit(7)).unwrap();
        scheduler.spawn(park).unwrap();
        SCHEDULER.set(Some(scheduler));
        SCHEDULER.with_borrow(|scheduler| scheduler.as_ref().unwrap().run()).unwrap();
    });
}

#[test]
fn a_job_that_another_one_yielded_to_may_exit_the_process() {
    common::exits_with(7, || {
        let scheduler = scheduler();
        scheduler.spawn(|| (yield_now(), park())).unwrap();
        scheduler.spawn(|| process::exit(7)).unwrap();
        SCHEDULER.set(Some(scheduler));
        SCHEDULER.with_borrow(|scheduler| scheduler.as_ref().unwrap().run()).unwrap();
    });
}

/// What destructors of thread-locals were told, in order.
static TOLD: Mutex<Vec<bool>> = Mutex::new(Vec::new());

/// When dropped, tries all ways of waiting. Must be first used before what is to be
/// destroyed before it.
struct Waits;

impl Drop for Waits {
    fn drop(&mut self) {
        let ms = Duration::from_millis(1);
        let failed = [job::pause().is_err(), yield_now().is_err(), park().is_err()];
        let slept = sleep(ms).is_err();
        let offloaded = siding::offload::offload(|| ()).is_err();
        TOLD.lock().unwrap().extend(failed);
        TOLD.lock().unwrap().extend([slept, offloaded]);
    }
}

thread_local! {
    static WAITS: Waits = const { Waits };
}

/// Asserts that `test`, whose process ends by `exit(9)`, ends with 7 in a destructor; where the
/// C library runs none at that time (musl), with 9.
fn exits_in_a_destructor(test: impl FnOnce()) {
    let (runs, _) = common::fork_and_listen(|| {
        judged(&[false, false, true, true, true]);
        process::exit(9);
    });
    assert!(matches!(runs, common::Ending::Exited(7 | 9)), "{runs:?}");
    assert_eq!(common::fork_and_listen(test).0, runs);
}

/// Makes sure that what `WAITS` was told is seen: exits with 7 if that is `expected`.
struct Judge(&'static [bool]);

impl Drop for Judge {
    fn drop(&mut self) {
        let told = TOLD.lock().unwrap().clone();
        // SAFETY: no preconditions.
        unsafe { libc::_exit(if told == self.0 { 7 } else { 8 }) };
    }
}

thread_local! {
    static JUDGE: RefCell<Option<Judge>> = const { RefCell::new(None) };
}

/// Destroyed in the opposite order of their first use.
fn judged(expected: &'static [bool]) {
    JUDGE.set(Some(Judge(expected)));
    WAITS.with(|_| ());
}

#[test]
fn a_destructor_that_waits_for_a_scheduler_that_is_gone_gets_an_error() {
    exits_in_a_destructor(|| {
        judged(&[true; 5]);
        let scheduler = scheduler();
        scheduler.spawn(park).unwrap();
        scheduler.spawn(|| process::exit(9)).unwrap();
        SCHEDULER.set(Some(scheduler));
        SCHEDULER.with_borrow(|scheduler| scheduler.as_ref().unwrap().run()).unwrap();
    });
}

/// The plain job in between must not come back to the scheduler's either.
#[test]
fn so_does_one_in_a_plain_job_inside_a_job_of_that_scheduler() {
    exits_in_a_destructor(|| {
        judged(&[true; 5]);
        let scheduler = scheduler();
        let exits = || job::start(|| process::exit(9)).map(drop).unwrap();
        scheduler.spawn(exits).unwrap();
        SCHEDULER.set(Some(scheduler));
        SCHEDULER.with_borrow(|scheduler| scheduler.as_ref().unwrap().run()).unwrap();
    });
}

#[test]
fn so_does_one_in_a_job_of_a_scheduler_inside_a_job_of_the_one_that_is_gone() {
    exits_in_a_destructor(|| {
        judged(&[true; 5]);
        let outer = scheduler();
        let exits = || {
            let inner = scheduler();
            inner.spawn(|| process::exit(9)).unwrap();
            inner.run().unwrap();
        };
        outer.spawn(exits).unwrap();
        SCHEDULER.set(Some(outer));
        SCHEDULER.with_borrow(|scheduler| scheduler.as_ref().unwrap().run()).unwrap();
    });
}

/// Its slot is another scheduler's by then.
#[test]
fn a_wake_of_a_job_whose_scheduler_is_gone_wakes_nobody() {
    struct WakesAndRuns(Wake);
    impl Drop for WakesAndRuns {
        fn drop(&mut self) {
            let later = scheduler();
            let parked = later.spawn(park).unwrap();
            turn(&later);
            self.0.wake();
            turn(&later);
            // SAFETY: no preconditions.
            unsafe { libc::_exit(if parked.is_finished() { 8 } else { 7 }) };
        }
    }
    thread_local! {
        static WAKES: RefCell<Option<WakesAndRuns>> = const { RefCell::new(None) };
    }
    exits_in_a_destructor(|| {
        WAKES.set(None);
        let scheduler = scheduler();
        let exits = || {
            WAKES.set(wake_handle().map(WakesAndRuns));
            process::exit(9)
        };
        scheduler.spawn(exits).unwrap();
        SCHEDULER.set(Some(scheduler));
        SCHEDULER.with_borrow(|scheduler| scheduler.as_ref().unwrap().run()).unwrap();
    });
}

#[test]
fn at_the_end_of_a_thread_destructors_that_wait_are_outside_any_job() {
    // Before and after the pools of the thread.
    for late in [false, true] {
        common::passes(|| {
            let ends = move || {
                let touch = || WAITS.with(|_| ());
                if late {
                    touch();
                }
                let _ = job::start(|| ());
                touch();
            };
            thread::spawn(ends).join().unwrap();
            // Outside a job pausing and yielding do nothing.
            assert_eq!(*TOLD.lock().unwrap(), [false, false, true, true, true]);
        });
    }
}

/// A job and a scheduler that are thread-locals: what they cancel waits in destructors.
#[test]
fn at_the_end_of_a_thread_its_jobs_are_cancelled_and_their_waits_are_errors() {
    thread_local! {
        static FIRST: Cell<bool> = const { Cell::new(false) };
    }
    for scheduler_first in [false, true] {
        common::passes(|| {
            let ends = move || {
                FIRST.set(scheduler_first);
                let paused = || {
                    let Ok(Progress::Paused(job)) = job::start(|| {
                        let _waits = Waits;
                        let _ = job::pause();
                    }) else {
                        panic!("it pauses")
                    };
                    PAUSED.set(Some(job));
                };
                let scheduled = || {
                    let scheduler = scheduler();
                    scheduler.spawn(|| (Waits, park()).1).unwrap();
                    turn(&scheduler);
                    SCHEDULER.set(Some(scheduler));
                };
                if FIRST.get() { (scheduled(), paused()) } else { (paused(), scheduled()) }
            };
            thread::spawn(ends).join().unwrap();
            assert_eq!(*TOLD.lock().unwrap(), [true; 10]);
        });
    }
}
