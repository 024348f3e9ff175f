//! Cancelling in every state.

use super::*;

const RETURN: Options = Options::new().cancel_mode(CancelMode::Return);

#[test]
fn a_job_that_has_ended_cannot_be_cancelled() {
    let scheduler = scheduler();
    let job = scheduler.spawn(|| 3).unwrap();
    scheduler.run().unwrap();
    assert!(!job.cancel());
    assert_eq!(job.join().unwrap(), 3);
}

#[test]
fn a_job_that_waits_for_a_nested_one_cannot_be_cancelled_by_it() {
    let scheduler = scheduler();
    let own: Rc<RefCell<Option<JoinHandle<_>>>> = Rc::default();
    let inside = Rc::clone(&own);
    let body = move || {
        let nested = move || inside.borrow().as_ref().unwrap().cancel();
        let Ok(job::Progress::Finished(cancelled)) = job::start(nested) else {
            panic!("it does not pause")
        };
        cancelled
    };
    *own.borrow_mut() = Some(scheduler.spawn(body).unwrap());
    scheduler.run().unwrap();
    assert!(!own.take().unwrap().join().unwrap());
}

#[test]
fn a_job_in_return_mode_still_gives_its_value() {
    let scheduler = scheduler();
    let job = scheduler.spawn_with(&RETURN, || park().is_err()).unwrap();
    turn(&scheduler);
    assert!(job.cancel());
    assert!(job.join().unwrap());
}

#[test]
fn a_yielding_job_in_return_mode_learns_of_it() {
    let scheduler = scheduler();
    let yields = || {
        let mut turns = 0;
        while yield_now().is_ok() {
            turns += 1;
        }
        turns
    };
    let _other = scheduler.spawn_with(&RETURN, yields).unwrap();
    let job = scheduler.spawn_with(&RETURN, yields).unwrap();
    (0..3).for_each(|_| assert_eq!(turn(&scheduler), Turn::Busy));
    assert!(job.cancel());
    assert_eq!(job.join().unwrap(), 2);
}

#[test]
fn join_in_a_cancelled_job_returns_an_error() {
    let scheduler = scheduler();
    let never = scheduler.spawn(park).unwrap();
    let joins = move || matches!(never.join(), Err(JoinError::Wait(WaitError::Cancelled)));
    let job = scheduler.spawn_with(&RETURN, joins).unwrap();
    turn(&scheduler);
    assert!(job.cancel());
    assert!(job.join().unwrap());
}

#[test]
fn a_job_whose_waiter_was_cancelled_ends_as_usual() {
    let scheduler = scheduler();
    let (left, first) = parks(&scheduler);
    let joins = scheduler.spawn(move || first.join().is_ok()).unwrap();
    turn(&scheduler);
    assert!(joins.cancel());
    left.take().unwrap().wake();
    scheduler.run().unwrap();
}

#[test]
fn a_destructor_may_cancel_another_job_while_the_scheduler_is_dropped() {
    struct Cancels(Option<JoinHandle<Result<(), WaitError>>>, Rc<Cell<u32>>);
    impl Drop for Cancels {
        fn drop(&mut self) {
            if let Some(job) = self.0.take() {
                job.cancel();
            }
            self.1.set(self.1.get() + 1);
        }
    }
    let scheduler = scheduler();
    let dropped = Rc::new(Cell::new(0));
    for _ in 0..5 {
        let victim = scheduler.spawn(park).unwrap();
        let cancels = Cancels(Some(victim), Rc::clone(&dropped));
        let body = move || {
            let _cancels = cancels;
            let _ = park();
        };
        scheduler.spawn(body).unwrap();
    }
    turn(&scheduler);
    drop(scheduler);
    assert_eq!(dropped.get(), 5);
}

#[test]
fn after_a_deadlock_was_reported_the_jobs_can_still_be_woken() {
    let scheduler = scheduler();
    let (left, job) = parks(&scheduler);
    let other = scheduler.spawn(park).unwrap();
    turn(&scheduler);
    let handle = left.take().unwrap();
    handle.wake();
    drop(handle);
    assert!(matches!(scheduler.run(), Err(RunError::Deadlock(1))));
    assert!(job.join().unwrap().is_ok());
    assert!(other.cancel());
    scheduler.run().unwrap();
}

/// A wait context is dropped when its job is gone already, with foreign code in it.
mod from_the_cleanup_of_its_wait_context {
    use std::panic::{self, AssertUnwindSafe};

    use siding::job::Key;
    use siding::scheduler::Spawner;
    use siding::stack::StackConfig;

    use super::*;

    /// A job that returns at once, whose wait context ends with it, and with that `cleanup`.
    fn spawn_with_cleanup(
        scheduler: &Scheduler,
        cleanup: impl FnOnce() + Send + 'static,
    ) -> JoinHandle<()> {
        let ctx = WaitCtx::new();
        ctx.set_wait_fd_with(Key::from(1), 0, |_, _, _| cleanup()).unwrap();
        // Not kept for the next job: what is left of it is unmapped or another's.
        let options = Options::new().wait_ctx(ctx).stack(StackConfig::with_size(128 << 10));
        scheduler.spawn_with(&options, || ()).unwrap()
    }

    #[test]
    fn a_job_has_ended_even_if_that_panics() {
        let scheduler = scheduler();
        let job = spawn_with_cleanup(&scheduler, || panic::resume_unwind(Box::new(7)));
        assert!(panic::catch_unwind(AssertUnwindSafe(|| turn(&scheduler))).is_err());
        let others: Vec<_> = (0..10).map(|n| scheduler.spawn(move || n).unwrap()).collect();
        assert!(job.is_finished());
        assert!(!job.cancel());
        job.join().unwrap();
        scheduler.run().unwrap();
        assert_eq!(others.into_iter().map(|other| other.join().unwrap()).sum::<i32>(), 45);
    }

    thread_local! {
        static SPAWNER: RefCell<Option<Spawner>> = const { RefCell::new(None) };
        static OLD: RefCell<Option<JoinHandle<()>>> = const { RefCell::new(None) };
        static NEW: RefCell<Option<JoinHandle<i32>>> = const { RefCell::new(None) };
    }

    #[test]
    fn a_handle_does_not_reach_the_job_that_takes_its_place() {
        let scheduler = scheduler();
        SPAWNER.set(Some(scheduler.spawner()));
        let job = spawn_with_cleanup(&scheduler, || {
            let spawner = SPAWNER.take().unwrap();
            NEW.set(Some(spawner.spawn(|| 5).unwrap()));
            OLD.with_borrow(|old| assert!(!old.as_ref().unwrap().cancel()));
        });
        OLD.set(Some(job));
        scheduler.run().unwrap();
        assert_eq!(NEW.take().unwrap().join().unwrap(), 5);
        OLD.take().unwrap().join().unwrap();
    }

    #[test]
    fn the_other_jobs_of_a_dropped_scheduler_are_cancelled_even_if_one_panics() {
        struct Panics;
        impl Drop for Panics {
            fn drop(&mut self) {
                panic::resume_unwind(Box::new(7));
            }
        }
        let scheduler = scheduler();
        let ended = Rc::new(());
        let parks = |held| move || (park(), held);
        // The payload of its last panic panics in turn, outside the job.
        let payload = || {
            let _ = panic::catch_unwind(park);
            panic::panic_any(std::sync::Mutex::new(Panics));
        };
        scheduler.spawn(parks(Rc::clone(&ended))).unwrap();
        scheduler.spawn(payload).unwrap();
        scheduler.spawn(parks(Rc::clone(&ended))).unwrap();
        turn(&scheduler);
        let hook = panic::take_hook();
        panic::set_hook(Box::new(|_| ()));
        let dropped = panic::catch_unwind(AssertUnwindSafe(|| drop(scheduler)));
        panic::set_hook(hook);
        assert!(dropped.is_err());
        assert_eq!(Rc::strong_count(&ended), 1);
    }
}
