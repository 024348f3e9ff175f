//! Handles of jobs that have ended.

use super::*;

/// Runs a job that leaves its handle and ends; the next one takes its place.
fn of_an_ended_job(scheduler: &Scheduler) -> Wake {
    let left = Left::default();
    let leaves = Rc::clone(&left);
    scheduler.spawn(move || *leaves.borrow_mut() = Some(own())).unwrap();
    turn_a_few_times(scheduler);
    left.take().expect("it has run")
}

/// A job that parks until it is told that no wake will come any more.
struct Sleeper {
    told: Rc<Cell<bool>>,
    job: JoinHandle<bool>,
}

impl Sleeper {
    fn new(scheduler: &Scheduler) -> Sleeper {
        Sleeper::after(scheduler, || ())
    }

    /// One that does something else first.
    fn after(scheduler: &Scheduler, first: impl FnOnce() + 'static) -> Sleeper {
        let told = Rc::new(Cell::new(false));
        let hears = Rc::clone(&told);
        let body = move || {
            first();
            // With a slot of its own from the start.
            let _own = own();
            let mut woken = false;
            while !hears.get() {
                woken |= park_until(Instant::now() + Duration::from_millis(1)).is_ok();
            }
            woken || is_woken()
        };
        Sleeper { told, job: scheduler.spawn(body).unwrap() }
    }

    /// Whether any of the wakes up to now has reached it.
    fn was_woken(self, scheduler: &Scheduler) -> bool {
        turn_a_few_times(scheduler);
        self.told.set(true);
        while !self.job.is_finished() {
            scheduler.turn(None).unwrap();
        }
        self.job.join().unwrap()
    }
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
    let next = Sleeper::new(&scheduler);
    turn_a_few_times(&scheduler);
    wake.wake();
    assert!(!next.was_woken(&scheduler));
}

#[test]
fn it_does_not_wake_the_next_job_when_it_was_still_queued_for_the_first() {
    let scheduler = scheduler();
    let first = scheduler.spawn(|| own().wake()).unwrap();
    let next = Sleeper::after(&scheduler, move || first.join().unwrap());
    assert!(!next.was_woken(&scheduler));
    // Taken out of the inbox by now: those that follow find nothing, either.
    let more = [0; 3].map(|_| Sleeper::new(&scheduler));
    turn_a_few_times(&scheduler);
    assert!(more.into_iter().all(|next| !next.was_woken(&scheduler)));
}

#[test]
fn its_clones_are_as_stale_and_may_be_dropped() {
    let scheduler = scheduler();
    let wake = of_an_ended_job(&scheduler);
    let next = Sleeper::new(&scheduler);
    turn_a_few_times(&scheduler);
    let clones = [wake.clone(), wake.clone()];
    clones[0].wake();
    drop(wake);
    drop(clones);
    assert!(!next.was_woken(&scheduler));
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
    let next = Sleeper::new(&second);
    turn_a_few_times(&second);
    wake.wake();
    assert!(!next.was_woken(&second));
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
    let next = Sleeper::new(&second);
    assert!(!next.was_woken(&second));
}
