//! The jobs of a thread: limits, order of reuse, cleaning up, and that nothing leaks.
//! Each test has a thread, and with it a pool, of its own.

use std::collections::HashSet;
use std::thread;

use siding::job::{self, InvalidPoolSize, Job, Options, StartError, WaitCtx, init_thread};
use siding::stack::{self, StackConfig};

use super::{about_to, finished, panic_of, pause, paused, start};

fn on_a_new_thread(test: fn()) {
    if let Err(payload) = thread::spawn(test).join() {
        std::panic::resume_unwind(payload);
    }
}

/// An address on the stack of a job that runs now.
fn place() -> usize {
    finished(start(local_address))
}

#[inline(never)]
fn local_address() -> usize {
    let local = std::hint::black_box(0_u8);
    (&raw const local).addr() >> 12
}

fn is_no_jobs<T>(progress: &Result<T, job::NotStarted<impl Sized>>) -> bool {
    matches!(progress, Err(refused) if matches!(refused.error, StartError::NoJobs))
}

#[test]
fn init_accepts_no_limit() {
    on_a_new_thread(|| assert_eq!(init_thread(0, 0), Ok(())));
}

#[test]
fn init_accepts_as_many_jobs_at_once_as_the_limit() {
    on_a_new_thread(|| assert_eq!(init_thread(5, 5), Ok(())));
}

#[test]
fn init_accepts_none_at_once() {
    on_a_new_thread(|| assert_eq!(init_thread(5, 0), Ok(())));
}

#[test]
fn init_refuses_more_at_once_than_the_limit() {
    on_a_new_thread(|| assert_eq!(init_thread(2, 5), Err(InvalidPoolSize)));
}

#[test]
fn init_refuses_jobs_at_once_without_a_limit() {
    on_a_new_thread(|| assert_eq!(init_thread(0, 5), Err(InvalidPoolSize)));
}

#[test]
fn init_accepts_the_largest_int_and_nothing_above() {
    on_a_new_thread(|| {
        assert_eq!(init_thread(i32::MAX as usize, 0), Ok(()));
        assert_eq!(init_thread(i32::MAX as usize + 1, 0), Err(InvalidPoolSize));
        assert_eq!(init_thread(usize::MAX, usize::MAX), Err(InvalidPoolSize));
    });
}

#[test]
fn a_refused_init_changes_nothing() {
    on_a_new_thread(|| {
        init_thread(1, 0).unwrap();
        init_thread(2, 5).unwrap_err();
        let _job = about_to(|| ());
        assert!(is_no_jobs(&job::start(|| ())));
    });
}

#[test]
fn init_makes_stacks_ready() {
    on_a_new_thread(|| {
        init_thread(7, 7).unwrap();
        assert_eq!(stack::stats().live, 7);
    });
}

#[test]
fn threads_have_no_limit_unless_told() {
    on_a_new_thread(|| {
        let jobs: Vec<_> = (0..1000).map(|n| about_to(move || n)).collect();
        assert_eq!(jobs.into_iter().map(|job| finished(job.resume())).sum::<i32>(), 499_500);
    });
}

#[test]
fn at_the_limit_there_are_no_jobs_and_the_closure_comes_back() {
    on_a_new_thread(|| {
        init_thread(2, 0).unwrap();
        let (_one, _two) = (about_to(|| ()), about_to(|| ()));
        let text = String::from("mine");
        let refused = job::start(move || text).unwrap_err();
        assert!(matches!(refused.error, StartError::NoJobs));
        assert_eq!((refused.closure)(), "mine");
    });
}

#[test]
fn a_refused_job_can_be_started_when_another_has_finished() {
    on_a_new_thread(|| {
        init_thread(1, 0).unwrap();
        let first = about_to(|| ());
        let refused = job::start(|| 5).unwrap_err();
        finished(first.resume());
        assert_eq!(finished(job::start(refused.closure).unwrap()), 5);
    });
}

#[test]
fn a_running_job_counts() {
    on_a_new_thread(|| {
        init_thread(1, 0).unwrap();
        assert!(finished(start(|| is_no_jobs(&job::start(|| ())))));
    });
}

#[test]
fn a_cancelled_job_makes_room() {
    on_a_new_thread(|| {
        init_thread(1, 0).unwrap();
        about_to(|| ()).cancel();
        finished(start(|| ()));
    });
}

#[test]
fn a_job_that_panicked_makes_room() {
    on_a_new_thread(|| {
        init_thread(1, 0).unwrap();
        panic_of(|| start(|| panic!("at once")));
        finished(start(|| ()));
    });
}

#[test]
fn jobs_on_stacks_of_their_own_count() {
    on_a_new_thread(|| {
        init_thread(1, 0).unwrap();
        let small = Options::new().stack(StackConfig::with_size(64 << 10));
        let job = paused(small.start(pause).unwrap());
        assert!(is_no_jobs(&job::start(|| ())));
        assert!(is_no_jobs(&small.start(|| ())));
        finished(job.resume());
        finished(start(|| ()));
    });
}

#[test]
fn a_free_job_makes_room_for_one_on_a_stack_of_its_own() {
    on_a_new_thread(|| {
        init_thread(1, 1).unwrap();
        finished(Options::new().stack(StackConfig::with_size(64 << 10)).start(|| ()).unwrap());
    });
}

#[test]
fn init_again_raises_the_limit() {
    on_a_new_thread(|| {
        init_thread(1, 0).unwrap();
        let _one = about_to(|| ());
        init_thread(2, 0).unwrap();
        let _two = about_to(|| ());
        assert!(is_no_jobs(&job::start(|| ())));
    });
}

#[test]
fn init_again_lowers_the_limit_and_existing_jobs_count() {
    on_a_new_thread(|| {
        init_thread(3, 3).unwrap();
        init_thread(1, 1).unwrap();
        let _one = about_to(|| ());
        assert!(is_no_jobs(&job::start(|| ())));
    });
}

#[test]
fn under_a_lowered_limit_jobs_that_end_make_no_room_until_few_enough_are_left() {
    on_a_new_thread(|| {
        let mut jobs: Vec<_> = (0..3).map(|_| about_to(|| ())).collect();
        init_thread(1, 0).unwrap();
        finished(jobs.pop().unwrap().resume());
        assert!(is_no_jobs(&job::start(|| ())), "two are left");
        finished(jobs.pop().unwrap().resume());
        assert!(is_no_jobs(&job::start(|| ())), "one is left");
        finished(jobs.pop().unwrap().resume());
        let _job = about_to(|| ());
        assert!(is_no_jobs(&job::start(|| ())));
    });
}

#[test]
fn init_works_inside_a_job() {
    on_a_new_thread(|| {
        let (limited, afterwards) = finished(start(|| {
            init_thread(1, 0).unwrap();
            let limited = is_no_jobs(&job::start(|| ()));
            init_thread(0, 0).unwrap();
            (limited, finished(start(|| 5)))
        }));
        assert!(limited);
        assert_eq!(afterwards, 5);
    });
}

#[test]
fn the_last_job_to_finish_is_the_first_to_be_reused() {
    on_a_new_thread(|| {
        let at = || {
            let here = local_address();
            paused(start(move || {
                let place = local_address();
                pause();
                assert_ne!(place, here);
                place
            }))
        };
        let jobs: Vec<Job<usize>> = (0..5).map(|_| at()).collect();
        let places: Vec<usize> = jobs.into_iter().map(|job| finished(job.resume())).collect();
        let again: Vec<Job<usize>> = (0..5).map(|_| at()).collect();
        let reused: Vec<usize> = again.into_iter().map(|job| finished(job.resume())).collect();
        assert_eq!(reused, places.into_iter().rev().collect::<Vec<_>>());
    });
}

#[test]
fn cleanup_frees_idle_jobs() {
    on_a_new_thread(|| {
        init_thread(9, 9).unwrap();
        job::cleanup_thread();
        assert_eq!(stack::stats().live, 0);
    });
}

#[test]
fn cleanup_lifts_the_limit() {
    on_a_new_thread(|| {
        init_thread(1, 0).unwrap();
        job::cleanup_thread();
        let _jobs = (about_to(|| ()), about_to(|| ()));
    });
}

#[test]
fn paused_jobs_survive_a_cleanup() {
    on_a_new_thread(|| {
        let job = about_to(|| 7);
        job::cleanup_thread();
        assert_eq!(finished(job.resume()), 7);
    });
}

#[test]
fn jobs_that_end_after_a_cleanup_are_freed() {
    on_a_new_thread(|| {
        let job = about_to(|| ());
        job::cleanup_thread();
        finished(job.resume());
        assert_eq!(stack::stats().live, 0);
    });
}

#[test]
fn a_cleanup_inside_a_job_leaves_it_current_and_running() {
    on_a_new_thread(|| {
        init_thread(3, 3).unwrap();
        let job = paused(start(|| {
            let me = job::current();
            job::cleanup_thread();
            pause();
            job::current() == me
        }));
        assert_eq!(stack::stats().live, 1);
        assert!(finished(job.resume()));
    });
}

#[test]
fn jobs_one_after_the_other_use_one_stack() {
    on_a_new_thread(|| {
        let places: HashSet<usize> = (0..10_000).map(|_| place()).collect();
        assert_eq!(places.len(), 1);
        assert_eq!(stack::stats().live, 1);
    });
}

#[test]
fn many_jobs_at_once_leave_no_more_than_a_bounded_pool() {
    on_a_new_thread(|| {
        let round = || {
            let jobs: Vec<_> = (0..2000).map(|_| about_to(|| ())).collect();
            jobs.into_iter().for_each(|job| finished(job.resume()));
            stack::stats().live
        };
        let after_one = round();
        assert!(after_one < 2000, "{after_one}");
        assert_eq!(round(), after_one);
        job::cleanup_thread();
        assert_eq!(stack::stats().live, 0);
    });
}

#[test]
fn cancelled_and_panicked_jobs_leave_no_stack_behind() {
    on_a_new_thread(|| {
        for _ in 0..100 {
            about_to(|| ()).cancel();
            panic_of(|| start(|| std::panic::resume_unwind(Box::new(()))));
        }
        assert_eq!(stack::stats().live, 1);
    });
}

#[test]
fn a_job_whose_wait_context_panics_when_it_ends_makes_room() {
    on_a_new_thread(|| {
        init_thread(1, 0).unwrap();
        let ctx = WaitCtx::new();
        ctx.set_wait_fd_with(1.into(), 1, |_, _, _| panic!("in a cleanup")).unwrap();
        let with_ctx = Options::new().wait_ctx(ctx);
        let job = paused(with_ctx.start(pause).unwrap());
        drop(with_ctx);
        panic_of(|| job.resume());
        finished(start(|| ()));
    });
}
