//! Pools of jobs and their limits.

use crate::api::*;

/// How many jobs can be paused at once, up to `most`; then they run to their ends.
fn room(most: usize) -> usize {
    let start = |_| {
        let mut job = Job::new();
        (job.start(|| pause_then(0)) == Pause).then_some(job)
    };
    let mut jobs: Vec<Job> = (0..most).map_while(start).collect();
    jobs.iter_mut().for_each(|job| _ = job.finish());
    jobs.len()
}

#[test]
fn without_init_there_is_no_limit() {
    on_a_thread(|| assert_eq!(room(100), 100));
}

#[test]
fn init_takes_sizes_that_fit_each_other() {
    for (max_size, init_size) in [(0, 0), (5, 5), (5, 0)] {
        on_a_thread(move || {
            assert_eq!(init(max_size, init_size), 1);
            assert_quiet();
            assert_eq!(room(6), if max_size == 0 { 6 } else { 5 });
            cleanup_thread();
        });
    }
}

#[test]
fn init_refuses_more_jobs_than_the_limit() {
    for (max_size, init_size) in [(2, 5), (0, 5)] {
        on_a_thread(move || {
            assert_eq!(init(max_size, init_size), 0);
            assert_raised(INVALID_POOL_SIZE);
            assert_eq!(room(6), 6); // nothing has changed
        });
    }
}

#[test]
fn the_limit_is_for_free_running_and_paused_jobs_together() {
    on_a_thread(|| {
        init(3, 3); // three free ones: not three more
        let mut paused = Job::paused(1);
        let mut running = Job::new();
        let code = running.start(|| pause_then(1));
        assert_eq!(code, Pause);
        assert_eq!(room(5), 1);
        paused.finish();
        assert_eq!(room(5), 2);
        running.finish();
    });
}

#[test]
fn cleanup_frees_the_pool_and_lifts_its_limit() {
    on_a_thread(|| {
        init(2, 2);
        assert_eq!(room(5), 2);
        cleanup_thread();
        assert_eq!(room(5), 5);
        cleanup_thread();
        cleanup_thread();
        assert_eq!(init(1, 0), 1);
        assert_eq!(room(5), 1);
        cleanup_thread();
    });
}

#[test]
fn each_thread_has_a_pool_of_its_own() {
    on_a_thread(|| {
        init(1, 0);
        let mut job = Job::paused(1);
        on_a_thread(|| assert_eq!(room(5), 5));
        assert_eq!(room(5), 0);
        job.finish();
    });
}
