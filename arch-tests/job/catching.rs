//! Jobs that catch the unwinding by which they are cancelled.

use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;

use siding::job::{self, Options};

use super::{Log, finished, panic_of, pause, paused, shared, start};

const DRIVEN: Options = Options::new().driven(true);

fn pause_and_ignore() {
    let _ = job::pause();
}

fn catch(f: impl FnOnce()) {
    let _ = panic::catch_unwind(AssertUnwindSafe(f));
}

#[test]
fn a_job_that_catches_the_unwinding_and_returns_has_ended() {
    let value = Rc::new(());
    let result = Rc::clone(&value);
    let job = paused(start(move || {
        catch(pause);
        result
    }));
    job.cancel();
    assert_eq!(Rc::strong_count(&value), 1);
}

#[test]
fn a_job_that_catches_the_unwinding_is_unwound_again_at_its_next_pause() {
    let log = Log::default();
    let (guard, notes) = (log.on_drop("dropped"), log.clone());
    let job = paused(start(move || {
        let _guard = guard;
        catch(pause);
        notes.add("caught");
        pause();
        notes.add("went on");
    }));
    job.cancel();
    assert_eq!(log.events(), ["caught", "dropped"]);
}

/// Cancels a job that keeps catching.
fn can_be_cancelled(wait: fn()) {
    let forever = move || {
        loop {
            catch(wait);
        }
    };
    paused(DRIVEN.start::<(), _>(forever).unwrap()).cancel();
    // The thread goes on as before.
    assert_eq!(job::current(), None);
    finished(paused(start(pause)).resume());
}

#[test]
fn a_loop_that_catches_every_pause_can_be_cancelled() {
    can_be_cancelled(pause_and_ignore);
}

#[test]
fn a_loop_that_catches_every_wait_can_be_cancelled() {
    can_be_cancelled(|| drop(job::park()));
}

#[test]
fn a_loop_that_catches_every_yield_can_be_cancelled() {
    can_be_cancelled(|| drop(job::yield_now()));
}

#[test]
fn a_loop_that_catches_every_offload_can_be_cancelled() {
    can_be_cancelled(|| drop(siding::offload::offload(|| ())));
}

#[test]
fn a_loop_that_catches_every_pause_can_be_cancelled_while_its_resumer_panics() {
    let forever = || {
        loop {
            catch(pause_and_ignore);
        }
    };
    panic_of(|| {
        let _job = paused(start::<()>(forever));
        panic!("with a paused job in scope");
    });
    finished(paused(start(pause)).resume());
}

#[test]
fn a_job_that_was_given_up_does_not_count_as_running() {
    let (turns, inside) = shared(0);
    let forever = move || {
        loop {
            catch(pause_and_ignore);
            inside.set(inside.get() + 1);
        }
    };
    paused(start::<()>(forever)).cancel();
    let given_up_after = turns.get();
    assert!(given_up_after > 1, "unwound again");
    (0..100).for_each(|_| finished(start(|| ())));
    assert_eq!(turns.get(), given_up_after, "and never entered again");
}
