//! What a job leaves on its stack is found nowhere when it was to be wiped: not in this
//! process, nor in a core dump or a child, where that was asked for.
#![allow(unsafe_code, reason = "forks, and looks at all memory")]

use std::fs::{self, File};
use std::hint::black_box;
use std::os::unix::fs::FileExt;

use crate::common;
use siding::coroutine::Coroutine;
use siding::job::{self, CancelMode, Job, Options, Progress};
use siding::scheduler::{Scheduler, park};
use siding::stack::{PooledStack, StackConfig, StackError};

/// A key is words of its owner's; each is only ever put together inside a job.
#[derive(Clone, Copy)]
struct Key(usize);

/// At least what `mincore` counts in.
const PAGE: usize = 4096;

const MASK: usize = 0x5bd1_e995_7f4a_7c15_u64 as usize;

impl Key {
    /// How many of these words are the key's.
    fn count(self, words: &[usize]) -> usize {
        let mask = black_box(MASK);
        let (mut count, mut at) = (0, 0);
        // Not an iterator: unoptimized and emulated, this takes most of the time.
        while at < words.len() {
            count += usize::from(words[at] ^ mask == self.0);
            at += 1;
        }
        count
    }
}

/// Leaves the key in frames down to 32 KiB below.
#[inline(never)]
fn handle(key: Key, depth: usize) -> usize {
    let mut words = [0_usize; 64];
    for word in &mut words {
        // SAFETY: a local variable.
        unsafe { (&raw mut *word).write_volatile(key.0 ^ black_box(MASK)) };
    }
    if depth == 0 { black_box(words).len() } else { handle(key, depth - 1) + 1 }
}

fn use_key(key: Key) {
    black_box(handle(key, 50));
}

/// How many words of the key are in the writable memory of this process.
fn found(key: Key) -> usize {
    let memory = File::open("/proc/self/mem").unwrap();
    let mut page = [0_usize; PAGE / size_of::<usize>()];
    let mut count = 0;
    for line in fs::read_to_string("/proc/self/maps").unwrap().lines() {
        let mut fields = line.split([' ', '-']);
        let mut next = || usize::from_str_radix(fields.next().unwrap(), 16).unwrap();
        let (start, end) = (next(), next());
        if !fields.next().unwrap().starts_with("rw") {
            continue;
        }
        let mut resident = vec![0_u8; (end - start) / PAGE];
        let first = std::ptr::without_provenance_mut(start);
        // SAFETY: a byte for each page.
        unsafe { libc::mincore(first, end - start, resident.as_mut_ptr()) };
        for (n, _) in resident.iter().enumerate().filter(|(_, resident)| **resident & 1 == 1) {
            // Guards cannot be read. (This array is empty when its own turn comes.)
            let at = (start + n * PAGE) as u64;
            // SAFETY: any bytes are words.
            let bytes = unsafe { page.align_to_mut::<u8>() }.1;
            if memory.read_exact_at(bytes, at).is_ok() {
                count += key.count(&page);
            }
            page.fill(0);
        }
    }
    count
}

fn paused(options: &Options, key: Key) -> Job<()> {
    let body = move || {
        use_key(key);
        let _ = job::pause();
        use_key(key);
    };
    match options.start(body) {
        Ok(Progress::Paused(job)) => job,
        _ => panic!("it pauses"),
    }
}

/// Ways for a job to end.
const ENDS: [fn(&Options, Key); 6] = [
    |options, key| _ = options.start(move || use_key(key)).unwrap(),
    |options, key| _ = paused(options, key).resume(),
    |options, key| paused(&options.clone().cancel_mode(CancelMode::Unwind), key).cancel(),
    |options, key| paused(&options.clone().cancel_mode(CancelMode::Return), key).cancel(),
    |options, key| {
        let options = options.clone();
        let panics = move || {
            let _ = options.start(move || {
                use_key(key);
                panic!("on purpose");
            });
        };
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).unwrap_err();
    },
    |options, key| {
        let scheduler = Scheduler::new().unwrap();
        let body = move || (use_key(key), park().is_ok()).1;
        scheduler.spawn_with(options, body).unwrap();
        scheduler.turn(Some(std::time::Duration::ZERO)).unwrap();
        drop(scheduler);
    },
];

#[test]
fn a_key_of_a_job_that_was_to_be_wiped_is_nowhere_however_the_job_has_ended() {
    for (n, end) in ENDS.into_iter().enumerate() {
        common::passes(move || {
            let (kept, wiped) = (Key(1 << n), Key(3 << n | 1 << 20));
            end(&Options::new(), kept);
            assert!(found(kept) > 1000, "this search finds nothing: {n}");
            end(&Options::new().wipe(true), wiped);
            assert_eq!(found(wiped), 0, "{n}");
        });
    }
}

/// While others run, and on stacks that go back to the system or to another thread.
#[test]
fn so_it_is_for_many_jobs_and_for_stacks_of_all_kinds() {
    common::passes(|| {
        let key = Key(77);
        let small = StackConfig::with_size(128 << 10);
        for config in [StackConfig::DEFAULT, small, small.core_dump(true)] {
            let options = Options::new().wipe(true).stack(config);
            let mut jobs: Vec<_> = (0..20).map(|_| paused(&options, key)).collect();
            assert!(found(key) > 20 * 1000);
            jobs.drain(10..).for_each(Job::cancel);
            jobs.into_iter().for_each(|job| _ = job.resume());
            assert_eq!(found(key), 0);
        }
        std::thread::spawn(move || ENDS[0](&Options::new().wipe(true), key)).join().unwrap();
        assert_eq!(found(key), 0);
    });
}

#[cfg(feature = "capi")]
mod c {
    use std::ffi::{c_int, c_uint, c_void};
    use std::ptr;

    use super::*;

    type Function = unsafe extern "C" fn(*mut c_void) -> c_int;

    unsafe extern "C" {
        fn ASYNC_start_job(
            job: *mut *mut c_void,
            ctx: *mut c_void,
            ret: *mut c_int,
            func: Option<Function>,
            args: *mut c_void,
            size: usize,
        ) -> c_int;
        safe fn ASYNC_pause_job() -> c_int;
        safe fn siding_set_job_options(stack: usize, guard: usize, flags: c_uint) -> c_int;
        fn siding_job_cancel(
            job: *mut c_void,
            mode: c_int,
            ended: *const c_void,
            arg: *mut c_void,
        ) -> c_int;
    }

    unsafe extern "C" fn body(args: *mut c_void) -> c_int {
        // SAFETY: a copy of a key.
        let key = unsafe { args.cast::<Key>().read() };
        use_key(key);
        ASYNC_pause_job();
        0
    }

    fn start(job: &mut *mut c_void, key: &mut Key) -> c_int {
        let (mut ret, size) = (0, size_of::<Key>());
        let args = ptr::from_mut(key).cast();
        let ctx = ptr::null_mut();
        // SAFETY: all pointers are good for the call.
        unsafe { ASYNC_start_job(job, ctx, &mut ret, Some(body), args, size) }
    }

    #[test]
    fn a_key_of_a_c_job_that_was_to_be_wiped_is_nowhere() {
        common::passes(|| {
            const PAUSE: c_int = 2;
            const FINISH: c_int = 3;
            for (wipe, mut key) in [(0, Key(5)), (1, Key(6))] {
                assert_eq!(siding_set_job_options(0, 0, wipe), 1);
                let mut jobs = [ptr::null_mut(); 2];
                assert!(jobs.iter_mut().all(|job| start(job, &mut key) == PAUSE));
                assert_eq!(start(&mut jobs[0], &mut key), FINISH);
                // SAFETY: a paused job.
                let cancelled =
                    unsafe { siding_job_cancel(jobs[1], 2, ptr::null(), ptr::null_mut()) };
                assert_eq!(cancelled, 1);
                assert_eq!(found(key) == 0, wipe == 1);
            }
        });
    }
}

/// Of a job that is paused when the process forks.
#[test]
fn a_key_on_a_stack_that_is_wiped_on_fork_is_not_in_the_child() {
    let config = StackConfig::DEFAULT.wipe_on_fork(true);
    if let Err(StackError::WipeOnFork(_)) = PooledStack::new(config) {
        // An emulator that ignores advice: refused, not forgotten.
        assert!(!crate::stack::kernel_heeds_advice());
        return;
    }
    common::passes(|| {
        let (shown, hidden) = (Key(8), Key(9));
        let kept = paused(&Options::new(), shown);
        let wiped = paused(&Options::new().stack(config), hidden);
        let suspended = Coroutine::with_stack(PooledStack::new(config).unwrap(), |yielder, ()| {
            use_key(Key(9));
            yielder.suspend(());
        });
        let mut suspended = suspended.unwrap();
        suspended.resume(());
        assert!(found(shown) > 1000 && found(hidden) > 2000);
        common::passes(|| {
            assert!(found(shown) > 1000);
            assert_eq!(found(hidden), 0);
            // What does not lie on such a stack goes on, and new jobs can be had there.
            let again = paused(&Options::new().stack(config), hidden);
            assert!(found(hidden) > 1000);
            std::mem::forget(again);
        });
        drop(suspended);
        kept.cancel();
        wiped.cancel();
    });
}

/// By gdb's `gcore`, which leaves out what the kernel would (`ci/faults.sh` has it installed).
#[cfg(siding_faults)]
#[test]
fn a_key_of_a_paused_job_is_not_in_a_core_dump_unless_the_stack_is_to_be_shown() {
    let (shown, hidden) = (Key(10), Key(11));
    // Whose guards are no part of the same mapping: gdb gives those up that it cannot read.
    let apart = StackConfig::DEFAULT.wipe_on_fork(true);
    let stacks = [(apart.core_dump(true), shown), (apart, hidden), (StackConfig::DEFAULT, hidden)];
    let name = std::env::temp_dir().join(format!("siding-{}", std::process::id()));
    let (mut reader, writer) = std::io::pipe().unwrap();
    // SAFETY: the child runs jobs and sleeps, for gdb to stop it.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let jobs = stacks.map(|(stack, key)| paused(&Options::new().stack(stack), key));
        // Vector registers that copied the key are in a dump, too, and not what this is about.
        use_key(Key(MASK)); // all zero
        std::io::Write::write_all(&mut &writer, b"x").unwrap();
        // SAFETY: no preconditions.
        unsafe { libc::sleep(60) };
        drop(jobs);
        // SAFETY: no preconditions.
        unsafe { libc::_exit(0) };
    }
    std::io::Read::read_exact(&mut reader, &mut [0]).unwrap();
    let mut gcore = std::process::Command::new("gcore");
    let output = gcore.arg("-o").arg(&name).arg(child.to_string()).output();
    // SAFETY: our child.
    assert_eq!(unsafe { libc::kill(child, libc::SIGKILL) }, 0);
    // SAFETY: a place for nothing.
    unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    let output = output.expect("gdb has to be installed");
    let core = format!("{}.{child}", name.display());
    let bytes = fs::read(&core).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    fs::remove_file(core).unwrap();
    let words = bytes.chunks_exact(size_of::<usize>());
    let words: Vec<_> = words.map(|word| usize::from_ne_bytes(word.try_into().unwrap())).collect();
    assert!(shown.count(&words) > 1000, "it is no core dump: {output:?}");
    assert_eq!(hidden.count(&words), 0);
}
