//! Wake handles: early, late, double, stale, from other threads and from signal handlers;
//! none is lost, and none reaches another job.
#![allow(unsafe_code, reason = "signal handlers")]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use siding::coroutine::Coroutine;
use siding::job::{self, Options, Progress, Wait, WaitError, Wake};
use siding::scheduler::{
    Interest, JoinHandle, Scheduler, Turn, park, park_until, sleep, wait_fd, wake_handle, yield_now,
};

/// Long enough for anything but a hang.
const LONG: Duration = Duration::from_secs(60);

fn scheduler() -> Scheduler {
    Scheduler::new().expect("a scheduler")
}

fn own() -> Wake {
    wake_handle().expect("inside a job")
}

/// Runs `body` as the only job of a scheduler.
fn in_a_job<T: 'static>(body: impl FnOnce() -> T + 'static) -> T {
    let scheduler = scheduler();
    // Compiled for each type of result, not for each closure.
    let body: Box<dyn FnOnce() -> T> = Box::new(body);
    let job = scheduler.spawn(body).unwrap();
    scheduler.run().unwrap();
    job.join().unwrap()
}

/// Turns that do not wait, enough of them for whatever can happen to happen.
fn turn_a_few_times(scheduler: &Scheduler) {
    for _ in 0..5 {
        scheduler.turn(Some(Duration::ZERO)).unwrap();
    }
}

/// Whether a park now would return at once.
fn is_woken() -> bool {
    !matches!(park_until(Instant::now()), Err(WaitError::TimedOut))
}

/// Where a job leaves its wake handle.
type Left = Rc<RefCell<Option<Wake>>>;

mod one_job {
    use super::*;

    #[test]
    fn a_wake_before_the_wait_makes_it_return_at_once() {
        in_a_job(|| {
            own().wake();
            park().unwrap();
        });
    }

    #[test]
    fn two_wakes_before_the_wait_are_one() {
        in_a_job(|| {
            own().wake();
            own().wake();
            park().unwrap();
            assert!(!is_woken());
        });
    }

    #[test]
    fn a_wake_that_was_waited_for_is_used_up() {
        in_a_job(|| {
            let wake = own();
            let thread = thread::spawn(move || wake.wake());
            park().unwrap();
            thread.join().unwrap();
            assert!(!is_woken());
        });
    }

    #[test]
    fn a_wake_before_the_first_wait_needs_no_scheduler() {
        let driven = Options::new().driven(true);
        let Ok(Progress::Finished(answer)) = driven.start(|| {
            own().wake();
            park().is_ok()
        }) else {
            panic!("it does not pause")
        };
        assert!(answer);
    }

    #[test]
    fn a_wake_beats_a_deadline_that_has_passed() {
        in_a_job(|| {
            own().wake();
            park_until(Instant::now() - Duration::from_secs(1)).unwrap();
        });
    }

    #[test]
    fn a_wake_from_another_thread_ends_the_wait() {
        in_a_job(|| {
            let wake = own();
            let thread = thread::spawn(move || {
                thread::sleep(Duration::from_millis(5));
                wake.wake();
            });
            park().unwrap();
            thread.join().unwrap();
        });
    }

    #[test]
    fn a_wake_of_a_job_that_yields_meets_its_next_wait() {
        in_a_job(|| {
            let wake = own();
            thread::spawn(move || wake.wake()).join().unwrap();
            yield_now().unwrap();
            yield_now().unwrap();
            assert!(is_woken());
        });
    }

    #[test]
    fn a_wake_does_not_shorten_a_sleep() {
        in_a_job(|| {
            let start = Instant::now();
            own().wake();
            sleep(Duration::from_millis(5)).unwrap();
            assert!(start.elapsed() >= Duration::from_millis(5));
        });
    }

    #[test]
    fn a_wake_does_not_end_a_wait_for_a_descriptor_but_meets_the_next_wait() {
        in_a_job(|| {
            let (reader, _writer) = crate::stream::pair().unwrap();
            own().wake();
            let deadline = Instant::now() + Duration::from_millis(5);
            let answer = wait_fd(&reader, Interest::Readable, Some(deadline));
            assert!(matches!(answer, Err(WaitError::TimedOut)));
            assert!(is_woken());
        });
    }

    #[test]
    fn there_is_no_handle_outside_a_job() {
        assert!(wake_handle().is_none());
    }

    #[test]
    fn there_is_no_handle_in_a_coroutine_which_could_not_wait() {
        in_a_job(|| {
            let mut coroutine = Coroutine::<(), (), ()>::new(|_, ()| {
                assert!(wake_handle().is_none());
                assert!(matches!(park(), Err(WaitError::NotDriven)));
            });
            coroutine.resume(());
        });
    }

    #[test]
    fn a_paused_job_gives_a_handle_too() {
        let driven = Options::new().driven(true);
        let Ok(Progress::Paused(job)) = driven.start(|| (park(), is_woken())) else {
            panic!("it pauses")
        };
        assert_eq!(job.waiting(), Wait::Wake { until: None });
        job.wake_handle().wake();
        let Progress::Paused(job) = job.resume() else { panic!("it waits again") };
        let Progress::Finished((first, woken)) = job.resume_with(job::Outcome::TimedOut) else {
            panic!("it ends")
        };
        assert!(first.is_ok());
        assert!(!woken, "the wake was used up by the first wait");
    }

    #[test]
    fn handles_may_be_sent_and_shared() {
        fn check<T: Send + Sync + Clone + 'static>() {}
        check::<Wake>();
    }
}

mod paused_without_reason {
    use super::*;

    #[test]
    fn a_wake_resumes_a_job_that_has_just_paused() {
        in_a_job(|| {
            let wake = own();
            let thread = thread::spawn(move || {
                thread::sleep(Duration::from_millis(2));
                wake.wake();
            });
            job::pause().unwrap();
            thread.join().unwrap();
        });
    }

    #[test]
    fn a_wake_that_came_while_the_job_ran_resumes_it_at_its_next_pause() {
        in_a_job(|| {
            own().wake();
            // Meanwhile the scheduler finds that the job does not wait.
            yield_now().unwrap();
            yield_now().unwrap();
            job::pause().unwrap();
        });
    }

    #[test]
    fn one_wake_resumes_it_once() {
        let scheduler = scheduler();
        let resumed = Rc::new(Cell::new(0));
        let left = Left::default();
        let (counts, leaves) = (Rc::clone(&resumed), Rc::clone(&left));
        let body = move || {
            *leaves.borrow_mut() = Some(own());
            while counts.get() < 1000 {
                job::pause().unwrap();
                counts.set(counts.get() + 1);
            }
        };
        let job = scheduler.spawn(body).unwrap();
        turn_a_few_times(&scheduler);
        assert_eq!(resumed.get(), 0);
        left.borrow().as_ref().unwrap().wake();
        turn_a_few_times(&scheduler);
        assert_eq!(resumed.get(), 1);
        left.borrow().as_ref().unwrap().wake();
        turn_a_few_times(&scheduler);
        assert_eq!(resumed.get(), 2);
        job.cancel();
    }
}

mod stale;

#[cfg(unix)]
mod from_signal_handlers {
    use super::*;
    use std::sync::OnceLock;

    static WAKE: OnceLock<Wake> = OnceLock::new();
    static ARRIVED: AtomicU64 = AtomicU64::new(0);

    extern "C" fn handler(_: libc::c_int) {
        ARRIVED.fetch_add(1, Ordering::Relaxed);
        if let Some(wake) = WAKE.get() {
            wake.wake();
        }
    }

    /// SIGUSR2 wakes the job that calls this, which is the only one to do so.
    fn install() {
        assert!(WAKE.set(own()).is_ok());
        // SAFETY: all zeros are a valid value.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_RESTART;
        // SAFETY: a valid action, whose handler is async-signal-safe.
        let installed = unsafe { libc::sigaction(libc::SIGUSR2, &action, std::ptr::null_mut()) };
        assert_eq!(installed, 0);
    }

    #[test]
    fn a_wake_in_a_signal_handler_reaches_a_job_that_runs_and_one_that_waits() {
        in_a_job(|| {
            install();
            // SAFETY: no preconditions.
            unsafe { libc::raise(libc::SIGUSR2) };
            park().expect("raised in the job");

            // SAFETY: no preconditions.
            let this_thread = unsafe { libc::pthread_self() } as usize;
            let enough = ARRIVED.load(Ordering::Relaxed) + 20;
            let thread = thread::spawn(move || {
                // Of signals that come too fast some are lost.
                while ARRIVED.load(Ordering::Relaxed) < enough {
                    thread::sleep(Duration::from_millis(1));
                    // SAFETY: the thread waits for this one to end.
                    unsafe { libc::pthread_kill(this_thread as libc::pthread_t, libc::SIGUSR2) };
                }
            });
            let mut parks = 0;
            while ARRIVED.load(Ordering::Relaxed) < enough {
                park().expect("raised while the scheduler waits");
                parks += 1;
            }
            assert!(parks > 0);
            thread.join().unwrap();
        });
    }
}

mod many;
