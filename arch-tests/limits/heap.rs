//! The heap gives no more: whoever starts something gets an error, and what has started ends.

use std::array;

use siding::coroutine::{Coroutine, CoroutineState};
use siding::job::{self, Job, Options, Progress, StartError};
use siding::stack::{self, StackConfig, StackError};

use crate::heap;

/// More than there are stacks in the first slab.
const JOBS: usize = 40;

fn is_for_want_of_memory(error: &StackError) -> bool {
    matches!(error, StackError::Map(error) if error.kind() == std::io::ErrorKind::OutOfMemory)
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

#[test]
fn jobs_coroutines_and_stacks_are_errors_and_those_there_are_end() {
    let test = || _ = as_many_as_there_is_memory_for();
    heap::refused_in_turn(test, || assert_eq!(as_many_as_there_is_memory_for(), JOBS));
}
