//! As in libcrypto 3.2 and later.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::api::*;
use crate::common::passes;

#[test]
fn mem_functions_can_be_set_until_a_stack_is_made() {
    passes(|| {
        assert_eq!(set(Some(alloc), Some(free)), 1);
        assert_eq!(set(Some(alloc), Some(free)), 1);
        on_a_thread(|| _ = Job::new().start(|| 1));
        let pair = get();
        assert_eq!(set(Some(other), None), 0);
        assert_eq!(set(None, None), 0);
        assert_eq!(get(), pair);
    });
}

unsafe extern "C" fn other(_: *mut usize) -> *mut c_void {
    ptr::null_mut()
}

#[test]
fn init_thread_makes_stacks_too() {
    passes(|| {
        init(1, 0);
        assert_eq!(set(Some(alloc), Some(free)), 1);
        init(1, 1);
        assert_eq!(set(Some(alloc), Some(free)), 0);
    });
}

#[test]
fn null_leaves_a_mem_function_as_it_is() {
    passes(|| {
        let (default_alloc, default_free) = get();
        assert_eq!((set(None, None), get()), (1, (default_alloc, default_free)));
        let mine = (alloc as *const () as usize, free as *const () as usize);
        assert_eq!((set(Some(alloc), None), get()), (1, (mine.0, default_free)));
        assert_eq!((set(None, Some(free)), get()), (1, mine));
    });
}

#[test]
fn alloc_says_how_large_the_stack_is() {
    with_books(|| {
        BOOKS.lock().unwrap().give = 2 << 20;
        let mut job = Job::new();
        let in_job = || {
            // More than the default, below the room for other frames.
            let mut frame = std::mem::MaybeUninit::<[u8; 1 << 20]>::uninit();
            let bytes = std::hint::black_box(frame.as_mut_ptr().cast::<u8>());
            // SAFETY: its lowest byte.
            unsafe { bytes.write_volatile(1) };
            c_int::from(BOOKS.lock().unwrap().live[0] < bytes.addr())
        };
        assert_eq!((job.start(in_job), job.ret), (Finish, 1));
        assert!(BOOKS.lock().unwrap().asked >= 32 << 10);
    });
}

#[test]
fn without_memory_for_a_stack_there_are_no_jobs() {
    with_books(|| {
        BOOKS.lock().unwrap().left = 1;
        let mut first = Job::paused(1);
        let mut second = Job::new();
        assert_eq!((second.start(|| 2), second.ret), (NoJobs, UNTOUCHED));
        assert!(second.handle.is_null());
        first.finish();
        assert_eq!(second.start(|| 2), Finish);
    });
}

#[test]
fn init_succeeds_with_fewer_jobs_than_asked_for() {
    with_books(|| {
        BOOKS.lock().unwrap().left = 3;
        assert_eq!(init(5, 5), 1);
        assert_eq!(BOOKS.lock().unwrap().allocated, 3);
        let mut jobs = [Job::paused(1), Job::paused(2), Job::paused(3)];
        assert_eq!(Job::new().start(|| 2), NoJobs);
        BOOKS.lock().unwrap().left = 2;
        assert_eq!(Job::new().start(|| 2), Finish);
        jobs.iter_mut().for_each(|job| _ = job.finish());
    });
}

#[test]
fn get_mem_functions_takes_null() {
    passes(|| {
        let (mut alloc, mut free) = (None, None);
        // SAFETY: NULL, or places to write to.
        unsafe { ASYNC_get_mem_functions(&mut alloc, ptr::null_mut()) };
        // SAFETY: as above.
        unsafe { ASYNC_get_mem_functions(ptr::null_mut(), &mut free) };
        // SAFETY: as above.
        unsafe { ASYNC_get_mem_functions(ptr::null_mut(), ptr::null_mut()) };
        assert_eq!(get(), (alloc.unwrap() as usize, free.unwrap() as usize));
    });
}

static DEFAULT: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];
static WRAPPED: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" fn wrap_alloc(num: *mut usize) -> *mut c_void {
    WRAPPED.fetch_add(1, Ordering::Relaxed);
    let default = DEFAULT[0].load(Ordering::Relaxed);
    // SAFETY: the test has put such a function there.
    let default = unsafe { std::mem::transmute::<usize, Alloc>(default) };
    // SAFETY: the caller's argument.
    unsafe { default(num) }
}

unsafe extern "C" fn wrap_free(addr: *mut c_void) {
    WRAPPED.fetch_sub(1, Ordering::Relaxed);
    let default = DEFAULT[1].load(Ordering::Relaxed);
    // SAFETY: the test has put such a function there.
    let default = unsafe { std::mem::transmute::<usize, Free>(default) };
    // SAFETY: the caller's argument.
    unsafe { default(addr) };
}

#[test]
fn the_default_mem_functions_can_be_wrapped() {
    passes(|| {
        let (alloc, free) = get();
        DEFAULT[0].store(alloc, Ordering::Relaxed);
        DEFAULT[1].store(free, Ordering::Relaxed);
        assert_eq!(set(Some(wrap_alloc), Some(wrap_free)), 1);
        on_a_thread(|| {
            let mut jobs: Vec<Job> = (0..5).map(Job::paused).collect();
            assert_eq!(WRAPPED.load(Ordering::Relaxed), 5);
            jobs.iter_mut().for_each(|job| _ = job.finish());
        });
        assert_eq!(WRAPPED.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn the_default_mem_functions_work_when_called() {
    passes(|| {
        let (alloc, free) = present();
        let mut size = 100_000;
        // SAFETY: a size.
        let bottom = unsafe { alloc(&mut size) }.cast::<u8>();
        assert!(!bottom.is_null() && size >= 100_000);
        // SAFETY: as much as that was allocated.
        unsafe { bottom.write_bytes(7, size) };
        // SAFETY: from `alloc`.
        unsafe { free(bottom.cast()) };
        // SAFETY: allowed.
        unsafe { free(ptr::null_mut()) };
    });
}

#[test]
fn a_thread_that_ends_frees_its_pool() {
    with_books(|| {
        on_a_thread(|| {
            init(10, 5);
            let mut jobs: Vec<Job> = (0..7).map(Job::paused).collect();
            jobs.iter_mut().for_each(|job| _ = job.finish());
        });
        let books = BOOKS.lock().unwrap();
        assert_eq!((books.allocated, books.live.len()), (7, 0));
    });
}
