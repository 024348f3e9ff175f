//! Processes and threads that end, fork, or run out of stack.

use std::ffi::{c_int, c_void};
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::{panic, ptr};

use crate::api::*;
use crate::common::{self, errno::errno};
use crate::wait::number;

#[test]
fn a_child_may_start_jobs_whatever_other_threads_did_at_the_fork() {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // Takes new jobs and frees them, as often as it can.
            while !done.load(Ordering::Relaxed) {
                let (mut job, mut ret) = (ptr::null_mut(), 0);
                // SAFETY: a new job.
                unsafe { ASYNC_start_job(&mut job, NO_CTX, &mut ret, Some(nothing), NO_ARGS, 0) };
                ASYNC_cleanup_thread();
            }
        });
        let forks = panic::catch_unwind(|| {
            for _ in 0..25 {
                common::passes(|| {
                    let mut jobs: Vec<Job> = (0..3).map(Job::paused).collect();
                    jobs.iter_mut().for_each(|job| _ = job.finish());
                    cleanup_thread();
                });
            }
        });
        done.store(true, Ordering::Relaxed);
        forks.unwrap();
    });
}

unsafe extern "C-unwind" fn nothing(_: *mut c_void) -> c_int {
    0
}

#[test]
fn in_a_child_the_jobs_of_other_threads_are_refused() {
    let (tell, told) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    let owner = thread::spawn(move || {
        let mut job = Job::paused(5);
        tell.send(job.handle.addr()).unwrap();
        ended.recv().unwrap_err();
        job.finish()
    });
    let handle = told.recv().unwrap();
    common::passes(|| {
        let mut job = Job::new();
        job.handle = number(handle).cast();
        assert_eq!(job.resume(), Err);
        assert_raised(INTERNAL);
    });
    drop(end);
    assert_eq!(owner.join().unwrap(), 5);
}

#[test]
fn in_a_child_new_threads_do_not_inherit_the_jobs_of_lost_ones() {
    let (tell, told) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    let owner = thread::spawn(move || {
        let mut job = Job::paused(5);
        tell.send(job.handle.addr()).unwrap();
        ended.recv().unwrap_err();
        job.finish()
    });
    let handle = told.recv().unwrap();
    common::passes(|| {
        // The C library gives its first thread the memory of one that is gone.
        on_a_thread(move || {
            let mut job = Job::new();
            job.handle = number(handle).cast();
            assert_eq!(job.resume(), Err);
        });
    });
    drop(end);
    assert_eq!(owner.join().unwrap(), 5);
}

#[cfg(unix)]
/// The signals that this thread blocks.
fn mask() -> Vec<c_int> {
    // SAFETY: zero is a valid set.
    let mut set = unsafe { std::mem::zeroed() };
    // SAFETY: no new set, a place for the present one.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, ptr::null(), &mut set) };
    // SAFETY: a set, and the numbers of signals.
    (1..32).filter(|&signal| unsafe { libc::sigismember(&set, signal) } == 1).collect()
}

#[cfg(unix)]
fn change_mask(how: c_int, signal: c_int) {
    // SAFETY: zero is a valid set.
    let mut set = unsafe { std::mem::zeroed() };
    // SAFETY: a set, and the number of a signal.
    unsafe { libc::sigaddset(&mut set, signal) };
    // SAFETY: a set, no place for the present one.
    unsafe { libc::pthread_sigmask(how, &set, ptr::null_mut()) };
}

#[cfg(unix)]
#[test]
fn the_signal_mask_is_the_threads_alone() {
    on_a_thread(|| {
        init(2, 2);
        change_mask(libc::SIG_BLOCK, libc::SIGUSR1); // later than the jobs were made
        let mut job = Job::new();
        job.start(|| {
            assert_eq!(mask(), [libc::SIGUSR1]);
            change_mask(libc::SIG_BLOCK, libc::SIGUSR2);
            pause();
            assert_eq!(mask(), [libc::SIGUSR2]);
            0
        });
        assert_eq!(mask(), [libc::SIGUSR1, libc::SIGUSR2]);
        change_mask(libc::SIG_UNBLOCK, libc::SIGUSR1);
        job.finish();
        assert_eq!(mask(), [libc::SIGUSR2]);
    });
}

unsafe extern "C" {
    safe fn fesetround(mode: c_int) -> c_int;
}

/// Each architecture has its own number for this mode.
fn round_up() {
    let found = [0x800, 0x40_0000, 2, 3].into_iter().find(|mode| {
        let known = fesetround(*mode) == 0;
        known && rounds_up()
    });
    assert!(found.is_some());
}

fn rounds_up() -> bool {
    black_box(1.0) + black_box(1e-30) > black_box(1.0)
}

#[test]
fn fp_control_words_are_the_threads_alone() {
    on_a_thread(|| {
        init(2, 2);
        round_up(); // later than the jobs were made
        let mut job = Job::new();
        job.start(|| {
            assert!(rounds_up());
            fesetround(0);
            pause();
            assert!(rounds_up());
            0
        });
        assert!(!rounds_up());
        round_up();
        job.finish();
        assert!(rounds_up());
    });
}

#[test]
fn sidings_own_work_keeps_errno() {
    on_a_thread(|| {
        let mut ret = 0;
        let mut jobs = [ptr::null_mut(); 100];
        // SAFETY: this thread's.
        unsafe { *errno() = 71 };
        ASYNC_init_thread(200, 20);
        for _ in 0..2 {
            for job in &mut jobs {
                // SAFETY: a new job, then a paused one.
                unsafe { ASYNC_start_job(job, NO_CTX, &mut ret, Some(pauses), NO_ARGS, 0) };
            }
        }
        ASYNC_cleanup_thread();
        // SAFETY: this thread's.
        assert_eq!(unsafe { *errno() }, 71);
    });
}

unsafe extern "C-unwind" fn pauses(_: *mut c_void) -> c_int {
    ASYNC_pause_job()
}

/// Has a frame of 200 KiB, and writes to every page of it.
fn use_large_frame() -> c_int {
    let mut frame = MaybeUninit::<[u8; 200 << 10]>::uninit();
    let bytes = black_box(frame.as_mut_ptr().cast::<u8>());
    for at in (0..200 << 10).step_by(1024) {
        let byte = bytes.wrapping_add(at);
        // SAFETY: within the frame.
        unsafe { byte.write_volatile(1) };
    }
    5
}

/// Uses so much stack, all of it.
fn use_stack(kib: usize) -> u8 {
    let page = black_box([1_u8; 1024]);
    if kib == 0 { page[5] } else { use_stack(kib - 1) + black_box(page)[7] / 2 }
}

#[test]
fn a_job_has_room_for_large_frames() {
    assert_eq!(Job::new().start(use_large_frame), Finish);
}

#[test]
fn a_job_that_needs_too_much_stack_dies_at_its_guard() {
    let mut neighbour = Job::new();
    neighbour.start(|| {
        let locals = black_box([5_u8; 4096]);
        pause();
        c_int::from(black_box(locals)[4000])
    });
    common::dies_by(libc::SIGSEGV, || {
        Job::new().start(|| c_int::from(black_box(use_stack(4096))));
    });
    assert_eq!(neighbour.finish(), 5);
}
