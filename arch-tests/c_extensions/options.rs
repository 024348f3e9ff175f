//! What jobs are made of: stacks, wiping, measuring, state of their own; and the figures.

use std::ffi::c_int;
use std::hint::black_box;
use std::ptr;
use std::thread;

use super::api::*;
use super::common::{self, Ending, fork, fork_and_listen};

fn set(stack: usize, guard: usize, flags: u32) -> c_int {
    // SAFETY: no preconditions.
    unsafe { siding_set_job_options(stack, guard, flags) }
}

/// Options belong to a thread; so each test has one of its own.
fn on_a_thread(test: fn()) {
    thread::spawn(test).join().unwrap();
}

fn run(func: Function, arg: usize) -> c_int {
    let mut job = ptr::null_mut();
    loop {
        if let (FINISH, Some(ret)) = start(&mut job, ptr::null_mut(), func, arg) {
            return ret;
        }
    }
}

/// Writes a pattern over `arg` bytes of its stack; returns the low part of an address there.
#[inline(never)]
fn scribble(bytes: usize) -> usize {
    if bytes < 512 {
        return black_box(0);
    }
    let mut frame = [0xa5_u8; 512];
    black_box(&mut frame);
    scribble(bytes - 512) + usize::from(black_box(frame[0]) == 0)
}

unsafe extern "C" fn use_stack(args: Data) -> c_int {
    scribble(word(args)) as c_int
}

/// How many bytes of the pattern lie in the 64 KiB below this frame, in whole words.
unsafe extern "C" fn find_pattern(args: Data) -> c_int {
    let _ = word(args);
    let here = black_box(0_usize);
    let top = (&raw const here).addr();
    let words = (top - (64 << 10)..top).step_by(size_of::<usize>()).filter(|at| {
        // SAFETY: the job's own stack, below its frames.
        let word = unsafe { ptr::with_exposed_provenance::<usize>(*at).read_volatile() };
        // The pattern itself is on no frame of this search.
        word == !(usize::MAX / 0xff * 0x5a)
    });
    (words.count() * size_of::<usize>()) as c_int
}

#[test]
fn a_job_gets_the_stack_asked_for() {
    on_a_thread(|| {
        assert_eq!(set(1 << 20, 0, 0), 1);
        assert_eq!(run(use_stack, 500 << 10), 0);
        assert_eq!(set(0, 0, 0), 1);
        assert_eq!(run(use_stack, 100 << 10), 0);
    });
}

#[test]
fn what_cannot_be_had_is_refused_and_changes_nothing() {
    on_a_thread(|| {
        assert_eq!(set(1 << 20, 0, 0), 1);
        assert_eq!(set(16, 0, 0), 0);
        assert_eq!(set(usize::MAX, 0, 0), 0);
        assert_eq!(set(0, usize::MAX, 0), 0);
        assert_eq!(set(0, 0, 1 << 20), 0);
        assert_eq!(run(use_stack, 500 << 10), 0, "still a large stack");
    });
}

#[test]
fn the_used_part_of_a_stack_and_the_args_are_wiped() {
    on_a_thread(|| {
        assert_eq!(run(use_stack, 32 << 10), 0);
        assert!(run(find_pattern, 0) > 16 << 10, "without wiping it is all there");
        assert_eq!(set(0, 0, WIPE), 1);
        assert_eq!(run(use_stack, 32 << 10), 0);
        assert_eq!(run(find_pattern, 0), 0);
    });
}

/// Those too large for the job's stack are copied to the heap.
#[cfg(target_os = "linux")]
#[test]
fn large_args_are_wiped() {
    use std::os::unix::fs::FileExt;
    use std::sync::atomic::{AtomicUsize, Ordering};
    const PATTERN: u8 = 0x3c;
    static COPY: AtomicUsize = AtomicUsize::new(0);
    unsafe extern "C" fn note(args: Data) -> c_int {
        COPY.store(args.addr(), Ordering::Relaxed);
        0
    }
    /// How much of the copy is there when it has been freed. The kernel is asked: nobody else
    /// may read that.
    fn left() -> usize {
        let (args, mut job, mut ret) = ([PATTERN; 1000], ptr::null_mut(), 0);
        let from = args.as_ptr().cast_mut().cast();
        // SAFETY: valid pointers, and as many bytes.
        let code = unsafe {
            ASYNC_start_job(&mut job, ptr::null_mut(), &mut ret, Some(note), from, args.len())
        };
        assert_eq!(code, FINISH);
        let memory = std::fs::File::open("/proc/self/mem").unwrap();
        let mut copy = [0; 1000];
        // An allocator may have given the page back.
        let _ = memory.read_at(&mut copy, COPY.load(Ordering::Relaxed) as u64);
        copy.into_iter().filter(|&byte| byte == PATTERN).count()
    }
    on_a_thread(|| {
        if cfg!(target_env = "gnu") {
            assert!(left() > 500, "without wiping it is there");
        }
        assert_eq!(set(0, 0, WIPE), 1);
        // A byte of what the allocator writes there may look like one of them.
        assert!(left() < 50);
    });
}

#[test]
fn the_used_part_of_a_stack_is_measured() {
    unsafe extern "C" fn measured(args: Data) -> c_int {
        scribble(word(args)) as c_int
    }
    on_a_thread(|| {
        // SAFETY: only looked up.
        let mark = || unsafe { siding_high_water_mark(Some(measured)) };
        assert_eq!(run(use_stack, 100 << 10), 0); // what others left must not count
        assert_eq!(run(measured, 1 << 10), 0);
        assert_eq!(mark(), 0, "not asked for yet");
        assert_eq!(set(0, 0, HIGH_WATER_MARK), 1);
        assert_eq!(run(measured, 1 << 10), 0);
        let shallow = mark();
        assert_eq!(run(measured, 32 << 10), 0);
        let deep = mark();
        assert_eq!(run(measured, 1 << 10), 0);
        assert_eq!(mark(), deep);
        assert!((1 << 10..16 << 10).contains(&shallow), "{shallow}");
        assert!((32 << 10..80 << 10).contains(&deep), "{deep}");
    });
}

fn errno() -> &'static mut c_int {
    // SAFETY: this thread's.
    unsafe { &mut *common::errno::errno() }
}

#[test]
fn a_job_may_have_an_errno_of_its_own() {
    unsafe extern "C" fn look(_: Data) -> c_int {
        *errno() = 77;
        ASYNC_pause_job();
        let seen = *errno();
        *errno() = 78;
        seen
    }
    on_a_thread(|| {
        for (flags, expected) in [(0, 5), (ERRNO, 77)] {
            assert_eq!(set(0, 0, flags), 1);
            let mut job = paused(ptr::null_mut(), look, 0);
            *errno() = 5;
            assert_eq!(start(&mut job, ptr::null_mut(), look, 0), (FINISH, Some(expected)));
            assert_eq!(*errno(), 78, "out of the job at its end");
        }
    });
}

#[test]
fn and_none_that_a_job_before_it_had() {
    unsafe extern "C" fn leaves_one(_: Data) -> c_int {
        *errno() = 77;
        0
    }
    on_a_thread(|| {
        assert_eq!(set(0, 0, ERRNO), 1);
        assert_eq!(run(leaves_one, 0), 0);
        // By another way in, on the same stack.
        let options = siding::job::Options::new().save_fp_control(true);
        *errno() = 5;
        let Ok(siding::job::Progress::Finished(seen)) = options.start(|| *errno()) else {
            panic!("it does not pause")
        };
        assert_eq!(seen, 5);
    });
}

#[test]
fn a_job_may_have_fp_control_words_of_its_own() {
    unsafe extern "C" {
        safe fn fegetround() -> c_int;
        safe fn fesetround(mode: c_int) -> c_int;
    }
    // Nearest, down, up and towards zero, as <fenv.h> numbers them.
    const MODES: [c_int; 4] = if cfg!(any(target_arch = "x86_64", target_arch = "x86")) {
        [0, 0x400, 0x800, 0xc00]
    } else if cfg!(any(target_arch = "aarch64", target_arch = "arm")) {
        [0, 0x80_0000, 0x40_0000, 0xc0_0000]
    } else if cfg!(any(target_arch = "powerpc64", target_arch = "s390x")) {
        [0, 3, 2, 1]
    } else if cfg!(target_arch = "riscv64") {
        [0, 2, 3, 1]
    } else {
        panic!("which numbers has <fenv.h> for this architecture?")
    };
    fn rounding() -> c_int {
        MODES.iter().position(|mode| *mode == fegetround()).unwrap() as c_int
    }
    fn round(mode: usize) {
        assert_eq!(fesetround(MODES[mode]), 0);
    }
    unsafe extern "C" fn look(_: Data) -> c_int {
        round(3);
        ASYNC_pause_job();
        let seen = rounding();
        round(0);
        seen
    }
    on_a_thread(|| {
        for (flags, outside, inside) in [(0, 3, 2), (FP_CONTROL, 0, 3)] {
            assert_eq!(set(0, 0, flags), 1);
            let mut job = paused(ptr::null_mut(), look, 0);
            assert_eq!(rounding(), outside);
            round(2);
            assert_eq!(start(&mut job, ptr::null_mut(), look, 0), (FINISH, Some(inside)));
            round(0);
        }
    });
}

#[cfg(unix)]
#[test]
fn openssl_thread_stop_drops_the_pool() {
    on_a_thread(|| {
        assert_eq!(ASYNC_init_thread(4, 3), 1);
        assert_eq!((stats().pool, stats().pool_free), (3, 3));
        OPENSSL_thread_stop();
        assert_eq!((stats().pool, stats().pool_free), (0, 0));
        assert_eq!(run(pause_often, 0), 0);
    });
}

#[test]
fn refused_starts_are_counted_by_their_cause() {
    on_a_thread(|| {
        let before = stats();
        assert_eq!(ASYNC_init_thread(1, 0), 1);
        let mut job = paused(ptr::null_mut(), pause_often, 1);
        let mut other = ptr::null_mut();
        assert_eq!(start(&mut other, ptr::null_mut(), pause_often, 0), (NO_JOBS, None));
        assert_eq!(stats().refused_limit, before.refused_limit + 1);
        assert_eq!(stats().refused_stack, before.refused_stack);
        assert_eq!(start(&mut job, ptr::null_mut(), pause_often, 0).0, FINISH);
    });
    let ending = fork(|| {
        assert_eq!(ASYNC_init_thread(1 << 20, 0), 1);
        let before = stats();
        siding::stack::set_mapping_limit(1);
        let mut started = 0;
        while stats().refused_stack == before.refused_stack {
            // Some stacks of the last slab may be left.
            let mut job = ptr::null_mut();
            let (code, _) = start(&mut job, ptr::null_mut(), pause_often, 1);
            assert!(code == PAUSE || code == NO_JOBS);
            started += 1;
            assert!(started < 10_000);
        }
        assert_eq!(stats().refused_limit, before.refused_limit);
    });
    assert_eq!(ending, Ending::Exited(0));
}

#[test]
fn a_guard_hit_says_which_job_it_was() {
    let (ending, said) = fork_and_listen(|| {
        assert_eq!(siding_report_overflows(), 1);
        run(use_stack, 10 << 20);
    });
    assert_eq!(ending, Ending::Killed(libc::SIGSEGV));
    let function = format!("of the function {:#x}, ", use_stack as *const () as usize);
    assert!(said.contains("siding: stack overflow in a job"), "{said}");
    assert!(said.contains(&function), "{said}, not {function}");
}

#[test]
fn the_figures_follow_the_jobs() {
    on_a_thread(|| {
        let before = stats();
        let mut job = paused(ptr::null_mut(), pause_often, 1);
        let during = stats();
        assert_eq!((during.started, during.live), (before.started + 1, before.live + 1));
        assert_eq!((during.pool, during.pool_free), (1, 0));
        assert_eq!((before.paused, during.paused, stats().paused), (0, 1, 1));
        assert_eq!(start(&mut job, ptr::null_mut(), pause_often, 0).0, FINISH);
        assert_eq!((stats().live, stats().pool_free), (before.live, 1));
        ASYNC_cleanup_thread();
        assert_eq!((stats().pool, stats().pool_free), (0, 0));
    });
}

#[test]
fn figures_unknown_to_the_caller_are_not_written_and_unknown_to_us_are_zero() {
    let mut words = [u64::MAX; 20];
    // SAFETY: 160 bytes.
    assert_eq!(unsafe { siding_stats(words.as_mut_ptr().cast(), 8) }, 1);
    assert!(words[0] != u64::MAX && words[1..].iter().all(|word| *word == u64::MAX));
    // SAFETY: 160 bytes.
    assert_eq!(unsafe { siding_stats(words.as_mut_ptr().cast(), 160) }, 1);
    assert_eq!(words[size_of::<Stats>() / 8..], [0; 20 - size_of::<Stats>() / 8]);
    // SAFETY: NULL is an error.
    assert_eq!(unsafe { siding_stats(ptr::null_mut(), 8) }, 0);
}

#[test]
fn a_last_error_is_kept_without_libcrypto() {
    on_a_thread(|| {
        assert_eq!(siding_last_error(), 0);
        for (size, guard, flags) in [(16, 0, 0), (usize::MAX, 0, 0), (0, usize::MAX, 0), (0, 0, 99)]
        {
            assert_eq!(set(size, guard, flags), 0);
            assert_eq!(siding_last_error(), 51 << 23 | 0x80106);
            assert_eq!(siding_last_error(), 0);
        }
    });
}

#[test]
fn the_version_is_that_of_the_crate() {
    let [major, minor, patch] = ["MAJOR", "MINOR", "PATCH"].map(|part| {
        let digits = match part {
            "MAJOR" => env!("CARGO_PKG_VERSION_MAJOR"),
            "MINOR" => env!("CARGO_PKG_VERSION_MINOR"),
            _ => env!("CARGO_PKG_VERSION_PATCH"),
        };
        digits.parse::<u32>().unwrap()
    });
    assert_eq!(siding_version(), major << 16 | minor << 8 | patch);
}
