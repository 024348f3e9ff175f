//! Many jobs in one call.

use std::ptr;

use super::api::*;

fn runs(count: usize, args: &mut [usize]) -> Vec<Run> {
    (0..count)
        .map(|i| Run {
            job: ptr::null_mut(),
            ctx: ptr::null_mut(),
            func: Some(pause_often),
            args: (&raw mut args[i]).cast(),
            size: size_of::<usize>(),
            code: -1,
            ret: -1,
        })
        .collect()
}

#[test]
fn each_job_of_a_batch_takes_one_step_a_call() {
    let mut args: Vec<usize> = (0..8).collect();
    let mut batch = runs(8, &mut args);
    for round in 0..8 {
        // SAFETY: a valid array; finished jobs would start again, so they are left out.
        let paused = unsafe { siding_run(batch[round..].as_mut_ptr(), 8 - round) };
        assert_eq!(paused, 7 - round);
        assert_eq!((batch[round].code, batch[round].ret), (FINISH, round as i32));
        assert!(batch[round].job.is_null());
        assert!(batch[round + 1..].iter().all(|run| run.code == PAUSE && !run.job.is_null()));
    }
}

#[test]
fn an_element_that_is_no_job_is_an_error_of_its_own() {
    let mut args = vec![1; 3];
    let mut batch = runs(3, &mut args);
    batch[0].func = None;
    batch[1].job = ptr::without_provenance_mut(usize::MAX);
    // SAFETY: a valid array.
    assert_eq!(unsafe { siding_run(batch.as_mut_ptr(), 3) }, 1);
    assert_eq!([batch[0].code, batch[1].code, batch[2].code], [ERR, ERR, PAUSE]);
    assert!(batch[1].job.is_null(), "stale");
    // SAFETY: a valid array.
    assert_eq!(unsafe { siding_run(batch[2..].as_mut_ptr(), 1) }, 0);
    // SAFETY: nothing to run.
    assert_eq!(unsafe { siding_run(ptr::null_mut(), 5) }, 0);
}

#[test]
fn the_limit_of_the_pool_holds_for_a_batch() {
    std::thread::spawn(|| {
        assert_eq!(ASYNC_init_thread(2, 0), 1);
        let before = stats().refused_limit;
        let mut args = vec![1; 3];
        let mut batch = runs(3, &mut args);
        // SAFETY: a valid array.
        assert_eq!(unsafe { siding_run(batch.as_mut_ptr(), 3) }, 2);
        assert_eq!(batch[2].code, NO_JOBS);
        assert_eq!(stats().refused_limit, before + 1);
        // SAFETY: a valid array.
        assert_eq!(unsafe { siding_run(batch.as_mut_ptr(), 2) }, 0);
    })
    .join()
    .unwrap();
}
