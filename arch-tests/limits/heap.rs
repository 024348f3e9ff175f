//! The heap gives no more: whoever starts something gets an error, and what has started ends.

use std::array;
use std::io;

use siding::coroutine::{Coroutine, CoroutineState};
use siding::job::{self, CancelMode, Cancelled, Job, Options, Progress, StartError, WaitError};
use siding::stack::{self, StackConfig, StackError};

use crate::heap;

/// More than there are stacks in the first slab.
const JOBS: usize = 40;

fn is_for_want_of_memory(error: &StackError) -> bool {
    matches!(error, StackError::Map(error) if error.kind() == io::ErrorKind::OutOfMemory)
}

fn started(options: Options, value: usize) -> Option<Job<usize>> {
    let body = move || {
        job::pause().unwrap();
        value
    };
    match options.start(body) {
        Ok(Progress::Paused(job)) => Some(job),
        Ok(Progress::Finished(_)) => panic!("it pauses"),
        Err(refused) => {
            let StartError::Stack(error) = &refused.error else { panic!("{}", refused.error) };
            assert!(is_for_want_of_memory(error), "{error}");
            None
        }
    }
}

/// How many could be had.
fn as_many_as_there_is_memory_for() -> usize {
    let other = StackConfig::with_size(48 << 10);
    job::init_thread(200, 100).unwrap();
    let options = |n| if n % 2 == 0 { Options::new() } else { Options::new().stack(other) };
    let jobs: [_; JOBS] = array::from_fn(|n| started(options(n), n));
    let reserved = stack::reserve(other, 30);
    assert!(reserved.is_ok() || reserved.is_err_and(|error| is_for_want_of_memory(&error)));
    match Coroutine::<_, (), _>::try_new(other, |_, input| input + 1) {
        Ok(mut coroutine) => assert_eq!(coroutine.resume(1), CoroutineState::Complete(2)),
        Err(refused) => assert!(is_for_want_of_memory(&refused.error)),
    }
    let mut had = 0;
    for (n, job) in jobs.into_iter().enumerate() {
        if let Some(job) = job {
            had += 1;
            assert!(matches!(job.resume(), Progress::Finished(value) if value == n));
        }
    }
    stack::set_pool_limit(4);
    job::cleanup_thread();
    had
}

fn paused<T>(started: Result<Progress<T>, impl Sized>) -> Job<T> {
    match started {
        Ok(Progress::Paused(job)) => job,
        _ => panic!("it pauses"),
    }
}

#[test]
fn a_job_that_has_started_ends_without() {
    let waits = paused(Options::new().driven(true).start(|| {
        job::pause().unwrap();
        let out_of_memory = |e: &io::Error| e.kind() == io::ErrorKind::OutOfMemory;
        matches!(job::park(), Err(WaitError::Io(error)) if out_of_memory(&error))
    }));
    let stack = StackConfig::with_size(52 << 10);
    let ends = paused(Options::new().stack(stack).start(job::pause));
    let returns = Options::new().cancel_mode(CancelMode::Return);
    let cancelled = paused(returns.start(|| assert_eq!(job::pause(), Err(Cancelled))));
    let waits = heap::without(|| {
        assert!(matches!(ends.resume(), Progress::Finished(Ok(()))));
        drop(cancelled);
        waits.resume()
    });
    // Or it has got a slot for wakes that was free.
    assert!(matches!(waits, Progress::Finished(true) | Progress::Paused(_)));
}

#[test]
fn a_process_forks_without() {
    paused(job::start(|| _ = job::pause())); // It has handlers of forks.
    // SAFETY: the child does nothing.
    let child = heap::without(|| match unsafe { libc::fork() } {
        // SAFETY: no preconditions.
        0 => unsafe { libc::_exit(7) },
        child => child,
    });
    let mut status = 0;
    // SAFETY: an integer to write to.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(libc::WEXITSTATUS(status), 7);
}

#[test]
fn jobs_coroutines_and_stacks_are_errors_and_those_there_are_end() {
    let test = || _ = as_many_as_there_is_memory_for();
    heap::refused_in_turn(test, || assert_eq!(as_many_as_there_is_memory_for(), JOBS));
}
