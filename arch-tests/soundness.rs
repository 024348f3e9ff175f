//! Attempts on the soundness of safe code that the compiler lets pass. SECURITY.md lists
//! them; those that it refuses are in `src/*/attacks.rs`.

use std::cell::{Cell, RefCell};
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, TryLockError};
use std::thread;
use std::time::Duration;

use siding::coroutine::{Coroutine, CoroutineState, Yielder};
use siding::job::{self, Job, Progress};

fn paused(closure: impl FnOnce() + 'static) -> Job<()> {
    match job::start(closure) {
        Ok(Progress::Paused(job)) => job,
        _ => panic!("it pauses"),
    }
}

fn pause() {
    job::pause().unwrap();
}

/// Uses many stacks, so that one which was given back by mistake is used again.
fn use_stacks() {
    let jobs: Vec<_> = (0..100)
        .map(|n| {
            paused(move || {
                let filled = std::hint::black_box([n as u8; 2000]);
                pause();
                assert!(filled.iter().all(|byte| *byte == n as u8));
            })
        })
        .collect();
    jobs.into_iter().for_each(|job| assert!(matches!(job.resume(), Progress::Finished(()))));
}

mod what_is_held_across_a_pause {
    use super::*;

    #[test]
    fn a_borrow_is_seen_by_others_and_ends_when_the_job_is_cancelled() {
        let cell = Rc::new(RefCell::new(1));
        let inside = Rc::clone(&cell);
        let job = paused(move || {
            let mut borrowed = inside.borrow_mut();
            pause();
            *borrowed += 1;
        });
        assert!(cell.try_borrow().is_err());
        job.cancel();
        assert_eq!(cell.try_borrow().as_deref().ok(), Some(&1));
    }

    #[test]
    fn a_borrow_of_a_forgotten_job_never_ends() {
        let cell = Rc::new(RefCell::new(1));
        let inside = Rc::clone(&cell);
        mem::forget(paused(move || {
            let _borrowed = inside.borrow_mut();
            pause();
        }));
        use_stacks();
        assert!(cell.try_borrow().is_err());
    }

    #[test]
    fn a_mutex_is_locked_for_all_and_poisoned_when_the_job_is_cancelled() {
        let mutex = Arc::new(Mutex::new(1));
        let inside = Arc::clone(&mutex);
        let job = paused(move || {
            let _guard = inside.lock().unwrap();
            pause();
        });
        assert!(matches!(mutex.try_lock(), Err(TryLockError::WouldBlock)));
        job.cancel();
        assert!(matches!(mutex.try_lock(), Err(TryLockError::Poisoned(_))));
    }

    #[test]
    fn a_thread_local_is_still_there_when_the_job_goes_on_or_is_cancelled() {
        thread_local!(static TEXT: RefCell<String> = RefCell::new("here".into()));
        let body = || {
            TEXT.with_borrow(|text| {
                pause();
                assert_eq!(text, "here");
            });
        };
        let (goes_on, is_cancelled) = (paused(body), paused(body));
        assert!(TEXT.with(|text| text.try_borrow_mut().is_err()));
        goes_on.resume();
        is_cancelled.cancel();
        TEXT.with_borrow_mut(|text| text.push('!'));
    }
}

mod threads_that_borrow_from_a_job {
    use super::*;

    /// Counts up until it is told to stop.
    fn count(counter: &AtomicU32, stop: &AtomicBool) {
        loop {
            counter.fetch_add(1, SeqCst); // once at least, however late it begins
            if stop.load(SeqCst) {
                return;
            }
            thread::sleep(Duration::from_micros(100));
        }
    }

    #[test]
    fn they_are_joined_before_it_is_cancelled() {
        let (stop, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (stops, ends) = (Arc::clone(&stop), Arc::clone(&ended));
        let job = paused(move || {
            let counter = AtomicU32::new(0);
            thread::scope(|threads| {
                threads.spawn(|| {
                    count(&counter, &stops);
                    ends.store(true, SeqCst);
                });
                pause();
            });
        });
        let other = thread::spawn(move || {
            thread::sleep(Duration::from_millis(5));
            stop.store(true, SeqCst);
        });
        job.cancel();
        assert!(ended.load(SeqCst));
        other.join().unwrap();
    }

    #[test]
    fn they_find_its_frames_in_place_when_it_is_forgotten_and_its_thread_has_ended() {
        static STOP: AtomicBool = AtomicBool::new(false);
        let counted = Arc::new(AtomicU32::new(0));
        let counts = Arc::clone(&counted);
        let forgets = move || {
            mem::forget(paused(move || {
                let (counter, known) = (AtomicU32::new(0), [0x5eed_u32; 64]);
                thread::scope(|threads| {
                    threads.spawn(|| {
                        count(&counter, &STOP);
                        assert!(known.iter().all(|word| *word == 0x5eed));
                        counts.store(counter.load(SeqCst), SeqCst);
                    });
                    pause();
                });
            }));
            use_stacks();
        };
        thread::spawn(forgets).join().unwrap();
        use_stacks();
        STOP.store(true, SeqCst);
        while Arc::strong_count(&counted) > 1 && counted.load(SeqCst) == 0 {
            thread::sleep(Duration::from_millis(1));
        }
        assert!(counted.load(SeqCst) > 0, "and not that of another frame");
    }
}

mod while_the_thread_panics {
    use super::*;

    /// Runs `f` in a destructor while a panic unwinds the thread.
    fn in_a_destructor_of_a_panic(f: impl FnMut()) {
        struct Runs<F: FnMut()>(F);
        impl<F: FnMut()> Drop for Runs<F> {
            fn drop(&mut self) {
                (self.0)();
            }
        }
        let unwound = panic::catch_unwind(AssertUnwindSafe(|| {
            let _runs = Runs(f);
            panic::resume_unwind(Box::new(()));
        }));
        assert!(unwound.is_err());
        assert!(!thread::panicking());
    }

    #[test]
    fn a_job_that_started_then_goes_on_when_that_is_over() {
        let kept = Cell::new(None);
        in_a_destructor_of_a_panic(|| kept.set(Some(paused(pause))));
        assert!(matches!(kept.take().unwrap().resume(), Progress::Finished(())));
    }

    #[test]
    fn a_job_that_paused_before_is_cancelled_and_its_destructors_run() {
        let held = Rc::new(());
        let inside = Rc::clone(&held);
        let mut job = Some(paused(move || {
            pause();
            drop(inside);
        }));
        in_a_destructor_of_a_panic(|| drop(job.take()));
        assert_eq!(Rc::strong_count(&held), 1);
    }

    #[test]
    fn a_coroutine_suspended_in_the_middle_of_its_own_panic_ends_it_later() {
        struct Suspends<'a>(&'a Yielder<(), ()>);
        impl Drop for Suspends<'_> {
            fn drop(&mut self) {
                self.0.suspend(());
            }
        }
        let mut coroutine = Coroutine::new(|yielder: &Yielder<(), ()>, ()| {
            let _suspends = Suspends(yielder);
            panic::resume_unwind(Box::new(7));
        });
        assert_eq!(coroutine.resume(()), CoroutineState::<(), ()>::Yielded(()));
        use_stacks();
        let ended = panic::catch_unwind(AssertUnwindSafe(|| coroutine.resume(())));
        assert!(ended.unwrap_err().is::<i32>());
        assert!(!thread::panicking());
    }
}

#[test]
fn a_coroutine_cannot_resume_or_drop_itself() {
    type Own = Rc<RefCell<Option<Coroutine<(), (), ()>>>>;
    let own = Own::default();
    let inside = Rc::clone(&own);
    let coroutine = Coroutine::new(move |yielder: &Yielder<(), ()>, ()| {
        assert!(inside.try_borrow_mut().is_err(), "it runs by a unique borrow");
        yielder.suspend(());
    });
    *own.borrow_mut() = Some(coroutine);
    own.borrow_mut().as_mut().unwrap().resume(());
    // It owns itself: only this ends that.
    drop(own.take());
    assert_eq!(Rc::strong_count(&own), 1);
}
