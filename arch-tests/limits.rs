//! The system gives no more, interrupts, forbids or sets the clock: whoever can act learns
//! of it, nothing is lost, and the rest goes on.
#![allow(unsafe_code, reason = "sets limits, in children")]

mod clock;
mod heap;
pub mod seccomp;

use std::fs;
use std::io::{self, Read, Write};
use std::mem;
use std::os::unix::net::UnixStream;
use std::ptr;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use crate::common;
use siding::job::{self, Job, Options, Progress, StartError, WaitCtx, WaitError};
use siding::offload::{OffloadError, Workers, offload};
use siding::scheduler::{Interest, Scheduler, sleep, wait_fd, yield_now};
use siding::stack::{StackConfig, StackError};

#[derive(Clone, Copy)]
enum Resource {
    Descriptors,
    Threads,
    Memory,
}

/// Sets the soft limit.
fn limit(resource: Resource, to: libc::rlim_t) {
    // Each C library has a type of its own for them.
    let resource = match resource {
        Resource::Descriptors => libc::RLIMIT_NOFILE,
        Resource::Threads => libc::RLIMIT_NPROC,
        Resource::Memory => libc::RLIMIT_AS,
    };
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: fills the struct.
    assert_eq!(unsafe { libc::getrlimit(resource, &raw mut limit) }, 0);
    limit.rlim_cur = to.min(limit.rlim_max);
    // SAFETY: reads the struct.
    assert_eq!(unsafe { libc::setrlimit(resource, &raw const limit) }, 0);
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("procfs").count()
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").expect("procfs").count()
}

/// Waits until threads that have been told to end are gone.
fn threads_become(expected: usize) {
    let begin = Instant::now();
    while threads() != expected {
        assert!(begin.elapsed() < Duration::from_secs(20), "{} threads", threads());
        thread::yield_now();
    }
}

/// Jobs of all sorts end as they should.
fn all_is_well() {
    let scheduler = Scheduler::new().unwrap();
    let (reader, mut writer) = UnixStream::pair().unwrap();
    let reads = scheduler.spawn(move || wait_fd(&reader, Interest::Readable, None).is_ok());
    let sleeps = scheduler.spawn(|| sleep(Duration::from_millis(2)).is_ok()).unwrap();
    let writes = scheduler.spawn(move || writer.write_all(b"x").is_ok()).unwrap();
    scheduler.run().unwrap();
    assert!(reads.unwrap().join().unwrap() && sleeps.join().unwrap() && writes.join().unwrap());
}

pub fn paused_job() -> Result<Job<bool>, StartError> {
    match job::start(|| job::pause().is_ok()) {
        Ok(Progress::Paused(job)) => Ok(job),
        Ok(Progress::Finished(_)) => panic!("it pauses"),
        Err(refused) => Err(refused.error),
    }
}

mod descriptors {
    use super::*;

    /// At each number of them, up to what is needed.
    fn until_there_are_enough(mut attempt: impl FnMut() -> io::Result<()>) {
        let open = descriptors();
        // SAFETY: no preconditions.
        let next = unsafe { libc::dup(0) };
        // SAFETY: just opened.
        assert_eq!(unsafe { libc::close(next) }, 0);
        for spare in 0.. {
            assert!(spare < 20, "never enough");
            limit(Resource::Descriptors, (next + spare) as libc::rlim_t);
            let result = attempt();
            limit(Resource::Descriptors, 200);
            match result {
                Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EMFILE), "{error}"),
                Ok(()) => return assert!(spare > 0, "none is needed"),
            }
            assert!(descriptors() <= open + 1, "only an inbox is kept");
        }
    }

    #[test]
    fn a_scheduler_that_has_too_few_is_an_error() {
        common::passes(|| {
            until_there_are_enough(|| Scheduler::new().map(drop));
            all_is_well();
        });
    }

    #[test]
    fn offloading_by_a_wait_context_without_one_is_an_error_and_gives_the_closure_back() {
        common::passes(|| {
            let workers = Rc::new(Workers::new(1).unwrap());
            until_there_are_enough(|| {
                let workers = Rc::clone(&workers);
                let body = move || match workers.offload(|| ()) {
                    Err(refused) => (refused.error, refused.closure.is_some()),
                    Ok(()) => panic!("cancelled meanwhile"),
                };
                match Options::new().wait_ctx(WaitCtx::new()).start(body).unwrap() {
                    Progress::Finished((OffloadError::Wait(WaitError::Io(error)), true)) => {
                        Err(error)
                    }
                    Progress::Finished((error, _)) => panic!("{error}"),
                    Progress::Paused(_) => Ok(()),
                }
            });
        });
    }

    #[test]
    fn stacks_and_jobs_need_none() {
        common::passes(|| {
            limit(Resource::Descriptors, 0);
            // How guards are made cannot be found out then, so they are made the sure way.
            let job = paused_job().unwrap();
            assert!(matches!(job.resume(), Progress::Finished(true)));
        });
    }
}

#[test]
fn without_a_thread_for_each_worker_there_are_none_and_closures_come_back() {
    common::passes(|| {
        const WORKERS: usize = 4;
        // SAFETY: no preconditions. A user of our own, if we may: limits count all processes.
        let own = unsafe { libc::setuid(54_321) } == 0;
        let before = threads();
        let (mut refused, mut most) = (0, 0);
        while let Err(error) = {
            limit(Resource::Threads, most);
            Workers::new(WORKERS)
        } {
            assert_eq!(error.raw_os_error(), Some(libc::EAGAIN), "{error}");
            threads_become(before);
            let scheduler = Scheduler::new().unwrap();
            let body = || offload(|| 3).map_err(|refused| (refused.error, refused.closure));
            let job = scheduler.spawn(body).unwrap();
            scheduler.run().unwrap();
            // The shared workers are as many as there are processors, perhaps fewer.
            match job.join().unwrap() {
                Err((OffloadError::Threads(_), Some(closure))) => assert_eq!(closure(), 3),
                Err((error, _)) => panic!("{error}"),
                Ok(_) => break,
            }
            refused += 1;
            most = if own { most + 1 } else { libc::RLIM_INFINITY };
        }
        assert!(refused > 0, "there was no limit");
        limit(Resource::Threads, libc::RLIM_INFINITY);
        let scheduler = Scheduler::new().unwrap();
        let job = scheduler.spawn(|| offload(|| 3).unwrap()).unwrap();
        scheduler.run().unwrap();
        assert_eq!(job.join().unwrap(), 3);
    });
}

mod memory {
    use super::*;

    fn as_many_as_possible() -> (Vec<Job<bool>>, StartError) {
        let mut jobs = Vec::with_capacity(10_000);
        loop {
            match paused_job() {
                Ok(job) => jobs.push(job),
                Err(error) => return (jobs, error),
            }
        }
    }

    #[test]
    fn without_address_space_there_are_no_more_jobs_and_those_there_are_go_on() {
        common::passes(|| {
            let status = fs::read_to_string("/proc/self/statm").unwrap();
            let pages: u64 = status.split(' ').next().unwrap().parse().unwrap();
            // SAFETY: no preconditions.
            let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as u64;
            limit(Resource::Memory, (pages * page + (64 << 20)) as libc::rlim_t);
            let (mut jobs, error) = as_many_as_possible();
            let StartError::Stack(StackError::Map(error)) = error else { panic!("{error}") };
            // The kernel's refusal or the heap's, whichever came first.
            assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
            assert!(jobs.len() > 100, "{}", jobs.len());
            // The place of one is enough for another, ...
            let last = jobs.pop().unwrap();
            assert!(matches!(last.resume(), Progress::Finished(true)));
            jobs.push(paused_job().unwrap());
            assert!(paused_job().is_err());
            // ... and all go on.
            assert!(jobs.into_iter().all(|job| matches!(job.resume(), Progress::Finished(true))));
        });
    }

    /// Others have used up what the kernel allows: siding's own budget does not help.
    #[test]
    fn without_mappings_there_are_no_jobs_until_some_are_given_back() {
        common::passes(|| {
            paused_job().unwrap(); // and the pool and its first slab
            let page = 4096;
            let size = 80_000 * 2 * page;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            // SAFETY: a fresh mapping.
            let map = unsafe { libc::mmap(ptr::null_mut(), size, libc::PROT_NONE, flags, -1, 0) };
            assert_ne!(map, libc::MAP_FAILED);
            let exhausted = (0..80_000).any(|n| {
                let at = map.wrapping_byte_add(2 * n * page);
                // SAFETY: a page of it.
                unsafe { libc::mprotect(at, page, libc::PROT_READ) != 0 }
            });
            // What cannot be split can still be added to, a little.
            let one_more = |n: usize| {
                let protection = [libc::PROT_NONE, libc::PROT_READ][n % 2];
                // SAFETY: a fresh mapping.
                unsafe { libc::mmap(ptr::null_mut(), page, protection, flags, -1, 0) }
            };
            let more = (0..1000).map(one_more).take_while(|at| *at != libc::MAP_FAILED).count();
            // Some systems allow a billion.
            if exhausted {
                let config = StackConfig::with_size(48 << 10);
                let start = || Options::new().stack(config).start(|| ()).map(drop);
                let error = start().unwrap_err().error;
                let StartError::Stack(StackError::Map(error) | StackError::Guard(error)) = error
                else {
                    panic!("{error}")
                };
                assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
                assert!(more < 1000);
                // SAFETY: nobody uses it.
                assert_eq!(unsafe { libc::munmap(map, size) }, 0);
                start().unwrap();
            }
        });
    }
}

/// A signal every half millisecond, whose handler does not have system calls restarted.
#[test]
fn system_calls_that_are_interrupted_all_the_time_change_nothing() {
    static SIGNALS: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn count(_: libc::c_int) {
        SIGNALS.fetch_add(1, Relaxed);
    }
    common::passes(|| {
        // SAFETY: all zero is a valid value.
        let mut action: libc::sigaction = unsafe { mem::zeroed() };
        action.sa_sigaction = count as *const () as usize;
        // SAFETY: an async-signal-safe handler.
        assert_eq!(unsafe { libc::sigaction(libc::SIGPROF, &action, ptr::null_mut()) }, 0);
        let me = std::process::id() as i32;
        let done = AtomicUsize::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                while done.load(Relaxed) == 0 {
                    // SAFETY: a signal that is handled.
                    unsafe { libc::kill(me, libc::SIGPROF) };
                    thread::sleep(Duration::from_micros(500));
                }
            });
            let mut rounds = 0;
            while rounds < 10 || SIGNALS.load(Relaxed) <= 10 {
                all_is_well();
                a_conversation();
                rounds += 1;
            }
            done.store(1, Relaxed);
        });
    });
}

/// A job reads what workers write after a while.
fn a_conversation() {
    let scheduler = Scheduler::new().unwrap();
    let (mut reader, mut writer) = UnixStream::pair().unwrap();
    let writes = scheduler.spawn(move || {
        for byte in 0..5 {
            let mut writer = writer.try_clone().unwrap();
            let written = offload(move || {
                thread::sleep(Duration::from_millis(1));
                writer.write_all(&[byte])
            });
            written.unwrap().unwrap();
        }
        writer.flush().unwrap();
    });
    let reads = scheduler.spawn(move || {
        let mut bytes = [9; 5];
        for byte in &mut bytes {
            wait_fd(&reader, Interest::Readable, None).unwrap();
            reader.read_exact(std::slice::from_mut(byte)).unwrap();
            yield_now().unwrap();
        }
        bytes
    });
    scheduler.run().unwrap();
    writes.unwrap().join().unwrap();
    assert_eq!(reads.unwrap().join().unwrap(), [0, 1, 2, 3, 4]);
}
