//! `block_pause`: the count belongs to the job that was current when the guard was made.

use std::cell::RefCell;
use std::rc::Rc;

use siding::job::{self, BlockPause, WaitError};

use super::{finished, pause, paused, start};

/// Where a guard is carried out of its job.
type Carrier = Rc<RefCell<Option<BlockPause>>>;

#[test]
fn no_pause_until_the_guard_is_dropped() {
    let job = paused(start(|| {
        let guard = job::block_pause();
        pause();
        drop(guard);
        pause();
    }));
    finished(job.resume());
}

#[test]
fn guards_nest() {
    let job = paused(start(|| {
        let outer = job::block_pause();
        let inner = job::block_pause();
        drop(outer);
        pause();
        drop(inner);
        pause();
    }));
    finished(job.resume());
}

#[test]
fn a_blocked_pause_is_no_error_but_a_blocked_wait_is() {
    let answers = || {
        let _guard = job::block_pause();
        (job::pause(), matches!(job::park(), Err(WaitError::Blocked)))
    };
    let driven = job::Options::new().driven(true);
    assert_eq!(finished(driven.start(answers).unwrap()), (Ok(()), true));
}

#[test]
fn a_guard_outside_a_job_blocks_nothing() {
    let guard = job::block_pause();
    let job = paused(start(pause));
    drop(guard);
    finished(job.resume());
}

#[test]
fn a_job_that_ends_while_blocked_does_not_block_the_next() {
    finished(start(|| std::mem::forget(job::block_pause())));
    finished(paused(start(pause)).resume());
}

#[test]
fn blocking_one_job_does_not_block_another() {
    let other = paused(start(|| {
        pause();
        pause();
    }));
    finished(start(|| {
        let _guard = job::block_pause();
        drop(paused(other.resume()));
    }));
}

#[test]
fn the_count_belongs_to_the_job_that_a_coroutine_runs_in() {
    use siding::coroutine::Coroutine;
    let job = paused(start(|| {
        let mut blocker = Coroutine::<(), (), ()>::new(|yielder, ()| {
            let _guard = job::block_pause();
            yielder.suspend(());
        });
        blocker.resume(());
        pause();
        blocker.resume(());
        pause();
    }));
    finished(job.resume());
}

#[test]
fn a_guard_dropped_after_its_job_has_ended_unblocks_nobody_else() {
    let carrier = Carrier::default();
    let inside = Rc::clone(&carrier);
    finished(start(move || *inside.borrow_mut() = Some(job::block_pause())));
    // The next job runs in the same place.
    finished(start(move || {
        let _own = job::block_pause();
        drop(carrier.take());
        pause();
    }));
}

#[test]
fn a_guard_dropped_in_a_nested_job_unblocks_its_own_job() {
    let job = paused(start(|| {
        let guard = job::block_pause();
        finished(start(|| drop(guard)));
        pause();
    }));
    finished(job.resume());
}

#[test]
fn a_guard_dropped_in_a_nested_job_does_not_unblock_that_one() {
    finished(start(|| {
        let guard = job::block_pause();
        finished(start(|| {
            let _own = job::block_pause();
            drop(guard);
            pause();
        }));
    }));
}
