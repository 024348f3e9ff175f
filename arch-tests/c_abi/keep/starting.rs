//! Starting, resuming, finishing.

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::ptr;

use crate::api::*;
use crate::common;
use crate::wait::Ctx;

#[test]
fn a_function_that_does_not_pause_finishes() {
    let mut job = Job::new();
    assert_eq!(job.start(|| 42), Finish);
    assert_eq!((job.ret, job.handle.is_null()), (42, true));
}

#[test]
fn a_function_that_pauses_gives_a_handle() {
    let mut job = Job::new();
    assert_eq!(job.start(|| pause_then(42)), Pause);
    assert_eq!((job.ret, job.handle.is_null()), (UNTOUCHED, false));
    job.finish();
}

#[test]
fn a_resumed_job_pauses_again_under_the_same_handle() {
    let mut job = Job::new();
    job.start(|| {
        pause();
        pause_then(-1)
    });
    let handle = job.handle;
    assert_eq!(job.resume(), Pause);
    assert_eq!((job.ret, job.handle), (UNTOUCHED, handle));
    job.finish();
}

#[test]
fn a_resumed_job_finishes() {
    let mut job = Job::paused(-1);
    assert_eq!(job.resume(), Finish);
    assert_eq!((job.ret, job.handle.is_null()), (-1, true));
}

unsafe extern "C-unwind" fn pause_and_return_args(args: *mut c_void) -> c_int {
    pause();
    // SAFETY: started with an int.
    unsafe { *args.cast() }
}

unsafe extern "C-unwind" fn never(_: *mut c_void) -> c_int {
    panic!("must not run")
}

#[test]
fn what_is_given_to_a_resume_is_ignored() {
    let (first, other) = (Ctx::new(), Ctx::new());
    let mut job = Job::with(&first);
    let (mut one, mut two) = (1, 2);
    let args = ptr::from_mut(&mut one).cast();
    assert_eq!(job.start_function(Some(pause_and_return_args), args, 4), Pause);
    job.ctx = other.0;
    other.set(1, 10);
    first.set(1, 20);
    assert_eq!(job.start_function(Some(never), ptr::from_mut(&mut two).cast(), 4), Finish);
    assert_eq!(job.ret, 1);
    // And the first context is the one that was reset.
    assert_eq!((first.changed().0, other.changed().0), (vec![], vec![10]));
}

#[test]
fn the_result_goes_where_the_last_call_said() {
    let mut job = Job::paused(5);
    let mut elsewhere = UNTOUCHED;
    // SAFETY: a paused job, and a place for the result.
    let code = unsafe {
        start_job(&mut job.handle, ptr::null_mut(), &mut elsewhere, None, ptr::null_mut(), 0)
    };
    assert_eq!((code, job.ret, elsewhere), (Finish, UNTOUCHED, 5));
}

unsafe extern "C-unwind" fn is_null(args: *mut c_void) -> c_int {
    c_int::from(args.is_null())
}

#[test]
fn without_args_the_function_gets_null_whatever_the_size() {
    let mut job = Job::new();
    assert_eq!(job.start_function(Some(is_null), ptr::null_mut(), 100), Finish);
    assert_eq!(job.ret, 1);
}

#[test]
fn args_of_size_0_are_null() {
    let mut job = Job::new();
    let mut args = 1;
    assert_eq!(job.start_function(Some(is_null), ptr::from_mut(&mut args).cast(), 0), Finish);
    assert_eq!(job.ret, 1);
}

/// What C's `max_align_t` has, which the libc crate does not know everywhere.
const MAX_ALIGN: usize = if cfg!(any(target_arch = "arm", target_arch = "s390x")) { 8 } else { 16 };

/// Returns the sum of its bytes after a pause; or -1, if it is not aligned as by malloc.
unsafe extern "C-unwind" fn sum<const SIZE: usize>(args: *mut c_void) -> c_int {
    pause();
    // SAFETY: started with such an array.
    let bytes = unsafe { *args.cast::<[u8; SIZE]>() };
    let sum = bytes.iter().map(|&byte| c_int::from(byte)).sum();
    if args.addr().is_multiple_of(MAX_ALIGN) { sum } else { -1 }
}

fn args_are_copied<const SIZE: usize>() {
    let mut job = Job::new();
    let mut bytes = [3_u8; SIZE];
    let args = bytes.as_mut_ptr().cast();
    assert_eq!(job.start_function(Some(sum::<SIZE>), args, SIZE), Pause);
    bytes.fill(9);
    assert_eq!(job.finish(), 3 * SIZE as c_int);
}

#[test]
fn args_are_an_aligned_copy_of_the_jobs_own() {
    args_are_copied::<1>();
    args_are_copied::<40>();
    args_are_copied::<128>();
    args_are_copied::<129>();
    args_are_copied::<4096>();
}

#[test]
fn args_that_cannot_be_copied_are_an_error_and_cost_no_job() {
    on_a_thread(|| {
        init(1, 1);
        let mut job = Job::new();
        let args = ptr::from_mut(&mut job.ret).cast();
        assert_eq!(job.start_function(Some(never), args, usize::MAX), Err);
        assert_raised(MALLOC_FAILURE);
        assert!(job.handle.is_null());
        assert_eq!(job.start(|| 1), Finish);
    });
}

#[test]
fn at_the_limit_there_are_no_jobs_until_one_has_finished() {
    on_a_thread(|| {
        init(2, 0);
        let mut jobs = [Job::paused(1), Job::paused(2)];
        let mut third = Job::new();
        assert_eq!(third.start(|| 3), NoJobs);
        assert_eq!((third.ret, third.handle.is_null()), (UNTOUCHED, true));
        jobs[0].finish();
        assert_eq!(third.start(|| 3), Finish);
        jobs[1].finish();
    });
}

/// Goes on with a job, or starts one that pauses, and prints nothing.
fn quietly(handle: &mut *mut AsyncJob, ctx: &Ctx, ret: &mut c_int) -> c_int {
    unsafe extern "C-unwind" fn pauses(args: *mut c_void) -> c_int {
        ASYNC_pause_job();
        // SAFETY: started with an int.
        unsafe { *args.cast() }
    }
    let args = ptr::from_mut(ret).cast();
    // SAFETY: all of them are what the function expects.
    unsafe { ASYNC_start_job(handle, ctx.0, ret, Some(pauses), args, 4) }
}

/// In a child: the memory is gone with it.
#[test]
fn forty_thousand_jobs_are_paused_at_once() {
    common::passes(|| {
        let ctx = Ctx::leak();
        let start = |n: c_int| {
            let (mut handle, mut ret) = (ptr::null_mut(), n);
            (quietly(&mut handle, &ctx, &mut ret) == 2).then_some(handle)
        };
        let mut jobs: Vec<_> = (0..40_000).map_while(start).collect();
        // Guards by mprotect take mappings: then as many as those allow. With 32 bits there
        // are addresses for so many.
        if jobs.len() < 40_000 {
            assert!(!crate::guards_are_free() || usize::BITS == 32, "{} jobs", jobs.len());
            let least = if usize::BITS == 32 { 5_000 } else { 10_000 };
            assert!(jobs.len() > least, "{} jobs", jobs.len());
        }
        for (n, handle) in jobs.iter_mut().enumerate() {
            let mut ret = UNTOUCHED;
            assert_eq!((quietly(handle, &ctx, &mut ret), ret), (3, n as c_int));
        }
        assert_eq!(Job::new().start(|| 1), Finish);
    });
}

#[test]
fn a_stack_is_as_aligned_as_the_abi_asks() {
    #[repr(align(16))]
    struct Aligned(Cell<u8>);
    let body = || {
        let local = Aligned(Cell::new(0));
        pause();
        c_int::from(std::hint::black_box(&local).0.as_ptr().addr().is_multiple_of(MAX_ALIGN))
    };
    let mut job = Job::new();
    job.start(body);
    assert_eq!(job.finish(), 1);
}

#[test]
fn the_job_that_finished_last_is_reused_first() {
    on_a_thread(|| {
        let places = RefCell::new(vec![]);
        let note_place = || {
            let local = Cell::new(0);
            places.borrow_mut().push(std::hint::black_box(&local).as_ptr().addr());
            pause_then(1)
        };
        let start = || {
            let mut job = Job::new();
            job.start(note_place);
            job
        };
        let (mut a, mut b, mut c) = (start(), start(), start());
        c.finish();
        a.finish();
        b.finish();
        for mut job in [start(), start(), start()] {
            job.finish();
        }
        let places = places.borrow();
        assert_eq!(places[3..], [places[1], places[0], places[2]]);
    });
}
