//! `panic = "abort"`: a suspended coroutine that is dropped is leaked, with all that lies on
//! its stack; a job that is cancelled sees its pauses fail and runs to its end; a scoped
//! coroutine that is left suspended ends the process (with the argument `scope`).

use std::cell::Cell;
use std::env;
use std::rc::Rc;

use siding::coroutine::{Coroutine, CoroutineState, Yielder, scope};
use siding::job::{self, CancelMode, Options, Progress};
use siding::scheduler::{JoinError, Scheduler, park};
use siding::stack;

fn main() {
    const { assert!(cfg!(panic = "abort"), "build it with panic = \"abort\"") };
    if env::args().nth(1).as_deref() == Some("scope") {
        leave_a_scoped_coroutine_suspended();
    }
    a_suspended_coroutine_is_leaked();
    a_coroutine_that_has_not_begun_is_dropped();
    a_cancelled_job_runs_to_its_end();
    a_dropped_scheduler_runs_its_jobs_to_their_ends();
    println!("dropping what is suspended does as documented");
}

fn a_suspended_coroutine_is_leaked() {
    let held = Rc::new(());
    let inside = Rc::clone(&held);
    let mut coroutine = Coroutine::new(move |yielder: &Yielder<(), ()>, ()| {
        yielder.suspend(());
        drop(inside);
    });
    assert_eq!(coroutine.resume(()), CoroutineState::Yielded(()));
    let before = stack::stats().live;
    drop(coroutine);
    assert_eq!(Rc::strong_count(&held), 2, "no destructor has run");
    assert_eq!(stack::stats().live, before, "its stack is nobody else's");
}

fn a_coroutine_that_has_not_begun_is_dropped() {
    let held = Rc::new(());
    let inside = Rc::clone(&held);
    drop(Coroutine::new(move |_: &Yielder<(), ()>, ()| drop(inside)));
    assert_eq!(Rc::strong_count(&held), 1);
}

fn a_cancelled_job_runs_to_its_end() {
    for mode in [CancelMode::Unwind, CancelMode::Return] {
        let refused = Rc::new(Cell::new(0));
        let count = Rc::clone(&refused);
        let body = move || {
            for _ in 0..3 {
                count.set(count.get() + i32::from(job::pause().is_err()));
            }
        };
        let Ok(Progress::Paused(job)) = Options::new().cancel_mode(mode).start(body) else {
            panic!("it pauses")
        };
        job.cancel();
        assert_eq!(refused.get(), 3);
        assert_eq!(Rc::strong_count(&refused), 1, "its captures are gone");
    }
}

fn a_dropped_scheduler_runs_its_jobs_to_their_ends() {
    let scheduler = Scheduler::new().unwrap();
    let waits = scheduler.spawn(|| park().is_err()).unwrap();
    let fresh = scheduler.spawn(|| ()).unwrap();
    scheduler.turn(Some(std::time::Duration::ZERO)).unwrap();
    let never = scheduler.spawn(|| ()).unwrap();
    drop(scheduler);
    assert!(waits.join().unwrap());
    assert!(fresh.join().is_ok());
    assert!(matches!(never.join(), Err(JoinError::Cancelled)));
}

fn leave_a_scoped_coroutine_suspended() {
    let borrowed = String::new();
    let inside = |yielder: &Yielder<(), usize>, ()| yielder.suspend(borrowed.len());
    let _ = scope(inside, |mut coroutine| coroutine.resume(()));
    println!("what it borrows would go away");
}
