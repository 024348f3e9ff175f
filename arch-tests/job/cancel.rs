//! Cancelling by unwinding, and by letting pauses fail.

use std::rc::Rc;
use std::time::Duration;

use siding::coroutine::Coroutine;
use siding::job::{self, Cancelled, Interest, Options, WaitError};

use super::{
    Log, OnDrop, RETURN, about_to, finished, panic_of, panics_reported, pause, paused, shared,
    start,
};

#[test]
fn dropping_a_paused_job_runs_its_destructors_innermost_first() {
    let log = Log::default();
    let (outer, inner) = (log.on_drop("outer"), log.on_drop("inner"));
    let job = paused(start(move || {
        let _outer = outer;
        let pause_inside = move || {
            let _inner = inner;
            pause();
        };
        pause_inside();
    }));
    assert_eq!(log.events(), [""; 0]);
    drop(job);
    assert_eq!(log.events(), ["inner", "outer"]);
}

#[test]
fn cancel_does_what_drop_does() {
    let log = Log::default();
    let guard = log.on_drop("dropped");
    about_to(move || drop(guard)).cancel();
    assert_eq!(log.events(), ["dropped"]);
}

#[test]
fn nothing_runs_after_the_pause_that_unwinds() {
    let (ran, inside) = shared(false);
    about_to(move || inside.set(true)).cancel();
    assert!(!ran.get());
}

#[test]
fn unwinding_is_silent() {
    assert_eq!(panics_reported(|| about_to(|| ()).cancel()), 0);
}

#[test]
fn a_cancelled_job_makes_room_for_a_usual_one() {
    about_to(|| ()).cancel();
    assert!(finished(paused(start(job::pause)).resume()).is_ok());
    paused(RETURN.start(pause_and_ignore).unwrap()).cancel();
    assert!(finished(paused(start(job::pause)).resume()).is_ok());
}

fn pause_and_ignore() {
    let _ = job::pause();
}

#[test]
fn in_the_mode_return_the_pause_in_progress_returns_cancelled() {
    let (answer, inside) = shared(None);
    paused(RETURN.start(move || inside.set(Some(job::pause()))).unwrap()).cancel();
    assert_eq!(answer.get(), Some(Err(Cancelled)));
}

#[test]
fn in_the_mode_return_later_pauses_return_cancelled_too() {
    let (answers, inside) = shared(0);
    let body = move || {
        for _ in 0..5 {
            inside.set(inside.get() + i32::from(job::pause() == Err(Cancelled)));
        }
    };
    paused(RETURN.start(body).unwrap()).cancel();
    assert_eq!(answers.get(), 5);
}

/// How each kind of wait answers in a job that has been cancelled.
fn all_waits() -> [Result<(), WaitError>; 5] {
    let (socket, _other) = crate::stream::pair().unwrap();
    [
        job::park(),
        job::sleep(Duration::from_secs(1000)),
        job::yield_now(),
        job::wait_fd(&socket, Interest::Readable, None),
        siding::offload::offload(|| ()).map_err(|refused| match refused.error {
            siding::offload::OffloadError::Wait(error) => error,
            other => panic!("{other:?}"),
        }),
    ]
}

#[test]
fn in_the_mode_return_waits_return_cancelled() {
    let (cancelled, inside) = shared(0);
    let body = move || {
        pause_and_ignore();
        let answers = all_waits();
        inside.set(answers.iter().filter(|a| matches!(a, Err(WaitError::Cancelled))).count());
    };
    paused(RETURN.driven(true).start(body).unwrap()).cancel();
    assert_eq!(cancelled.get(), 5);
}

#[test]
fn in_the_mode_return_the_job_runs_to_its_end_and_its_value_is_dropped() {
    let value = Rc::new(());
    let result = Rc::clone(&value);
    let body = move || {
        pause_and_ignore();
        result
    };
    paused(RETURN.start(body).unwrap()).cancel();
    assert_eq!(Rc::strong_count(&value), 1);
}

#[test]
fn a_panic_on_the_way_is_reported_and_goes_no_further() {
    let body = || {
        pause_and_ignore();
        panic!("on the way out");
    };
    let job = paused(RETURN.start::<(), _>(body).unwrap());
    assert_eq!(panics_reported(|| job.cancel()), 1);
}

#[test]
fn a_wait_that_is_cancelled_unwinds_as_a_pause_does() {
    let log = Log::default();
    let guard = log.on_drop("dropped");
    let body = move || {
        let _guard = guard;
        let _ = job::park();
        panic!("unreachable");
    };
    paused(Options::new().driven(true).start::<(), _>(body).unwrap()).cancel();
    assert_eq!(log.events(), ["dropped"]);
}

#[test]
fn a_job_may_be_cancelled_inside_another() {
    let log = Log::default();
    let guard = log.on_drop("dropped");
    let victim = about_to(move || drop(guard));
    let canceller = paused(start(move || {
        let me = job::current();
        victim.cancel();
        pause();
        job::current() == me
    }));
    assert_eq!(log.events(), ["dropped"]);
    assert!(finished(canceller.resume()));
}

#[test]
fn cancelling_a_job_cancels_the_paused_job_it_holds() {
    let log = Log::default();
    let (outer, inner) = (log.on_drop("outer"), log.on_drop("inner"));
    about_to_hold(outer, move || drop(about_to(move || drop(inner)))).cancel();
    assert_eq!(log.events(), ["inner", "outer"]);
}

/// A paused job that makes something, pauses holding it, and has `kept` to drop as well.
fn about_to_hold<T: 'static>(
    kept: impl Sized + 'static,
    make: impl FnOnce() -> T + 'static,
) -> job::Job<()> {
    paused(start(move || {
        let _kept = kept;
        let _made = make();
        pause();
    }))
}

#[test]
fn cancelling_a_job_unwinds_the_coroutine_it_holds() {
    let log = Log::default();
    let (outer, inner) = (log.on_drop("outer"), log.on_drop("inner"));
    let hold = move || {
        let mut coroutine = Coroutine::<(), (), ()>::new(move |yielder, ()| {
            let _inner = inner;
            yielder.suspend(());
        });
        coroutine.resume(());
        coroutine
    };
    about_to_hold(outer, hold).cancel();
    assert_eq!(log.events(), ["inner", "outer"]);
}

#[test]
fn dropping_a_coroutine_cancels_the_job_it_holds() {
    let log = Log::default();
    let guard = log.on_drop("dropped");
    let mut coroutine = Coroutine::<(), (), ()>::new(move |yielder, ()| {
        let _job = about_to(move || drop(guard));
        yielder.suspend(());
    });
    coroutine.resume(());
    drop(coroutine);
    assert_eq!(log.events(), ["dropped"]);
}

#[test]
fn a_job_is_unwound_also_while_its_resumer_panics() {
    let log = Log::default();
    let (guard, after) = (log.on_drop("dropped"), log.clone());
    let body = move || {
        let _guard = guard;
        pause_and_ignore();
        after.add("went on");
    };
    panic_of(|| {
        let _job = paused(start(body));
        panic!("with a paused job in scope");
    });
    assert_eq!(log.events(), ["dropped"]);
}

#[test]
fn a_job_may_pause_in_a_destructor_while_it_panics() {
    let job = paused(start(|| {
        let _pauses = OnDrop(pause);
        panic!("goes on after the pause");
    }));
    let job: job::Job<()> = job;
    assert_eq!(panic_of(|| job.resume()).downcast_ref(), Some(&"goes on after the pause"));
}

#[test]
fn a_pause_in_a_destructor_that_unwinding_runs_returns_cancelled() {
    let (answer, inside) = shared(None);
    let job = paused(start(move || {
        let _pauses = OnDrop(move || inside.set(Some(job::pause())));
        pause();
    }));
    job.cancel();
    assert_eq!(answer.get(), Some(Err(Cancelled)));
}

#[test]
fn waits_in_a_destructor_that_unwinding_runs_return_cancelled() {
    let (cancelled, inside) = shared(0);
    let body = move || {
        let _waits = OnDrop(move || {
            let answers = all_waits();
            inside.set(answers.iter().filter(|a| matches!(a, Err(WaitError::Cancelled))).count());
        });
        pause();
    };
    paused(Options::new().driven(true).start(body).unwrap()).cancel();
    assert_eq!(cancelled.get(), 5);
}
