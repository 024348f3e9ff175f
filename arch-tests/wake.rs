//! Wake handles: early, late, double, stale, from other threads and from signal handlers;
//! none is lost, and none reaches another job.
#![allow(unsafe_code, reason = "signal handlers")]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use siding::coroutine::Coroutine;
use siding::job::{self, Options, Progress, Wait, WaitError, Wake};
use siding::scheduler::{
    Interest, Scheduler, Turn, park, park_until, sleep, wait_fd, wake_handle, yield_now,
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
            let (reader, _writer) = UnixStream::pair().unwrap();
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

mod stale {
    use super::*;

    /// Runs a job that leaves its handle and ends; the next one takes its place.
    fn of_an_ended_job(scheduler: &Scheduler) -> Wake {
        let left = Left::default();
        let leaves = Rc::clone(&left);
        scheduler.spawn(move || *leaves.borrow_mut() = Some(own())).unwrap();
        turn_a_few_times(scheduler);
        left.take().expect("it has run")
    }

    #[test]
    fn a_wake_after_the_end_does_nothing() {
        let scheduler = scheduler();
        let wake = of_an_ended_job(&scheduler);
        wake.wake();
        assert_eq!(scheduler.turn(Some(Duration::ZERO)).unwrap(), Turn::Idle);
    }

    #[test]
    fn it_does_not_wake_the_next_job_in_the_same_place() {
        let scheduler = scheduler();
        let wake = of_an_ended_job(&scheduler);
        let next = scheduler.spawn(is_woken_soon).unwrap();
        turn_a_few_times(&scheduler);
        wake.wake();
        scheduler.run().unwrap();
        assert!(!next.join().unwrap());
    }

    fn is_woken_soon() -> bool {
        // With a slot of its own from the start.
        let _own = own();
        park_until(Instant::now() + Duration::from_millis(10)).is_ok()
    }

    #[test]
    fn it_does_not_wake_the_next_job_when_it_was_still_queued_for_the_first() {
        let scheduler = scheduler();
        let first = scheduler.spawn(|| own().wake()).unwrap();
        let next = scheduler.spawn(move || first.join().is_ok() && is_woken_soon()).unwrap();
        scheduler.run().unwrap();
        assert!(!next.join().unwrap());
        // Taken out of the inbox by now: those that follow find nothing, either.
        let more: Vec<_> = (0..3).map(|_| scheduler.spawn(is_woken_soon).unwrap()).collect();
        scheduler.run().unwrap();
        assert!(more.into_iter().all(|job| !job.join().unwrap()));
    }

    #[test]
    fn its_clones_are_as_stale_and_may_be_dropped() {
        let scheduler = scheduler();
        let wake = of_an_ended_job(&scheduler);
        let next = scheduler.spawn(is_woken_soon).unwrap();
        turn_a_few_times(&scheduler);
        let clones = [wake.clone(), wake.clone()];
        clones[0].wake();
        drop(wake);
        drop(clones);
        scheduler.run().unwrap();
        assert!(!next.join().unwrap());
    }

    #[test]
    fn dropping_it_does_not_count_for_the_next_job() {
        let scheduler = scheduler();
        let wake = of_an_ended_job(&scheduler);
        let left = Left::default();
        let leaves = Rc::clone(&left);
        let next = scheduler
            .spawn(move || {
                *leaves.borrow_mut() = Some(own());
                park().is_ok()
            })
            .unwrap();
        turn_a_few_times(&scheduler);
        drop(wake);
        // Were the next job's own handle counted away, this would be a deadlock.
        let waker = left.take().unwrap();
        let thread = thread::spawn(move || {
            thread::sleep(Duration::from_millis(5));
            waker.wake();
        });
        scheduler.run().unwrap();
        assert!(next.join().unwrap());
        thread.join().unwrap();
    }

    #[test]
    fn a_handle_may_outlive_its_scheduler() {
        let left = Left::default();
        let leaves = Rc::clone(&left);
        let first = scheduler();
        let parks = move || {
            *leaves.borrow_mut() = Some(own());
            park()
        };
        first.spawn(parks).unwrap();
        turn_a_few_times(&first);
        drop(first);
        let wake = left.take().unwrap();
        wake.wake();
        // The next scheduler may have the inbox of the first.
        let second = scheduler();
        let next = second.spawn(is_woken_soon).unwrap();
        turn_a_few_times(&second);
        wake.wake();
        second.run().unwrap();
        assert!(!next.join().unwrap());
    }

    #[test]
    fn a_wake_sent_before_the_scheduler_is_dropped_does_not_reach_the_next_scheduler() {
        let first = scheduler();
        let left = Left::default();
        let leaves = Rc::clone(&left);
        let parks = move || {
            *leaves.borrow_mut() = Some(own());
            park()
        };
        first.spawn(parks).unwrap();
        turn_a_few_times(&first);
        left.take().unwrap().wake();
        drop(first);
        let second = scheduler();
        let next = second.spawn(is_woken_soon).unwrap();
        second.run().unwrap();
        assert!(!next.join().unwrap());
    }
}

mod from_signal_handlers {
    use super::*;

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

mod many {
    use super::*;

    const JOBS: usize = 16;
    const WAKERS: u64 = 4;
    const WAKES: u64 = if cfg!(debug_assertions) { 20_000 } else { 100_000 };

    /// What wakers have for one job.
    struct Target {
        mail: AtomicU64,
        wake: Wake,
    }

    fn random(state: &mut u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state
    }

    /// Sends mail to random jobs, waking each, until it has sent its share.
    fn waker(seed: u64, targets: &[Arc<Target>], sent_all: &AtomicBool) {
        let mut state = seed;
        for n in 0..WAKES / WAKERS {
            let target = &targets[random(&mut state) as usize % targets.len()];
            target.mail.fetch_add(1, Ordering::Release);
            target.wake.wake();
            if n % 64 == 0 && random(&mut state) % 4 == 0 {
                thread::sleep(Duration::from_micros(50)); // let the scheduler fall asleep
            }
        }
        assert!(!sent_all.load(Ordering::Relaxed));
    }

    /// A job that counts its mail, and parks whenever it has found none.
    fn count_mail(target: &Target, total: &Cell<u64>, sent_all: &AtomicBool) {
        loop {
            let mail = target.mail.swap(0, Ordering::Acquire);
            total.set(total.get() + mail);
            if mail == 0 {
                if sent_all.load(Ordering::Acquire) {
                    return;
                }
                park().unwrap();
            }
        }
    }

    #[test]
    fn of_many_random_wakes_from_four_threads_none_is_lost() {
        let scheduler = scheduler();
        let total = Rc::new(Cell::new(0));
        let sent_all = Arc::new(AtomicBool::new(false));
        let targets = Rc::new(RefCell::new(Vec::<Arc<Target>>::new()));
        for _ in 0..JOBS {
            let (total, sent_all) = (Rc::clone(&total), Arc::clone(&sent_all));
            let targets = Rc::clone(&targets);
            let body = move || {
                let target = Arc::new(Target { mail: AtomicU64::new(0), wake: own() });
                targets.borrow_mut().push(Arc::clone(&target));
                count_mail(&target, &total, &sent_all);
            };
            scheduler.spawn(body).unwrap();
        }
        turn_a_few_times(&scheduler);
        let targets = targets.take();
        let wakers: Vec<_> = (1..=WAKERS)
            .map(|seed| {
                let (targets, sent_all) = (targets.clone(), Arc::clone(&sent_all));
                thread::spawn(move || waker(seed, &targets, &sent_all))
            })
            .collect();
        let last = thread::spawn(move || {
            wakers.into_iter().for_each(|waker| waker.join().unwrap());
            sent_all.store(true, Ordering::Release);
            targets.iter().for_each(|target| target.wake.wake());
        });
        let mut before = 0;
        while scheduler.turn(Some(LONG)).unwrap() != Turn::Idle {
            let waited_in_vain = total.get() == before && last.is_finished();
            assert!(!waited_in_vain || scheduler.live() == 0, "a job sleeps on its mail");
            before = total.get();
        }
        last.join().unwrap();
        assert_eq!(total.get(), WAKES);
    }

    /// Each job that ends makes room for one whose handle nobody else has.
    #[test]
    fn wakes_that_race_with_the_end_of_their_job_never_reach_its_successor() {
        let (send, receive) = mpsc::channel::<Wake>();
        let thread = thread::spawn(move || {
            let mut late = VecDeque::new();
            for wake in receive {
                wake.wake();
                late.push_back(wake);
                if late.len() > 4 {
                    late.pop_front().unwrap().wake();
                }
            }
        });
        let scheduler = scheduler();
        let woken = Rc::new(Cell::new(0));
        for _ in 0..1000 {
            let send = send.clone();
            let first = scheduler
                .spawn(move || {
                    send.send(own()).unwrap();
                    park().unwrap();
                })
                .unwrap();
            let woken = Rc::clone(&woken);
            let successor = move || {
                let _ = first.join();
                let _own = own();
                (0..3).for_each(|_| yield_now().unwrap());
                woken.set(woken.get() + u32::from(is_woken()));
            };
            scheduler.spawn(successor).unwrap();
            scheduler.turn(Some(Duration::ZERO)).unwrap();
        }
        drop(send);
        scheduler.run().unwrap();
        thread.join().unwrap();
        assert_eq!(woken.get(), 0);
    }

    #[test]
    fn a_handle_is_used_by_several_threads_at_once() {
        in_a_job(|| {
            let done = Arc::new(Mutex::new(0));
            let wake = own();
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    let (wake, done) = (wake.clone(), Arc::clone(&done));
                    thread::spawn(move || {
                        *done.lock().unwrap() += 1;
                        wake.wake();
                    })
                })
                .collect();
            drop(wake);
            while *done.lock().unwrap() < 8 {
                park().unwrap();
            }
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
    }
}
