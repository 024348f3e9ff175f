//! Every system call that siding makes itself fails, one after the other: whoever can act
//! learns of it, nothing is lost, and the next attempt works. (`ci/faults.sh`; what other
//! crates call for it is in `arch-tests/limits.rs`.)
#![allow(unsafe_code, reason = "the helpers fork")]

#[cfg(all(feature = "capi", feature = "future"))]
mod shadow_stack;

use std::error::Error;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::common;
use siding::fault::{Kind, Plan, injected};
use siding::job::{self, Options, Progress, WaitCtx};
use siding::offload::Workers;
use siding::scheduler::{Scheduler, sleep};
use siding::stack::{self, GuardMode, GuardedStack, PooledStack, StackConfig};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// What must be as before when a thread has ended.
#[derive(Debug, PartialEq)]
struct Holdings {
    descriptors: usize,
    slabs: usize,
    reserved: usize,
    mappings: usize,
}

fn holdings() -> Holdings {
    let stats = stack::stats();
    Holdings {
        descriptors: fs::read_dir("/proc/self/fd").unwrap().count(),
        slabs: stats.slabs,
        reserved: stats.reserved,
        mappings: stats.mappings,
    }
}

/// How often an operation was made to fail, and how often that was an error.
#[derive(Debug, PartialEq)]
struct Tally {
    fired: usize,
    errors: usize,
}

/// Has the first call of `kind` fail in the operation, then the second, and so on until it
/// makes no more; each alone, and with all later ones. Each time in a thread of its own, with
/// empty pools.
fn every_call_fails(kind: Kind, operation: fn() -> Result) -> Tally {
    let mut tally = Tally { fired: 0, errors: 0 };
    let first = holdings().descriptors;
    for on in [false, true] {
        for nth in 1.. {
            assert!(nth < 2000, "{kind:?} without an end");
            let plan = Plan { kind, nth, on, errno: libc::ENOMEM };
            let before = Holdings { descriptors: 0, ..holdings() };
            let (fired, failed) = thread::spawn(move || one_fails(plan, operation)).join().unwrap();
            assert_eq!(Holdings { descriptors: 0, ..holdings() }, before, "{plan:?}");
            // An inbox is kept for the next scheduler; a worker may be about to close an event.
            let begin = Instant::now();
            while holdings().descriptors > first + 1 {
                assert!(begin.elapsed() < Duration::from_secs(20), "{plan:?}: {:?}", holdings());
                thread::yield_now();
            }
            if !fired {
                break;
            }
            tally.fired += 1;
            tally.errors += usize::from(failed);
        }
    }
    tally
}

fn one_fails(plan: Plan, operation: fn() -> Result) -> (bool, bool) {
    let (result, fired) = injected(plan, || operation().map_err(|error| error.to_string()));
    if let Err(said) = &result {
        assert!(fired, "{said}");
        assert!(said.contains("os error 12") || said.contains("too many"), "{plan:?}: {said}");
    }
    operation().unwrap_or_else(|error| panic!("after {plan:?}: {error}"));
    (fired, result.is_err())
}

/// In a child that has made no stack before: what the kernel can do is asked for once.
fn in_child(kind: Kind, operation: fn() -> Result, judge: fn(Tally)) {
    common::passes(move || judge(every_call_fails(kind, operation)));
}

fn always_an_error(tally: Tally) {
    assert!(tally.fired > 0 && tally.fired == tally.errors, "{tally:?}");
}

/// There is another way.
fn never_an_error(tally: Tally) {
    assert!(tally.fired > 0 && tally.errors == 0, "{tally:?}");
}

fn sometimes_an_error(tally: Tally) {
    assert!(tally.fired > tally.errors && tally.errors > 0, "{tally:?}");
}

fn stack_of_its_own() -> Result {
    drop(GuardedStack::new(StackConfig::DEFAULT)?);
    Ok(())
}

fn pooled_stacks() -> Result {
    let stacks: std::result::Result<Vec<_>, _> =
        (0..40).map(|_| PooledStack::new(StackConfig::with_size(32 << 10))).collect();
    drop(stacks?);
    Ok(())
}

fn reserved_stacks() -> Result {
    stack::reserve(StackConfig::with_size(32 << 10), 100)?;
    assert_eq!(stack::stats().idle, 100);
    stack::set_pool_limit(0);
    Ok(())
}

/// Finishes, pauses, is cancelled and panics.
fn jobs() -> Result {
    let options = Options::new().wipe(true);
    let Progress::Paused(first) = options.start(job::pause)? else { panic!("it pauses") };
    let Progress::Finished(3) = options.start(|| 3)? else { panic!("it ends") };
    let Progress::Paused(second) = options.start(job::pause)? else { panic!("it pauses") };
    first.cancel();
    assert!(matches!(second.resume(), Progress::Finished(Ok(()))));
    Ok(())
}

fn scheduler() -> Result {
    let scheduler = Scheduler::new()?;
    let job = scheduler.spawn(|| sleep(Duration::from_millis(1)).is_ok())?;
    scheduler.run()?;
    assert!(job.join()?);
    Ok(())
}

/// An error in one job is not one of the others.
fn scheduler_with_some_jobs_that_cannot_be_had() -> Result {
    let scheduler = Scheduler::new()?;
    let jobs: Vec<_> =
        (0..40).map(|n| scheduler.spawn(move || (job::yield_now().is_ok(), n))).collect();
    scheduler.run()?;
    for (n, job) in jobs.into_iter().enumerate() {
        assert_eq!(job?.join()?.1, n);
    }
    Ok(())
}

fn offload_by_a_wait_context() -> Result {
    let workers = Workers::new(1)?;
    let body = move || workers.offload(|| 5).map_err(|refused| refused.error.to_string());
    let Progress::Paused(mut job) = (match Options::new().wait_ctx(WaitCtx::new()).start(body)? {
        Progress::Finished(result) => return Err(result.unwrap_err().into()),
        paused => paused,
    }) else {
        unreachable!()
    };
    loop {
        thread::yield_now();
        job = match job.resume() {
            Progress::Paused(job) => job,
            Progress::Finished(result) => {
                assert_eq!(result, Ok(5));
                return Ok(());
            }
        };
    }
}

mod stacks {
    use super::*;

    #[test]
    fn without_memory() {
        in_child(Kind::Map, stack_of_its_own, always_an_error);
    }

    /// While there is memory for fewer, fewer are made at a time.
    #[test]
    fn pooled_ones_without_memory() {
        in_child(Kind::Map, pooled_stacks, sometimes_an_error);
        in_child(Kind::Map, reserved_stacks, sometimes_an_error);
    }

    #[test]
    fn without_guards() {
        for kind in [Kind::Advise, Kind::AdviseMany, Kind::Protect] {
            for operation in [stack_of_its_own, pooled_stacks, reserved_stacks] {
                common::passes(move || {
                    let guarded_so = match stack::guard_mode() {
                        GuardMode::Madvise => Kind::Advise,
                        _ => Kind::Protect,
                    };
                    let tally = every_call_fails(kind, operation);
                    if kind == guarded_so {
                        // Not those that only give memory back, or keep it out of dumps.
                        assert!(tally.errors > 0, "{tally:?}");
                    } else {
                        assert_eq!(tally.errors, 0, "{kind:?}: {tally:?}");
                    }
                });
            }
        }
    }

    /// Then guards are made in the way that always works.
    #[test]
    fn where_the_kernel_cannot_be_asked() {
        for kind in [Kind::Map, Kind::Pipe, Kind::Advise] {
            common::passes(move || {
                let plan = Plan { kind, nth: 1, on: true, errno: libc::EMFILE };
                let (mode, fired) = injected(plan, stack::guard_mode);
                assert!(mode == GuardMode::Mprotect || !fired, "{kind:?}");
                jobs().unwrap();
            });
        }
    }

    #[test]
    fn what_was_asked_for_in_addition_is_had_or_an_error() {
        fn locked() -> Result {
            drop(PooledStack::new(StackConfig::DEFAULT.lock(true))?);
            Ok(())
        }
        fn wiped_on_fork() -> Result {
            drop(PooledStack::new(StackConfig::DEFAULT.wipe_on_fork(true))?);
            Ok(())
        }
        common::passes(|| {
            if locked().is_ok() {
                sometimes_an_error(every_call_fails(Kind::Lock, locked)); // fewer may do
            }
            if wiped_on_fork().is_ok() {
                sometimes_an_error(every_call_fails(Kind::Advise, wiped_on_fork));
            }
        });
    }
}

mod drivers {
    use super::*;

    #[test]
    fn jobs_without_memory() {
        in_child(Kind::Map, jobs, sometimes_an_error);
    }

    /// All of the stack is wiped then.
    #[test]
    fn jobs_that_are_wiped_without_knowing_what_they_used() {
        in_child(Kind::Resident, jobs, never_an_error);
    }

    #[test]
    fn schedulers_without_an_event() {
        in_child(Kind::EventFd, scheduler, always_an_error);
    }

    #[test]
    fn schedulers_whose_jobs_find_no_memory_or_guard() {
        let operation = scheduler_with_some_jobs_that_cannot_be_had;
        in_child(Kind::Map, operation, sometimes_an_error);
    }

    #[test]
    fn offloading_without_an_event() {
        in_child(Kind::EventFd, offload_by_a_wait_context, always_an_error);
    }

    #[test]
    fn reports_of_overflows() {
        fn report() -> Result {
            job::report_overflows()?;
            Ok(())
        }
        in_child(Kind::SigStack, report, |_| ()); // threads of Rust's have a stack
        common::passes(|| {
            for nth in [1, 2] {
                let plan = Plan { kind: Kind::SigAction, nth, on: false, errno: libc::ENOMEM };
                let (result, fired) = injected(plan, || report().is_err());
                assert!(result && fired, "{nth}");
            }
            report().unwrap();
        });
        let said = common::dies_by(libc::SIGSEGV, || {
            let plan = Plan { kind: Kind::SigAction, nth: 2, on: false, errno: libc::ENOMEM };
            assert!(injected(plan, || report().is_err()).0);
            report().unwrap();
            let _ = job::start(|| overflow(0));
        });
        assert!(said.contains("stack overflow in a job"), "{said}");
    }

    fn overflow(depth: usize) -> usize {
        let frame = std::hint::black_box([1_u8; 512]);
        if depth == usize::MAX { 0 } else { overflow(depth + 1) + usize::from(frame[0]) }
    }
}

/// Where a filter forbids system calls from the start (natively only).
mod sandbox {
    use super::*;
    use crate::limits::paused_job;
    use crate::limits::seccomp::{forbid, sandboxed};

    #[test]
    fn without_advice_guards_are_made_by_mprotect() {
        for errno in [libc::EPERM, libc::ENOSYS] {
            sandboxed(move || {
                forbid(&[libc::SYS_madvise, libc::SYS_process_madvise], errno);
                assert_eq!(stack::guard_mode(), GuardMode::Mprotect);
                let jobs: Vec<_> = (0..100).map(|_| paused_job().unwrap()).collect();
                assert!(
                    jobs.into_iter().all(|job| matches!(job.resume(), Progress::Finished(true)))
                );
            });
        }
    }
}
