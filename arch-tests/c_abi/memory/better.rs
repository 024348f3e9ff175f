//! Better than in libcrypto.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::{ptr, thread};

use super::*;
use crate::api::*;
use crate::common::passes;

#[test]
fn free_gets_what_alloc_has_given_once_and_never_null() {
    with_books(|| {
        on_a_thread(|| {
            for round in 0..3 {
                let mut jobs: Vec<Job> = (0..5).map(Job::paused).collect();
                jobs.iter_mut().for_each(|job| _ = job.finish());
                if round == 1 {
                    cleanup_thread();
                }
            }
            cleanup_thread();
            cleanup_thread();
        });
        // `with_books` has looked for anything else.
        let books = BOOKS.lock().unwrap();
        assert_eq!((books.allocated, books.freed, books.live.len()), (10, 10, 0));
    });
}

#[test]
fn a_stack_that_is_too_small_is_given_back() {
    with_books(|| {
        BOOKS.lock().unwrap().give = 1024;
        assert_eq!(Job::new().start(|| 1), NoJobs);
        let books = BOOKS.lock().unwrap();
        assert_eq!((books.allocated, books.freed), (1, 1));
    });
}

#[test]
fn options_make_no_stack_of_theirs_and_those_of_other_sizes_are_not() {
    unsafe extern "C" {
        fn siding_set_job_options(stack: usize, guard: usize, flags: u32) -> c_int;
    }
    // SAFETY: no preconditions.
    let options = |stack, flags| assert_eq!(unsafe { siding_set_job_options(stack, 0, flags) }, 1);
    passes(|| {
        const WIPE: u32 = 1;
        options(0, WIPE);
        options(512 << 10, 0);
        assert_eq!(set(Some(alloc), Some(free)), 1);
        for (size, is_ours) in [(512 << 10, false), (0, true)] {
            options(size, 0);
            assert_eq!(Job::new().start(|| 1), Finish);
            assert_eq!(BOOKS.lock().unwrap().allocated > 0, is_ours);
        }
    });
}

#[test]
fn a_stack_need_not_be_aligned() {
    with_books(|| {
        BOOKS.lock().unwrap().skew = 7;
        let mut job = Job::new();
        #[repr(align(16))]
        struct Aligned(u8);
        let code = job.start(|| {
            let local = std::hint::black_box(Aligned(5));
            pause_then(c_int::from(ptr::from_ref(&local).addr().is_multiple_of(16) && local.0 == 5))
        });
        assert_eq!((code, job.finish()), (Pause, 1));
    });
}

#[test]
fn a_pool_gives_memory_back() {
    with_books(|| {
        let mut jobs: Vec<Job> = (0..300).map(Job::paused).collect();
        jobs.iter_mut().for_each(|job| _ = job.finish());
        assert!(BOOKS.lock().unwrap().live.len() < 100);
        // And one that init has asked for is kept.
        init(200, 200);
        let live = |_| {
            jobs[..200].iter_mut().for_each(|job| _ = job.start(|| pause_then(1)));
            jobs[..200].iter_mut().for_each(|job| _ = job.finish());
            BOOKS.lock().unwrap().allocated
        };
        let counts: Vec<_> = (0..3).map(live).collect();
        assert!(counts.iter().all(|&count| count == counts[0]), "{counts:?}");
    });
}

#[test]
fn jobs_that_outlive_a_cleanup_are_freed_when_they_end() {
    with_books(|| {
        let mut jobs: Vec<Job> = (0..5).map(Job::paused).collect();
        cleanup_thread();
        assert_eq!(BOOKS.lock().unwrap().live.len(), 5);
        jobs.iter_mut().for_each(|job| _ = job.finish());
        assert_eq!(BOOKS.lock().unwrap().live.len(), 0);
    });
}

#[test]
fn a_cleanup_inside_a_job_frees_what_is_free_at_once() {
    with_books(|| {
        init(5, 5);
        let mut job = Job::new();
        job.start(|| {
            cleanup_thread();
            BOOKS.lock().unwrap().live.len() as c_int
        });
        assert_eq!(job.ret, 1);
        assert_eq!(BOOKS.lock().unwrap().live.len(), 0);
    });
}

#[test]
fn mem_functions_set_during_the_first_start_hold_for_it_or_not_at_all() {
    for round in 0..50 {
        passes(|| {
            let arrived = AtomicUsize::new(0);
            let meet = || {
                arrived.fetch_add(1, Ordering::Relaxed);
                while arrived.load(Ordering::Relaxed) < 2 {
                    thread::yield_now();
                }
                (0..round * 20).for_each(|_| std::hint::spin_loop());
            };
            let was_set = thread::scope(|scope| {
                let setter = scope.spawn(|| {
                    meet();
                    set(Some(alloc), Some(free)) == 1
                });
                meet();
                assert_eq!(Job::new().start(|| 1), Finish);
                setter.join().unwrap()
            });
            assert_eq!(BOOKS.lock().unwrap().allocated == 1, was_set);
        });
    }
}

#[cfg(unix)]
unsafe extern "C-unwind" {
    /// Unwinds, which the `libc` crate does not know.
    #[link_name = "pthread_exit"]
    fn exit_thread(value: *mut c_void) -> !;
}

#[cfg(unix)]
unsafe extern "C-unwind" fn exits_its_thread(_: *mut c_void) -> c_int {
    // SAFETY: the frames it passes are C's or have nothing to drop.
    unsafe { exit_thread(ptr::null_mut()) }
}

#[cfg(unix)]
unsafe extern "C-unwind" fn thread_with_such_a_job(_: *mut c_void) -> *mut c_void {
    let (mut job, mut ret) = (ptr::null_mut(), 0);
    // SAFETY: a new job.
    unsafe { ASYNC_start_job(&mut job, NO_CTX, &mut ret, Some(exits_its_thread), NO_ARGS, 0) };
    ptr::null_mut()
}

#[cfg(unix)]
#[test]
fn a_job_that_exits_its_thread_is_reclaimed() {
    with_books(|| {
        for _ in 0..3 {
            on_a_c_thread(thread_with_such_a_job);
        }
        let books = BOOKS.lock().unwrap();
        assert_eq!((books.allocated, books.live.len()), (3, 0));
    });
}
