//! Start, pause, resume, finish: what goes in, what comes out, and where a pause goes.

use std::cell::RefCell;
use std::hint::black_box;
use std::rc::Rc;

use siding::coroutine::{Coroutine, CoroutineState};
use siding::job::{self, Job, JobId, Options, StartError, WaitCtx};
use siding::stack::{StackConfig, StackError};

use super::{Log, about_to, finished, panic_of, pause, paused, shared, start};

#[test]
fn a_job_that_returns_is_finished_with_its_value() {
    assert_eq!(finished(start(|| 42)), 42);
}

#[test]
fn a_job_that_pauses_goes_on_where_it_stood() {
    let log = Log::default();
    let inside = log.clone();
    let job = paused(start(move || {
        inside.add("begins");
        pause();
        inside.add("goes on");
    }));
    log.add("is paused");
    finished(job.resume());
    assert_eq!(log.events(), ["begins", "is paused", "goes on"]);
}

#[test]
fn a_job_may_pause_any_number_of_times() {
    let (count, inside) = shared(0);
    let mut job = paused(start(move || {
        for _ in 0..1000 {
            inside.set(inside.get() + 1);
            pause();
        }
    }));
    for turn in 1..1000 {
        assert_eq!(count.get(), turn);
        job = paused(job.resume());
    }
    finished(job.resume());
}

#[inline(never)]
fn descend(depth: u64) -> u64 {
    let here = black_box([depth; 8]);
    if depth == 0 {
        pause();
        return 0;
    }
    let below = descend(depth - 1);
    below + black_box(here)[7]
}

#[test]
fn a_pause_keeps_all_frames_above_it() {
    let deep = paused(start(|| descend(200)));
    let other = paused(start(|| descend(100)));
    assert_eq!(finished(deep.resume()), 200 * 201 / 2);
    assert_eq!(finished(other.resume()), 100 * 101 / 2);
}

#[test]
fn a_job_may_pause_at_another_depth_each_time() {
    let mut progress = start(|| (0..20).map(descend).sum::<u64>());
    for _ in 0..20 {
        progress = paused(progress).resume();
    }
    assert_eq!(finished(progress), (0..20).map(|n| n * (n + 1) / 2).sum());
}

#[test]
fn what_a_job_captures_is_dropped_once_when_it_has_ended() {
    let value = Rc::new(());
    let captured = Rc::clone(&value);
    // By itself, not in a box as others are.
    let job = job::start(move || {
        pause();
        drop(captured);
    });
    assert_eq!(Rc::strong_count(&value), 2);
    finished(paused(job.unwrap()).resume());
    assert_eq!(Rc::strong_count(&value), 1);
}

#[test]
fn a_result_arrives_once() {
    let value = Rc::new(());
    let result = Rc::clone(&value);
    let returned = finished(start(move || result));
    assert_eq!(Rc::strong_count(&value), 2);
    drop(returned);
    assert_eq!(Rc::strong_count(&value), 1);
}

fn returns<T: PartialEq + Clone + std::fmt::Debug + 'static>(value: T) {
    let copy = value.clone();
    assert_eq!(finished(about_to(|| copy).resume()), value);
}

#[test]
fn results_of_every_size_arrive() {
    returns(());
    returns(true);
    returns(0x1234_u16);
    returns(u64::MAX);
    returns(i128::MIN);
    returns(Box::new(7));
    returns(None::<Box<u8>>);
    returns([0xa5_u8; 1000]);
    returns([7_u64; 1000]);
}

/// Starts a closure with that many bytes, which must arrive unless it is refused.
fn large_closure_arrives<const SIZE: usize>() -> bool {
    let bytes: [u8; SIZE] = std::array::from_fn(|i| i as u8);
    let differing = move || {
        pause();
        black_box(&bytes).iter().enumerate().filter(|&(i, &byte)| byte != i as u8).count()
    };
    let started = job::start(differing);
    let accepted = started.is_ok();
    if let Ok(progress) = started {
        assert_eq!(finished(paused(progress).resume()), 0);
    }
    accepted
}

#[test]
fn large_closures_arrive_whole_up_to_the_size_that_is_refused() {
    assert!(large_closure_arrives::<10_000>());
    assert!(large_closure_arrives::<30_000>());
    large_closure_arrives::<50_000>();
    large_closure_arrives::<70_000>();
    large_closure_arrives::<90_000>();
    large_closure_arrives::<110_000>();
    assert!(!large_closure_arrives::<130_000>());
}

#[test]
fn a_closure_too_large_for_the_stack_comes_back_and_costs_no_job() {
    let small = Options::new().stack(StackConfig::with_size(32 << 10));
    let bytes = [7_u8; 20_000];
    for _ in 0..3 {
        let refused = small.start(move || bytes.len()).unwrap_err();
        assert!(matches!(refused.error, StartError::Stack(StackError::TooSmall { .. })));
        assert_eq!((refused.closure)(), 20_000);
    }
    assert_eq!(finished(start(|| 1)), 1);
}

#[test]
fn a_stack_too_small_to_run_on_is_refused() {
    let tiny = Options::new().stack(StackConfig::with_size(1));
    let refused = tiny.start(|| 1).unwrap_err();
    assert!(matches!(refused.error, StartError::Stack(StackError::TooSmall { .. })));
}

#[test]
fn a_job_on_a_large_stack_may_use_all_of_it() {
    #[inline(never)]
    fn use_up(kilobytes: usize) -> usize {
        let frame = black_box([1_u8; 1024]);
        let below = if kilobytes == 0 { 0 } else { use_up(kilobytes - 1) };
        below + usize::from(frame[kilobytes % 1024])
    }
    let large = Options::new().stack(StackConfig::with_size(8 << 20));
    // Twice what the default stack has; frames of a debug build are larger than their array.
    assert_eq!(finished(large.start(|| use_up(512)).unwrap()), 513);
}

#[test]
fn jobs_on_stacks_of_their_own_pause_like_others() {
    let small = Options::new().stack(StackConfig::with_size(64 << 10));
    let jobs: Vec<Job<usize>> = (0..20)
        .map(|n| {
            paused(
                small
                    .start(move || {
                        pause();
                        n
                    })
                    .unwrap(),
            )
        })
        .collect();
    for (n, job) in jobs.into_iter().enumerate() {
        assert_eq!(finished(job.resume()), n);
    }
}

#[test]
fn a_panic_before_the_first_pause_comes_out_of_start() {
    let payload = panic_of(|| start(|| panic!("at once")));
    assert_eq!(payload.downcast_ref(), Some(&"at once"));
}

#[test]
fn a_panic_after_a_pause_comes_out_of_resume() {
    let job = about_to(|| std::panic::panic_any(Box::new(77)));
    let payload = panic_of(|| job.resume());
    assert_eq!(**payload.downcast_ref::<Box<i32>>().unwrap(), 77);
}

#[test]
fn a_job_that_panicked_leaves_no_trace() {
    panic_of(|| start(|| panic!("at once")));
    assert_eq!(job::current(), None);
    assert_eq!(finished(about_to(|| 5).resume()), 5);
}

#[test]
fn a_panic_caught_inside_stays_inside() {
    let job = about_to(|| panic_of(|| panic!("caught")).is::<&str>());
    assert!(finished(job.resume()));
}

#[test]
fn pausing_outside_a_job_does_nothing() {
    assert_eq!(job::pause(), Ok(()));
    finished(start(|| ()));
    assert_eq!(job::pause(), Ok(()));
}

#[test]
fn a_pause_in_a_coroutine_that_a_job_has_entered_does_nothing() {
    let job = paused(start(|| {
        let mut coroutine = Coroutine::<(), (), u32>::new(|_, ()| {
            pause();
            9
        });
        let state = coroutine.resume(());
        pause();
        state
    }));
    assert_eq!(finished(job.resume()), CoroutineState::Complete(9));
}

#[test]
fn a_pause_in_a_job_that_a_coroutine_has_started_goes_to_the_coroutine() {
    let log = Log::default();
    let inside = log.clone();
    let mut coroutine = Coroutine::<(), Job<u32>, ()>::new(move |yielder, ()| {
        let notes = inside.clone();
        let job = paused(start(move || {
            notes.add("job begins");
            pause();
            notes.add("job goes on");
            3
        }));
        inside.add("coroutine has the job");
        yielder.suspend(job);
    });
    let CoroutineState::Yielded(job) = coroutine.resume(()) else { panic!("did not suspend") };
    log.add("outside");
    assert_eq!(finished(job.resume()), 3);
    let expected = ["job begins", "coroutine has the job", "outside", "job goes on"];
    assert_eq!(log.events(), expected);
}

#[test]
fn a_coroutine_may_be_suspended_in_one_job_and_resumed_in_another() {
    let shared = Rc::new(RefCell::new(Coroutine::<(), Option<JobId>, ()>::new(|yielder, ()| {
        loop {
            yielder.suspend(job::current());
        }
    })));
    let ask = |coroutine: &Rc<RefCell<Coroutine<(), Option<JobId>, ()>>>| {
        let coroutine = Rc::clone(coroutine);
        finished(start(move || {
            let CoroutineState::Yielded(seen) = coroutine.borrow_mut().resume(()) else {
                unreachable!()
            };
            seen == job::current()
        }))
    };
    assert!(ask(&shared));
    assert!(ask(&shared));
}

#[test]
fn outside_a_job_there_is_no_current_one() {
    assert_eq!(job::current(), None);
    let job = about_to(|| ());
    assert_eq!(job::current(), None);
    finished(job.resume());
    assert_eq!(job::current(), None);
}

#[test]
fn a_job_keeps_its_identity_over_pauses() {
    let job = paused(start(|| {
        let first = job::current();
        pause();
        (first, job::current())
    }));
    let id = job.id();
    assert_eq!(finished(job.resume()), (Some(id), Some(id)));
}

#[test]
fn jobs_differ_in_identity_also_when_one_takes_the_others_place() {
    let ids: Vec<_> = (0..100).map(|_| finished(start(|| job::current().unwrap()))).collect();
    for (at, id) in ids.iter().enumerate() {
        assert!(!ids[..at].contains(id));
    }
}

#[test]
fn a_coroutine_in_a_job_sees_the_job_as_current() {
    let ask = || {
        let mut coroutine = Coroutine::<(), (), _>::new(|_, ()| job::current());
        coroutine.resume(()) == CoroutineState::Complete(job::current())
    };
    assert!(finished(start(ask)));
}

#[test]
fn the_wait_context_is_reset_when_the_pause_returns_and_not_before() {
    let ctx = WaitCtx::new();
    let in_job = || (job::wait_ctx().unwrap(), 7.into());
    let job = paused(
        Options::new()
            .wait_ctx(ctx.clone())
            .start(move || {
                let (ctx, key) = in_job();
                ctx.set_wait_fd(key, 7).unwrap();
                pause();
                ctx.changed_fds().0.len()
            })
            .unwrap(),
    );
    assert_eq!(ctx.changed_fds().0, [7]);
    assert_eq!(finished(job.resume()), 0);
}

#[test]
fn a_finished_job_does_not_leave_its_wait_context_to_the_next() {
    finished(Options::new().wait_ctx(WaitCtx::new()).start(|| ()).unwrap());
    assert!(finished(start(|| job::wait_ctx().is_none())));
}
