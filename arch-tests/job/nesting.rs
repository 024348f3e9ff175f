//! Jobs in jobs: a pause goes to whoever started or resumed the innermost one.

use std::cell::RefCell;
use std::rc::Rc;

use siding::job::{self, Job, Progress};

use super::{Log, about_to, finished, panic_of, pause, paused, start};

/// Where a job leaves another for somebody else to resume.
type Carrier<T> = Rc<RefCell<Option<Job<T>>>>;

#[test]
fn a_job_in_a_job_runs_and_gives_its_value_to_the_outer_one() {
    assert_eq!(finished(start(|| finished(start(|| 1)) + 1)), 2);
}

#[test]
fn the_inner_job_is_current_and_then_the_outer_one_again() {
    let distinct = || {
        let outer = job::current();
        let inner = finished(start(job::current));
        inner.is_some() && inner != outer && job::current() == outer
    };
    assert!(finished(start(distinct)));
}

#[test]
fn the_outer_job_is_current_again_when_the_inner_one_has_paused() {
    let outer_again = || {
        let outer = job::current();
        let inner = about_to(|| ());
        let now = job::current();
        finished(inner.resume());
        now == outer && job::current() == outer
    };
    assert!(finished(start(outer_again)));
}

#[test]
fn pauses_alternate_between_inner_and_outer() {
    let log = Log::default();
    let notes = log.clone();
    let outer = paused(start(move || {
        let inner_notes = notes.clone();
        let inner = paused(start(move || {
            inner_notes.add("inner begins");
            pause();
            inner_notes.add("inner goes on");
        }));
        notes.add("outer pauses");
        pause();
        finished(inner.resume());
        notes.add("outer ends");
    }));
    log.add("outside");
    finished(outer.resume());
    let expected = ["inner begins", "outer pauses", "outside", "inner goes on", "outer ends"];
    assert_eq!(log.events(), expected);
}

/// An outer job that has paused while its inner one, in the carrier, is paused.
fn outer_and_inner() -> (Job<u32>, Carrier<u32>) {
    let carrier = Carrier::default();
    let inside = Rc::clone(&carrier);
    let outer = paused(start(move || {
        let inner = paused(start(|| {
            pause();
            pause();
            1
        }));
        *inside.borrow_mut() = Some(inner);
        pause();
        2
    }));
    (outer, carrier)
}

#[test]
fn an_inner_job_may_be_resumed_outside_its_outer_one() {
    let (outer, carrier) = outer_and_inner();
    let inner = paused(carrier.take().unwrap().resume());
    assert_eq!(job::current(), None);
    assert_eq!(finished(inner.resume()), 1);
    assert_eq!(finished(outer.resume()), 2);
}

#[test]
fn an_inner_job_may_outlive_its_outer_one() {
    let (outer, carrier) = outer_and_inner();
    assert_eq!(finished(outer.resume()), 2);
    let inner = paused(carrier.take().unwrap().resume());
    assert_eq!(finished(inner.resume()), 1);
}

#[test]
fn an_inner_job_resumed_in_another_job_pauses_to_that_one() {
    let (outer, carrier) = outer_and_inner();
    let third = paused(start(move || {
        let inner = paused(carrier.take().unwrap().resume());
        pause();
        finished(inner.resume())
    }));
    assert_eq!(finished(outer.resume()), 2);
    assert_eq!(finished(third.resume()), 1);
}

#[test]
fn two_jobs_may_resume_a_third_in_turn() {
    let third = Rc::new(RefCell::new(Some(paused(start(|| {
        (0..21).for_each(|_| pause());
        "end"
    })))));
    let resumer = || {
        let third = Rc::clone(&third);
        start(move || {
            while let Some(job) = third.take() {
                match job.resume() {
                    Progress::Paused(job) => *third.borrow_mut() = Some(job),
                    Progress::Finished(end) => return end,
                }
                pause();
            }
            "nothing left"
        })
    };
    let (mut one, mut two) = (paused(resumer()), paused(resumer()));
    for _ in 0..9 {
        one = paused(one.resume());
        two = paused(two.resume());
    }
    assert_eq!(finished(one.resume()), "end");
    assert_eq!(finished(two.resume()), "nothing left");
}

fn nest(depth: usize) -> usize {
    pause();
    if depth == 0 {
        return 0;
    }
    let mut inner = start(move || nest(depth - 1));
    loop {
        match inner {
            Progress::Finished(below) => return below + 1,
            Progress::Paused(job) => {
                pause();
                inner = job.resume();
            }
        }
    }
}

#[test]
fn jobs_nest_a_hundred_deep_and_all_of_them_pause() {
    let mut progress = start(|| nest(100));
    let mut pauses = 0;
    let depth = loop {
        match progress {
            Progress::Finished(depth) => break depth,
            Progress::Paused(job) => {
                pauses += 1;
                progress = job.resume();
            }
        }
    };
    assert_eq!(depth, 100);
    // The pause of the job at each depth comes out through all those above it.
    assert_eq!(pauses, 101);
}

#[test]
fn a_panic_of_the_inner_job_passes_through_the_outer_one() {
    let job = about_to(|| finished(start(|| panic!("deep inside"))));
    assert_eq!(panic_of(|| job.resume()).downcast_ref(), Some(&"deep inside"));
}

#[test]
fn the_outer_job_may_catch_the_panic_of_the_inner_one_and_pause() {
    let job = paused(start(|| {
        panic_of(|| start(|| panic!("caught")));
        pause();
        job::current().is_some()
    }));
    assert!(finished(job.resume()));
}

#[test]
fn an_inner_pause_leaves_the_outer_wait_context_alone() {
    let ctx = job::WaitCtx::new();
    let inside = ctx.clone();
    let body = move || {
        inside.set_wait_fd(1.into(), 1).unwrap();
        finished(about_to(|| ()).resume());
        inside.changed_fds().0.len()
    };
    let outer = job::Options::new().wait_ctx(ctx);
    assert_eq!(finished(outer.start(body).unwrap()), 1);
}
